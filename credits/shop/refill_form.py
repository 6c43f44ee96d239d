"""The form of automatic refills: which package, below how many credits, and at most how much."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credits.currencies import LARGEST, count_decimals, to_decimal
from credits.models import Refill
from credits.models.packages import Package
from credits.shop.offers import Offer

DEFAULT_REFILLS = 5  # of the monthly limit that the form begins with


class RefillForm(forms.Form):
    """A choice names the package and the price that the page showed: `package:minor units`."""

    offer = forms.ChoiceField(label=gettext_lazy("What to buy"))
    threshold = forms.IntegerField(
        label=gettext_lazy("When fewer credits are left than"), min_value=1, max_value=10**9
    )
    cap = forms.DecimalField(
        label=gettext_lazy("At most in a calendar month"), min_value=0, max_digits=12
    )

    def __init__(self, data: Any = None, *, offers: list[Offer], refill: Refill | None) -> None:
        self.offers = {make_choice(offer): offer for offer in offers}
        self.currency = offers[0].currency if offers else ""
        super().__init__(data, initial=self._fill(offers, refill))
        choices = [(key, describe_offer(offer)) for key, offer in self.offers.items()]
        self.fields["offer"].choices = choices  # type: ignore[attr-defined]
        self.fields["cap"].label = f"{self.fields['cap'].label} ({self.currency.upper()})"

    def _fill(self, offers: list[Offer], refill: Refill | None) -> dict[str, Any]:
        """Return what the form begins with: the settings of before, else a proposal."""
        if not offers:
            return {}
        chosen = next(
            (offer for offer in offers if refill and offer.package == refill.package), offers[0]
        )
        is_same = refill is not None and refill.currency == self.currency
        cap = refill.monthly_cap if refill and is_same else chosen.price * DEFAULT_REFILLS
        return {
            "offer": make_choice(chosen),
            "threshold": refill.threshold if refill else max(chosen.package.credits // 5, 1),
            "cap": to_decimal(cap, self.currency),
        }

    def clean_cap(self) -> int:
        """Return the limit in minor units."""
        cap: Decimal = self.cleaned_data["cap"]
        minor = cap.scaleb(count_decimals(self.currency))
        if minor != int(minor) or minor > LARGEST * 100:
            raise ValidationError(_("Enter an amount of money."))
        return int(minor)


def make_choice(offer: Offer) -> str:
    return f"{offer.package.pk}:{offer.price}"


def describe_offer(offer: Offer) -> str:
    """Return a package for the list of choices: Pro: 1,500 credits for $50.00."""
    return _("%(package)s: %(credits)s credits for %(price)s") % {
        "package": offer.package.name,
        "credits": f"{offer.package.credits:,}",
        "price": offer.shown_price,
    }


def find_terms(form: RefillForm) -> dict[str, Any]:
    """Return what a valid form asks for, as credits/refills/consent.py takes it."""
    offer = form.offers[form.cleaned_data["offer"]]
    package: Package = offer.package
    return {
        "package": package,
        "currency": offer.currency,
        "threshold": form.cleaned_data["threshold"],
        "cap": form.cleaned_data["cap"],
        "shown_price": offer.price,
    }
