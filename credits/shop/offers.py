"""What is on sale for one reader: packages with their prices in one currency."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.models import User
from credits.currencies import format_amount
from credits.models import Package, PackagePrice, PackageRequest
from credits.purchases.taxes import is_calculated_by_stripe

THAI_CURRENCY = "thb"


@dataclass(frozen=True, slots=True)
class Offer:
    """One package for one reader. `price` is in minor units of `currency`.

    `asked_at` is when the reader asked the operator for it, where nothing can be paid online.
    """

    package: Package
    price: int
    currency: str
    asked_at: datetime | None = None
    form_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def shown_price(self) -> str:
        return format_amount(self.price, self.currency)


def describe_tax() -> str:
    """Return what a shown price lacks, for the reader; empty if it is all that is paid."""
    return _("plus tax") if is_calculated_by_stripe() else ""


def choose_currency(request: HttpRequest, sold: list[str]) -> str:
    """Return the currency that the address names; else baht for Thai readers; else the first.

    `sold` are the currencies in which something is on sale, the default first.
    """
    wanted = request.GET.get("currency", "")
    if wanted in sold:
        return wanted
    if (get_language() or "").startswith("th") and THAI_CURRENCY in sold:
        return THAI_CURRENCY
    return sold[0] if sold else settings.CURRENCIES[0]


def list_currencies() -> list[str]:
    """Return the currencies in which a package is on sale, in the order of CURRENCIES."""
    active = PackagePrice.objects.filter(package__is_active=True)
    priced = set(active.values_list("currency", flat=True).distinct())
    return [code for code in settings.CURRENCIES if code in priced]


def list_offers(user: User | None, currency: str) -> list[Offer]:
    """Return the packages that are on sale in this currency, in the order of the operator.

    `user` is the reader, None for who has not logged in.
    """
    prices = PackagePrice.objects.filter(currency=currency, package__is_active=True)
    rows = prices.select_related("package").order_by("package__sort_order", "package_id")
    requested_at = _read_requests(user, (row.package_id for row in rows)) if user else {}
    return [
        Offer(row.package, row.amount, currency, asked_at=requested_at.get(row.package_id))
        for row in rows
    ]


def _read_requests(user: User, packages: Iterable[int]) -> dict[int, datetime]:
    waiting = PackageRequest.objects.filter(user=user, package__in=packages, answered_at=None)
    return dict(waiting.values_list("package_id", "created_at"))
