"""Links to rows of the admin: in tables, and in messages that say what was done."""

from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LINK = '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>'
IN_MESSAGE = '<a class="underline" href="{}">{}</a>'


def locate(row: Any) -> str:
    """Return the address of the page of a row in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def locate_list(meta: Any) -> str:
    """Return the address of the list of rows of this kind."""
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


def link_row(row: Any, text: Any) -> str:
    """Return an HTML link to the admin page of this row."""
    return format_html(LINK, locate(row), text)


def add_links(text: str, *rows: Any) -> SafeString:
    """Return a message with links to these rows behind it; a row that is None is left out."""
    links = format_html_join(
        " · ", IN_MESSAGE, ((locate(row), row) for row in rows if row is not None)
    )
    return format_html("{} {}", text, links) if links else format_html("{}", text)
