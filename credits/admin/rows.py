"""What the lists of the ledger share."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext

from accounts.admin.bases import ReadOnlyAdmin

LINK = '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>'


class RowAdmin(ReadOnlyAdmin):
    """Rows with pages that act on one of them."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Rows of one user are asked for by `?user=`, which walks that user's index; this way would walk all rows."""
        return not lookup.startswith("user__") and super().lookup_allowed(lookup, value, request)

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """None for an id of nothing, after saying so."""
        found = self.get_object(request, object_id)
        if found is None:
            messages.error(request, gettext("There is no record with this number."))
        return found

    def back(self, row: Any = None) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return HttpResponseRedirect(
            reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_changelist")
        )


def links(rows: QuerySet[Any]) -> str:
    """To the pages of these rows."""
    return format_html_join(", ", "{}", ((link(row, row),) for row in rows)) or "–"


def link(row: Any, text: Any) -> str:
    """To the page of this row."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html(LINK, reverse(name, args=[row.pk]), text)
