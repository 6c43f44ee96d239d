"""The admin list of subscriptions."""

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.bases import SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from credits.admin.payments.acts import ActRefused, HasRowActs, RowAct
from credits.admin.payments.endings import EndPlan
from credits.admin.payments.rows import CurrencyFilter, link_stripe
from credits.admin.rows import RowAdmin, link_row, link_rows
from credits.currencies import format_amount
from credits.models import Purchase, Subscription
from credits.stripe_api.client import StripeAway, StripeRefused
from credits.subscriptions import following

STATUSES = (
    ("new", _("Not at Stripe yet")),
    ("incomplete", _("Not paid yet")),
    ("active", _("Active")),
    ("trialing", _("Trial")),
    ("past_due", _("Past due")),
    ("unpaid", _("Unpaid")),
    ("paused", _("Paused")),
    ("canceled", _("Ended")),
    ("incomplete_expired", _("Never paid")),
)


class StatusFilter(DropdownFilter):
    """Subscriptions with one of Stripe's states."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, object]]:
        return list(STATUSES)

    def queryset(self, request: HttpRequest, queryset: object) -> object:
        chosen = self.value()
        return queryset.filter(status=chosen) if chosen else queryset  # type: ignore[attr-defined]


def check_again(request: HttpRequest, subscription: Subscription) -> str:
    """Compare one subscription with Stripe now. Raises ActRefused."""
    try:
        following.refresh(subscription)
    except StripeAway:
        raise ActRefused(gettext("Stripe does not answer. Try again in a minute.")) from None
    except StripeRefused as refusal:
        text = gettext("Stripe refused the question: %(message)s")
        raise ActRefused(text % {"message": str(refusal)}) from None
    subscription.refresh_from_db()
    return gettext("Compared with Stripe. The state is: %(state)s.") % {
        "state": describe_status(subscription)
    }


def describe_status(subscription: Subscription) -> str:
    return str(dict(STATUSES).get(subscription.status, subscription.status))


@admin.register(Subscription)
class SubscriptionAdmin(SearchedByUser, HasActs, HasRowActs, RowAdmin):
    list_display = (
        *("created_at", "user", "plan", "money", "number", "state", "period_end"),
        "cancels_at_end",
    )
    list_filter = (OneUserFilter, StatusFilter, CurrencyFilter, ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("user", "plan")
    fields = readonly_fields = (
        *("public_id", "person", "plan", "money", "number", "tax_percent", "state", "problem"),
        *("period_start", "period_end", "cancels_at_end", "next_plan", "at_stripe", "livemode"),
        *("created_at", "checked_at", "end_asked_at", "end_because", "ended_at", "payments"),
    )
    acts = (EndPlan,)
    row_acts = (
        RowAct("check", _("Check again"), "sync", "credits.change_subscription", check_again),
    )

    @admin.display(description=_("user"))
    def person(self, row: Subscription) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("amount a month"))
    def money(self, row: Subscription) -> str:
        return format_amount(row.amount, row.currency)

    @admin.display(description=_("credits a month"))
    def number(self, row: Subscription) -> str:
        return intcomma(row.credits)

    @admin.display(description=_("status"))
    def state(self, row: Subscription) -> str:
        return describe_status(row)

    @admin.display(description=_("Stripe subscription"))
    def at_stripe(self, row: Subscription) -> str:
        return link_stripe(row.stripe_id, "subscriptions", livemode=row.livemode)

    @admin.display(description=_("purchases"))
    def payments(self, row: Subscription) -> str:
        paid = Purchase.objects.filter(subscription_period__subscription=row)
        return link_rows(paid.order_by("pk"))
