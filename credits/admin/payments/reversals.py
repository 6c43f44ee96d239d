"""The admin lists of money that went back: refunds, reversals and disputes."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.admin.filters import DateRangeFilter
from credits.admin.payments import purchases
from credits.admin.payments.acts import HasRowActs, RowAct
from credits.admin.payments.rows import SearchedByPayment, link_stripe
from credits.admin.rows import RowAdmin, link_row
from credits.admin.word_filters import ForceFilter
from credits.currencies import format_amount
from credits.models import Dispute, PaymentReversal, Refund


def check_payment(request: HttpRequest, row: Any) -> str:
    """Compare the purchase of this row with Stripe now. Raises ActRefused."""
    return purchases.check_again(request, row.purchase)


CHECK = RowAct("check", _("Check again"), "sync", "credits.change_purchase", check_payment)


class OfPayment(SearchedByPayment, HasRowActs, RowAdmin):
    """A list of rows that belong to a purchase."""

    list_filter_submit = True
    list_select_related = ("purchase__user",)
    row_acts = (CHECK,)

    @admin.display(description=_("user"))
    def person(self, row: Any) -> str:
        return link_row(row.purchase.user, row.purchase.user)

    @admin.display(description=_("purchase"))
    def payment(self, row: Any) -> str:
        return link_row(row.purchase, row.purchase)

    @admin.display(description=_("amount"))
    def money(self, row: Any) -> str:
        return format_amount(row.amount, row.purchase.paid_currency)

    @admin.display(description=_("credits"))
    def number(self, row: Any) -> str:
        return intcomma(row.credits)


@admin.register(Refund)
class RefundAdmin(OfPayment):
    own_number = "public_id"
    list_display = ("created_at", "person", "money", "number", "state", "reason", "actor")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    fields = readonly_fields = (
        *("public_id", "person", "payment", "money", "number", "state", "problem", "reason"),
        *("actor", "posted", "at_stripe", "created_at", "first_sent_at", "next_try_at"),
    )

    @admin.display(description=_("transaction"))
    def posted(self, row: Refund) -> str:
        return link_row(row.transaction, row.transaction) if row.transaction else "–"

    @admin.display(description=_("Stripe refund"))
    def at_stripe(self, row: Refund) -> str:
        return link_stripe(row.stripe_id, "refunds", livemode=row.purchase.livemode)


@admin.register(PaymentReversal)
class PaymentReversalAdmin(OfPayment):
    list_display = (
        *("created_at", "person", "kind", "money", "number", "status", "is_in_force"),
        "stripe_id",
    )
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ForceFilter,
        ("created_at", DateRangeFilter),
    )
    fields = readonly_fields = (
        *("stripe_id", "person", "payment", "kind", "status", "is_in_force", "money", "number"),
        *("request_here", "about", "took", "gave_back", "created_at"),
    )

    @admin.display(description=_("refund"))
    def request_here(self, row: PaymentReversal) -> str:
        return link_row(row.refund, row.refund) if row.refund else "–"

    @admin.display(description=_("dispute"))
    def about(self, row: PaymentReversal) -> str:
        return link_row(row.dispute, row.dispute) if row.dispute else "–"

    @admin.display(description=_("taken by"))
    def took(self, row: PaymentReversal) -> str:
        return link_row(row.taken, row.taken) if row.taken else "–"

    @admin.display(description=_("given back by"))
    def gave_back(self, row: PaymentReversal) -> str:
        return link_row(row.given_back, row.given_back) if row.given_back else "–"


class OpenFilter(DropdownFilter):
    """Disputes that are not closed yet."""

    title = _("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Open"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(closed_at=None) if self.value() == "yes" else queryset


@admin.register(Dispute)
class DisputeAdmin(OfPayment):
    list_display = (
        *("created_at", "person", "kind", "money", "status", "reason", "evidence_due_by"),
        "closed_at",
    )
    list_filter = (OpenFilter, ("kind", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    fields = readonly_fields = (
        *("at_stripe", "person", "payment", "kind", "status", "reason", "money"),
        *("evidence_due_by", "created_at", "closed_at"),
    )

    @admin.display(description=_("Stripe dispute"))
    def at_stripe(self, row: Dispute) -> str:
        return link_stripe(row.stripe_id, "disputes", livemode=row.purchase.livemode)
