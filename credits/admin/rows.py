"""The base class and the links of the ledger's lists in the admin."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext

from accounts.admin.acts.links import LINK, link_row
from accounts.admin.bases import ReadOnlyAdmin

__all__ = ["LINK", "RowAdmin", "link_row", "link_rows"]


class RowAdmin(ReadOnlyAdmin):
    """A list with pages that act on one row."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Refuse `user__…` lookups, which would read all rows. `?user=` reads that user's index."""
        return not lookup.startswith("user__") and super().lookup_allowed(lookup, value, request)

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row; if there is none, show an error message and return None."""
        row = self.get_object(request, object_id)
        if row is None:
            messages.error(request, gettext("There is no record with this number."))
        return row

    def redirect_back(self, row: Any = None) -> HttpResponse:
        """Redirect to the page of the row, or to the list if there is no row."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return HttpResponseRedirect(
            reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_changelist")
        )


def link_rows(rows: QuerySet[Any]) -> str:
    """Return HTML links to the admin pages of these rows; "–" if there are none."""
    return format_html_join(", ", "{}", ((link_row(row, row),) for row in rows)) or "–"
