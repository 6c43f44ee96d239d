"""The admin lists of automatic refills and of their attempts."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.admin.bases import SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from credits.admin.payments.acts import HasRowActs
from credits.admin.payments.reversals import CHECK
from credits.admin.payments.rows import SearchedByPayment
from credits.admin.rows import RowAdmin, link_row, link_rows
from credits.currencies import format_amount
from credits.models import Refill, RefillAttempt


class StateFilter(DropdownFilter):
    """Refills that are on, paused or off."""

    title = _("state")
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("on", _("On")), ("paused", _("Paused")), ("off", _("Off"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "off":
            return queryset.filter(enabled_at=None)
        if self.value() == "paused":
            return queryset.exclude(paused_because="")
        return queryset.exclude(enabled_at=None) if self.value() == "on" else queryset


@admin.register(Refill)
class RefillAdmin(SearchedByUser, RowAdmin):
    list_display = (
        *("user", "enabled_at", "paused_because", "package", "money", "threshold", "cap"),
        *("failures", "last_attempt_at"),
    )
    list_filter = (OneUserFilter, StateFilter)
    list_filter_submit = True
    list_select_related = ("user", "package")
    fields = readonly_fields = (
        *("person", "enabled_at", "paused_because", "package", "credits", "money", "threshold"),
        *("cap", "card", "consented_at", "consent", "failures", "last_attempt_at", "tried"),
    )

    @admin.display(description=_("user"))
    def person(self, row: Refill) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("agreed price"))
    def money(self, row: Refill) -> str:
        return format_amount(row.price, row.currency)

    @admin.display(description=_("at most a month"))
    def cap(self, row: Refill) -> str:
        return format_amount(row.monthly_cap, row.currency)

    @admin.display(description=_("attempts to refill"))
    def tried(self, row: Refill) -> str:
        return link_rows(row.attempts.order_by("-pk")[:20])


@admin.register(RefillAttempt)
class RefillAttemptAdmin(SearchedByPayment, HasRowActs, RowAdmin):
    own_number = "purchase__payment_intent"
    list_display = ("claimed_at", "person", "money", "state", "problem", "ended_at")
    list_filter = (("state", ChoicesDropdownFilter), ("claimed_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("purchase__user", "refill__user")
    fields = readonly_fields = (
        *("person", "of_refill", "payment", "money", "number", "state", "problem"),
        *("claimed_at", "first_sent_at", "next_try_at", "ended_at"),
    )
    row_acts = (CHECK,)

    @admin.display(description=_("user"))
    def person(self, row: RefillAttempt) -> str:
        return link_row(row.purchase.user, row.purchase.user)

    @admin.display(description=_("refill"))
    def of_refill(self, row: RefillAttempt) -> str:
        return link_row(row.refill, row.refill)

    @admin.display(description=_("purchase"))
    def payment(self, row: RefillAttempt) -> str:
        return link_row(row.purchase, row.purchase)

    @admin.display(description=_("amount"))
    def money(self, row: RefillAttempt) -> str:
        return format_amount(row.purchase.total, row.purchase.currency)

    @admin.display(description=_("credits"))
    def number(self, row: RefillAttempt) -> str:
        return intcomma(row.purchase.credits)
