"""The admin list of receipts, tax invoices and credit notes."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.filters import DateRangeFilter, OneUserFilter
from credits.admin.pages.replacement import ReplacementPage
from credits.admin.payments.rows import SearchedByPayment
from credits.admin.rows import RowAdmin, link_row
from credits.admin.word_filters import ValidFilter
from credits.documents import issue, printed
from credits.models import Document


@admin.register(Document)
class DocumentAdmin(SearchedByPayment, RowAdmin):
    own_number = "number"
    list_display = ("issued_at", "number", "kind", "user", "payment", "cancelled_at")
    list_filter = (
        OneUserFilter,
        ValidFilter,
        ("kind", ChoicesDropdownFilter),
        ("issued_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user", "purchase")
    fields = readonly_fields = (
        *("number", "kind", "person", "payment", "about", "replaces", "replaced_by"),
        *("issued_at", "cancelled_at", "cancelled_because"),
    )
    actions_detail = ("print_sheet", "replace")

    @admin.display(description=_("user"))
    def person(self, row: Document) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("purchase"))
    def payment(self, row: Document) -> str:
        return link_row(row.purchase, row.purchase)

    @admin.display(description=_("reversal"))
    def about(self, row: Document) -> str:
        return link_row(row.reversal, row.reversal) if row.reversal else "–"

    @admin.display(description=_("names"))
    def replaces(self, row: Document) -> str:
        return link_row(row.corrects, row.corrects) if row.corrects else "–"

    @admin.display(description=_("named by"))
    def replaced_by(self, row: Document) -> str:
        following = row.corrections.order_by("pk").first()
        return link_row(following, following) if following else "–"

    def has_replace_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.change_document")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the replacement only for what can be issued anew."""
        row = self.get_object(request, str(object_id))
        offered: list[Any] = super().get_actions_detail(request, object_id)
        if row is not None and is_replaceable(row):
            return offered
        return [each for each in offered if not each.action_name.endswith("_replace")]

    @action(description=_("View and print"), url_path="print", permissions=["view"], icon="print")  # type: ignore[untyped-decorator]
    def print_sheet(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        context = printed.make_context(row, is_copy=True)
        return render(request, "credits/documents/for_operator.html", context)

    @action(
        description=_("Cancel and issue anew"),
        url_path="replace",
        permissions=["replace"],
        icon="published_with_changes",
    )  # type: ignore[untyped-decorator]
    def replace(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        return ReplacementPage(request, self, row).respond()


def is_replaceable(document: Document) -> bool:
    is_note = document.kind in issue.NOTES
    return document.cancelled_at is None and not is_note
