"""What is on sale for one reader: packages with their prices in one currency."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.models import User
from credits.currencies import format_amount, format_fraction, to_decimal
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
    """Return the currency that the address names, or else that of the user's settings.

    Without either it is baht for Thai readers, and the first for all others.

    `sold` are the currencies in which something is on sale, the default first.
    """
    wanted = request.GET.get("currency", "")
    if wanted in sold:
        return wanted
    if isinstance(request.user, User) and request.user.currency in sold:
        return request.user.currency
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


@dataclass(frozen=True, slots=True)
class CreditPrice:
    """What one credit costs in `package`, in the main unit of `currency`."""

    package: Package
    currency: str
    each: Decimal

    def format_cost(self, credits: Decimal) -> str:
        """Return for people what so many credits cost."""
        return format_fraction(credits * self.each, self.currency)


def find_credit_price(currency: str) -> CreditPrice | None:
    """Return the price in the package whose credits cost most, so that nobody pays more than this.

    None if no package is on sale in this currency.
    """
    rows = PackagePrice.objects.filter(currency=currency, package__is_active=True)
    prices = [
        CreditPrice(row.package, currency, to_decimal(row.amount, currency) / row.package.credits)
        for row in rows.select_related("package").order_by("package_id")
        if row.package.credits
    ]
    return max(prices, key=lambda price: price.each, default=None)


def _read_requests(user: User, packages: Iterable[int]) -> dict[int, datetime]:
    waiting = PackageRequest.objects.filter(user=user, package__in=packages, answered_at=None)
    return dict(waiting.values_list("package_id", "created_at"))
