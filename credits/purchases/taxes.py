"""The tax inside a price: TAX_MODE and TAX_RATES.

With TAX_MODE=included the shown price contains the tax, so the seller receives less when a rate
rises and no buyer pays another price than the page showed. With `stripe`, Stripe adds the tax to
the price, and only Stripe knows how much; with `none` there is none.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MODES = NONE, INCLUDED, STRIPE = ("none", "included", "stripe")
# A rate has at most three decimals, so 100 percent in thousandths is this.
WHOLE = 100_000


class Split(NamedTuple):
    """The parts of a total, in minor units of its currency: `net` + `tax` = the total."""

    net: int
    tax: int
    percent: Decimal


def split(total: int, when: datetime) -> Split:
    """Return the parts of `total` minor units that are paid at `when`.

    The tax is rounded half up to a minor unit, whatever the currency's minor unit is; the net
    amount is the rest.
    """
    percent = find_percent(when)
    tax = calculate_tax(total, percent)
    return Split(net=total - tax, tax=tax, percent=percent)


def calculate_tax(total: int, percent: Decimal) -> int:
    """Return the tax that is inside `total` minor units, rounded half up: total × p / (100 + p)."""
    thousandths = int(percent * 1000)
    whole = WHOLE + thousandths
    return (2 * total * thousandths + whole) // (2 * whole)


def find_percent(when: datetime) -> Decimal:
    """Return the rate in percent on the day of `when`; 0 unless TAX_MODE is included.

    Raises ImproperlyConfigured if there is no rate, which smartspec.E051 refuses at start.
    """
    if settings.TAX_MODE != INCLUDED:
        return Decimal(0)
    day = get_day(when)
    for percent, until in settings.TAX_RATES:
        if until is None or day <= until:
            return Decimal(percent)
    raise ImproperlyConfigured("TAX_RATES has no rate for today.")


def get_day(when: datetime) -> date:
    """Return the calendar day of a time where the seller is."""
    return when.astimezone(ZoneInfo(settings.SELLER_TIME_ZONE)).date()


def is_calculated_by_stripe() -> bool:
    """True if Stripe adds the tax to the price."""
    return bool(settings.TAX_MODE == STRIPE)
