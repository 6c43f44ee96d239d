"""The admin list of transactions, with its export and refunds."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.acts.buttons import refuse
from accounts.admin.acts.links import locate
from accounts.admin.filters import (
    AdministratorFilter,
    DateRangeFilter,
    OneUserFilter,
    find_chosen_user,
)
from credits import balances
from credits.admin import lookup
from credits.admin.pages.exports import ExportPage
from credits.admin.pages.payment_refunds import PaymentRefundPage, find_online_purchase
from credits.admin.pages.refunds import (
    REFUND_PAYMENT,
    REFUND_USAGE,
    RefundPage,
    is_refundable,
    may_refund,
)
from credits.admin.rows import RowAdmin, link_rows
from credits.models import Transaction
from credits.reversals import proposals
from credits.templatetags.amounts import format_signed


class ActorFilter(AdministratorFilter):
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Transaction]
    ) -> QuerySet[Transaction]:
        """Exclude usage, which has no actor, so that PostgreSQL can use indexes without usage."""
        filtered = super().queryset(request, queryset)
        return filtered.exclude(type=Transaction.Type.USAGE) if self.value() else filtered


class TransactionRefundPage(PaymentRefundPage):
    """The refund of a payment, from the page of its transaction."""

    def back(self) -> str:
        return locate(self.purchase.transaction)


@admin.register(Transaction)
class TransactionAdmin(RowAdmin):
    list_display = ("created_at", "user", "type", "moved", "left", "description", "actor")
    list_filter = (
        OneUserFilter,
        ("type", ChoicesDropdownFilter),
        ActorFilter,
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user", "actor")
    search_fields = ("reference_id",)
    search_help_text = _("Full email address, public ID, transaction number or reference")
    fields = readonly_fields = (
        "user",
        "seq",
        "type",
        "moved",
        "left",
        "debt",
        "debt_after",
        "description",
        "actor",
        "approved",
        "reference_id",
        "hold",
        "reverses",
        "reversals",
        "metadata",
        "idempotency_key",
        "created_at",
    )
    actions_list = ("export",)
    actions_detail = ("refund",)

    def keyset(self, request: HttpRequest) -> tuple[QuerySet[Any], str]:
        """Page one user's rows by `seq`, which has an index with the user; all rows by id."""
        user = find_chosen_user(request.GET.get("user", ""), request.GET.get(SEARCH_VAR, ""))
        return (
            (Transaction.objects.all(), "id")
            if user is None
            else (Transaction.objects.filter(user=user), "seq")
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transaction], search_term: str
    ) -> tuple[QuerySet[Transaction], bool]:
        return queryset.filter(
            lookup.match_transactions(search_term)
        ) if search_term.strip() else queryset, False

    @admin.display(description=_("amount"))
    def moved(self, row: Transaction) -> str:
        """Return the amount; for a write-off, which moves no credits, the change of the debt."""
        if row.amount or not row.debt:
            return format_signed(row.amount)
        return gettext("debt %(change)s") % {"change": format_signed(row.debt)}

    @admin.display(description=_("balance after"))
    def left(self, row: Transaction) -> str:
        return intcomma(row.balance_after)

    @admin.display(description=_("approval"))
    def approved(self, row: Transaction) -> str:
        return link_rows(row.approvals.order_by("pk"))

    @admin.display(description=_("reversed by"))
    def reversals(self, row: Transaction) -> str:
        return link_rows(row.reversals.order_by("pk"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """Add the filters of the list to the link of the export."""
        page: HttpResponseBase = super().changelist_view(request, extra_context)
        for entry in (getattr(page, "context_data", None) or {}).get("actions_list", ()):
            entry["path"] = f"{entry['path']}?{request.GET.urlencode()}"
        return page

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(("credits.export_transaction", "credits.view_transaction"))

    @action(description=_("Export"), url_path="export", permissions=["export"], icon="download")  # type: ignore[untyped-decorator]
    def export(self, request: HttpRequest) -> HttpResponseBase:
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            messages.error(
                request, gettext("This address contains a search or filter that cannot be used.")
            )
            return self.redirect_back()
        return ExportPage(request, self, listed).respond()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the refund only while something is left to refund."""
        row = self.get_object(request, str(object_id))
        offered = may_refund(request.user, row) and is_left(row)
        return super().get_actions_detail(request, object_id) if offered else []

    def has_refund_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Return whether the administrator may refund some rows; their type decides which."""
        return any(map(request.user.has_perm, (REFUND_PAYMENT, REFUND_USAGE)))

    @action(description=_("Refund"), url_path="refund", permissions=["refund"], icon="undo")  # type: ignore[untyped-decorator]
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        if not is_refundable(row):
            messages.error(
                request, gettext("Only usage, purchases and paid subscriptions can be refunded.")
            )
            return self.redirect_back(row)
        if not may_refund(request.user, row):
            return refuse(request, self, RefundPage)
        if request.method != "POST" and not is_left(row):
            messages.error(request, gettext("There is nothing left to refund."))
            return self.redirect_back(row)
        if (purchase := find_online_purchase(row)) is not None:
            return TransactionRefundPage(request, self, purchase).respond()
        return RefundPage(request, self, row).respond()


def is_left(row: Transaction) -> bool:
    """True while something of a transaction can be refunded: money of a payment, else credits."""
    purchase = find_online_purchase(row)
    if purchase is not None:
        return proposals.propose(purchase).most_amount > 0
    return balances.refundable(row) > 0
