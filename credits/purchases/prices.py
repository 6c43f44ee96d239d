"""What a package costs in each currency, and the tax in it."""

from django.conf import settings

from credits.currencies import format_amount
from credits.models import Package, PackagePrice
from credits.purchases.refusals import NotOnSale
from credits.purchases.taxes import Split, is_calculated_by_stripe, split

__all__ = [
    "Split",
    "find_price",
    "find_refill_price",
    "format_amount",
    "list_prices",
    "split",
]


def find_price(package: Package, currency: str) -> int:
    """Return what a package costs now, in minor units. Raises NotOnSale."""
    if not package.is_active or currency not in settings.CURRENCIES:
        raise NotOnSale
    price = PackagePrice.objects.filter(package=package, currency=currency).first()
    if price is None:
        raise NotOnSale
    return price.amount


def find_refill_price(package: Package, currency: str) -> int:
    """Return what an automatic refill costs now, in minor units. Raises NotOnSale.

    None is sold where Stripe adds the tax: it does so on its page only, which no refill has.
    """
    if is_calculated_by_stripe():
        raise NotOnSale
    return find_price(package, currency)


def list_prices(package: Package) -> list[PackagePrice]:
    """Return the prices in the currencies on sale, in the order of CURRENCIES."""
    prices = {price.currency: price for price in package.prices.all()}
    return [prices[currency] for currency in settings.CURRENCIES if currency in prices]
