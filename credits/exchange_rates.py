"""What a US dollar is in other currencies, as the setting USD_RATES says.

The rates are for figures of the operator only: no payment is ever converted.
"""

from decimal import Decimal

from django.conf import settings


def get_main_currency() -> str:
    """Return the operator's currency, which is the first of CURRENCIES."""
    currency: str = settings.CURRENCIES[0]
    return currency


def convert(amount: Decimal, currency: str, target: str) -> Decimal | None:
    """Return an amount in another currency, both in main units; None without a rate."""
    if currency == target:
        return amount
    rates: dict[str, Decimal] = {"usd": Decimal(1), **settings.USD_RATES}
    if currency not in rates or target not in rates:
        return None
    return amount * rates[target] / rates[currency]
