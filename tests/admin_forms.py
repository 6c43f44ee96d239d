"""Fill in a form of the admin as a browser does: what the page shows, and what is typed over it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.test import Client


def read_form(page: Any) -> dict[str, Any]:
    """Return what a browser would send if nothing was typed on this page of the admin."""
    form = page.context["adminform"].form
    sent = dict(_read_fields(form)) | {"page_version": form.page_version}
    for inline in page.context["inline_admin_formsets"]:
        sent |= dict(_read_fields(inline.formset.management_form))
        for row in inline.formset.forms:
            sent |= dict(_read_fields(row))
    return sent


def _read_fields(form: Any) -> Iterator[tuple[str, Any]]:
    for bound in form:
        value = bound.value()
        if value is None or value is False or bound.field.disabled:
            continue
        yield bound.html_name, "on" if value is True else value


def read_errors(page: Any) -> str:
    """Return all errors of the forms of a page as one text."""
    return " ".join(map(str, page.context["errors"])) + str(page.context["adminform"].form.errors)


def read_question(page: Any) -> dict[str, str]:
    """Return the hidden versions of a page that asks for a confirmation."""
    return dict(re.findall(r'name="(page_version[^"]*)" value="([^"]*)"', page.content.decode()))


def save_page(client: Client, path: str, sent: Mapping[str, Any]) -> Any:
    """Open a page of the admin and send these fields only."""
    return client.post(path, {**read_question(client.get(path)), **sent})


def confirm_page(client: Client, path: str, **sent: str) -> Any:
    """Open a page that asks for a confirmation, and confirm it."""
    return client.post(path, {**read_question(client.get(path)), "post": "yes", **sent})
