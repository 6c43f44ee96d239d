"""The admin list of users as buyers: their customer at Stripe, and who may not buy."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.bases import SearchedByUser
from accounts.admin.filters import OneUserFilter
from accounts.models import User
from credits.admin.pages.confirmed_form import Facts, ReasonForm
from credits.admin.pages.thaw import ThawPage
from credits.admin.payments.rows import link_stripe
from credits.admin.rows import RowAdmin, link_row
from credits.exceptions import LedgerRefusal
from credits.models import Customer


class BarredFilter(DropdownFilter):
    """Users who may not buy now, and why."""

    title = _("may not buy")
    parameter_name = "barred"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("frozen", _("Frozen")), ("closed", _("Closed for some hours"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "frozen":
            return queryset.exclude(frozen_at=None)
        closed = Q(closed_until__gt=timezone.now())
        return queryset.filter(closed) if self.value() == "closed" else queryset


def is_barred(customer: Customer) -> bool:
    closed = customer.closed_until is not None and customer.closed_until > timezone.now()
    return customer.frozen_at is not None or closed


class ShownForm(ReasonForm):
    """`shown` is what kept the user from buying when the page was opened."""

    shown = forms.CharField(widget=forms.HiddenInput, max_length=2000)
    field_order = ("reason", "shown", "key")


class NotAsShown(LedgerRefusal):
    """Something else keeps the user from buying than the page showed. Nothing was changed."""


class CustomerThawPage(ThawPage):
    """Ends what declined cards have closed, too, and refuses if a new reason came meanwhile."""

    form_class = ShownForm

    def __init__(self, request: Any, model_admin: Any, customer: Customer) -> None:
        super().__init__(request, model_admin, customer.user)
        self.customer = customer

    def initial(self) -> dict[str, Any]:
        return {**super().initial(), "shown": describe_bar(self.customer)}

    def facts(self) -> Facts:
        until = self.customer.closed_until
        shown = formats.date_format(until, "DATETIME_FORMAT") if until else "–"
        return (*super().facts(), (gettext("May not buy until"), shown))

    def act(self, cleaned: dict[str, Any]) -> str:
        with atomic():
            User.objects.locked(self.user.pk)
            row = Customer.objects.get(pk=self.customer.pk)
            if describe_bar(row) != cleaned["shown"]:
                raise NotAsShown(
                    gettext("This was changed after you had opened the page. Nothing was done.")
                )
            if row.closed_until is not None:
                Customer.objects.filter(pk=row.pk).update(closed_until=None)
                text = f"It was closed until {row.closed_until:%Y-%m-%d %H:%M}: {cleaned['reason']}"
                administrators_log.record(self.actor, Act.THAWED, self.user, text)
            return super().act(cleaned)

    def back(self) -> str:
        return reverse("admin:credits_customer_change", args=[self.customer.pk])


def describe_bar(row: Customer) -> str:
    """Return what keeps a user from buying, as one text that changes with it."""
    return f"{row.frozen_at}|{row.frozen_because}|{row.closed_until}"[:2000]


@admin.register(Customer)
class CustomerAdmin(SearchedByUser, RowAdmin):
    list_display = ("user", "frozen_at", "frozen_because", "closed_until", "stripe_customer")
    list_filter = (OneUserFilter, BarredFilter)
    list_filter_submit = True
    list_select_related = ("user",)
    fields = readonly_fields = (
        *("person", "frozen_at", "frozen_because", "closed_until", "at_stripe"),
        *("invoice_name", "invoice_address", "tax_number", "branch"),
    )
    actions_detail = ("thaw",)

    def has_thaw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.change_customer")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the thaw only while something keeps the user from buying."""
        row = self.get_object(request, str(object_id))
        offered = row is not None and is_barred(row)
        return super().get_actions_detail(request, object_id) if offered else []

    @action(
        description=_("Allow buying again"),
        url_path="thaw",
        permissions=["thaw"],
        icon="lock_open",
    )  # type: ignore[untyped-decorator]
    def thaw(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        if request.method != "POST" and not is_barred(row):
            messages.error(request, gettext("This user may buy already."))
            return self.redirect_back(row)
        return CustomerThawPage(request, self, row).respond()

    @admin.display(description=_("user"))
    def person(self, row: Customer) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("Stripe customer"))
    def at_stripe(self, row: Customer) -> str:
        return link_stripe(row.stripe_customer, "customers")
