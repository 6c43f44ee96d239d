"""The prices of packages and plans, typed as people write them: 19.99, not minor units."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin.bases import LabelledCells
from credits.currencies import (
    LARGEST,
    SMALLEST,
    count_decimals,
    find_problem,
    format_amount,
    to_decimal,
)
from credits.models import PackagePrice, PlanPrice


class PriceForm(forms.ModelForm[Any]):
    """A price in units of the currency. Only the database has it in minor units."""

    amount = forms.DecimalField(
        label=_("price"),
        max_digits=14,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "aria-label": _("price")}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = list(settings.CURRENCIES)
        if self.instance.pk:
            self.initial["amount"] = to_decimal(self.instance.amount, self.instance.currency)
            codes += [] if self.instance.currency in codes else [self.instance.currency]
        self.fields["currency"] = forms.ChoiceField(
            label=_("currency"),
            choices=[("", "–"), *((code, code.upper()) for code in codes)],
            widget=UnfoldAdminSelectWidget(attrs={"aria-label": _("currency")}),
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        amount, currency = cleaned.get("amount"), cleaned.get("currency")
        if amount is not None and currency:
            minor = amount.scaleb(count_decimals(currency))
            if problem := describe_problem(minor, currency):
                self.add_error("amount", problem)
            cleaned["amount"] = int(minor)
        return cleaned


def describe_problem(minor: Decimal, currency: str) -> str:
    """Say why an amount in minor units cannot be a price; empty if it can."""
    if minor != int(minor):
        text = gettext("%(currency)s has %(decimals)s decimals.")
        return text % {"currency": currency.upper(), "decimals": count_decimals(currency)}
    if not find_problem(int(minor), currency):
        return ""
    text = gettext("Stripe takes no payment of this amount. It takes %(least)s to %(most)s.")
    least, most = SMALLEST.get(currency, 1), LARGEST
    return text % {
        "least": format_amount(least, currency),
        "most": format_amount(most, currency),
    }


class PriceInline(LabelledCells, TabularInline):
    """Prices below a package or plan."""

    form = PriceForm
    extra = 0

    def write_columns(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of a row as its form sends them, for a page that became stale."""
        return {**columns, "amount": to_decimal(columns["amount"], columns["currency"])}


class PackagePriceInline(PriceInline):
    model = PackagePrice
    fields = ("currency", "amount")


class PlanPriceInline(PriceInline):
    model = PlanPrice
    fields = ("currency", "amount", "is_active")
