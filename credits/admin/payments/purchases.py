"""The admin list of purchases: every payment of a user, whatever its kind."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from accounts.models import User
from credits.admin.pages.payment_refunds import PaymentRefundPage
from credits.admin.pages.refunds import REFUND_PAYMENT
from credits.admin.pages.reviews import AcceptPage, LeavePage
from credits.admin.payments.acts import ActRefused, HasRowActs, RowAct
from credits.admin.payments.rows import (
    CurrencyFilter,
    link_related,
    link_stripe,
    match_purchases,
)
from credits.admin.rows import RowAdmin, link_row
from credits.currencies import format_amount
from credits.models import Purchase
from credits.purchases import settlement
from credits.reversals import proposals
from credits.stripe_api.client import StripeAway, StripeRefused

METHODS = (("card", _("Card")), ("promptpay", "PromptPay"), ("link", "Link"))


class MethodFilter(DropdownFilter):
    """Purchases that were paid with one method."""

    title = _("payment method")
    parameter_name = "method"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(METHODS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Purchase]) -> QuerySet[Purchase]:
        return queryset.filter(method__startswith=self.value()) if self.value() else queryset


def check_again(request: HttpRequest, purchase: Purchase) -> str:
    """Compare one purchase with Stripe now. Raises ActRefused if Stripe gives no answer."""
    try:
        settled = settlement.check(purchase)
    except StripeAway:
        raise ActRefused(gettext("Stripe does not answer. Try again in a minute.")) from None
    except StripeRefused as refusal:
        text = gettext("Stripe refused the question: %(message)s")
        raise ActRefused(text % {"message": str(refusal)}) from None
    return gettext("Compared with Stripe. The state is: %(state)s.") % {
        "state": settled.get_state_display()
    }


class PurchaseRefundPage(PaymentRefundPage):
    """The refund of a payment, also of one in review, which has no transaction."""

    permission = REFUND_PAYMENT

    @classmethod
    def explain_obstacle(cls, row: Purchase, actor: User) -> str:
        return "" if is_money_left(row) else gettext("There is nothing left to refund.")


def is_money_left(purchase: Purchase) -> bool:
    """True while money of a payment at Stripe can be sent back."""
    if not proposals.can_be_refunded(purchase):
        return False
    return proposals.propose(purchase).most_amount > 0


@admin.register(Purchase)
class PurchaseAdmin(HasActs, HasRowActs, RowAdmin):
    list_display = (
        *("created_at", "user", "kind", "name", "amount", "credits_bought", "state", "method"),
    )
    list_filter = (
        OneUserFilter,
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        CurrencyFilter,
        MethodFilter,
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("public_id",)
    search_help_text = _("Full email address, public ID, purchase or Stripe number (pi_, cs_, in_)")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("public_id", "person", "kind", "state", "problem", "name", "package"),
                    *("came", "decision", "decided_by", "decided_at"),
                    *("credits_bought", "net_amount", "tax_amount", "amount", "tax_percent"),
                    *("method", "language", "posted", "livemode"),
                )
            },
        ),
        (
            _("Times"),
            {"fields": ("created_at", "expires_at", "paid_at", "checked_at")},
        ),
        (
            _("At Stripe"),
            {"fields": ("payment", "checkout_session", "bill", "events_received")},
        ),
        (
            _("What followed"),
            {
                "fields": (
                    *("period", "attempt", "refunds_asked", "money_back", "disputes_seen"),
                    "papers",
                )
            },
        ),
    )
    readonly_fields = tuple(name for _title, part in fieldsets for name in part["fields"])
    watched = ()
    row_acts = (RowAct("check", _("Check again"), "sync", "credits.change_purchase", check_again),)
    acts = (AcceptPage, PurchaseRefundPage, LeavePage)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Purchase], search_term: str
    ) -> tuple[QuerySet[Purchase], bool]:
        term = search_term.strip()
        return (queryset.filter(match_purchases(term)) if term else queryset), False

    @admin.display(description=_("amount"))
    def amount(self, row: Purchase) -> str:
        return format_amount(row.total, row.currency)

    @admin.display(description=_("net amount"))
    def net_amount(self, row: Purchase) -> str:
        return format_amount(row.net, row.currency)

    @admin.display(description=_("tax"))
    def tax_amount(self, row: Purchase) -> str:
        return format_amount(row.tax, row.currency)

    @admin.display(description=_("credits"))
    def credits_bought(self, row: Purchase) -> str:
        return intcomma(row.credits)

    @admin.display(description=_("user"))
    def person(self, row: Purchase) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("transaction"))
    def posted(self, row: Purchase) -> str:
        return link_row(row.transaction, row.transaction) if row.transaction else "–"

    @admin.display(description=_("received"))
    def came(self, row: Purchase) -> str:
        return format_amount(row.received, row.paid_currency) if row.received is not None else "–"

    @admin.display(description=_("Stripe payment"))
    def payment(self, row: Purchase) -> str:
        return link_stripe(row.payment_intent, "payments", livemode=row.livemode)

    @admin.display(description=_("Stripe invoice"))
    def bill(self, row: Purchase) -> str:
        return link_stripe(row.invoice, "invoices", livemode=row.livemode)

    @admin.display(description=_("Stripe events"))
    def events_received(self, row: Purchase) -> str:
        return link_related(row, "events")

    @admin.display(description=_("paid period"))
    def period(self, row: Purchase) -> str:
        period = getattr(row, "subscription_period", None)
        return link_row(period.subscription, period) if period else "–"

    @admin.display(description=_("attempt to refill"))
    def attempt(self, row: Purchase) -> str:
        attempt = getattr(row, "refill_attempt", None)
        return link_row(attempt, attempt) if attempt else "–"

    @admin.display(description=_("refunds"))
    def refunds_asked(self, row: Purchase) -> str:
        return link_related(row, "refunds")

    @admin.display(description=_("reversals"))
    def money_back(self, row: Purchase) -> str:
        return link_related(row, "reversals")

    @admin.display(description=_("disputes"))
    def disputes_seen(self, row: Purchase) -> str:
        return link_related(row, "disputes")

    @admin.display(description=_("documents"))
    def papers(self, row: Purchase) -> str:
        return link_related(row, "documents")
