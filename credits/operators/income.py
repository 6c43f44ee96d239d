"""Money that came in and went back, credits in, and what a credit is worth, for the charts.

Currencies are never added: each has its own figures.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db import connection

from credits.currencies import to_decimal
from credits.exchange_rates import convert, get_main_currency
from credits.operators.movements import Movement, read_movements

NEWEST = 1_000  # purchases that the average price is taken from

_PRICES = """
SELECT currency, sum(net)::bigint, sum(credits)::bigint
  FROM (SELECT * FROM purchases WHERE state = 'paid' ORDER BY id DESC LIMIT %(newest)s) newest
 GROUP BY 1 HAVING sum(credits) > 0
"""


@dataclass(frozen=True, slots=True)
class Money:
    """What came in and went back in a period, in minor units of one currency."""

    period: int
    currency: str
    received: int
    sent_back: int


@dataclass(frozen=True, slots=True)
class CreditsIn:
    """Credits that were sold, given without payment, and given back for usage in a period."""

    period: int
    sold: int
    granted: int
    given_back: int


@dataclass(frozen=True, slots=True)
class CreditValue:
    """What a credit is worth, in main units of a currency.

    `is_paid` is False if nothing has been sold yet and CREDITS_PER_USD says it.
    """

    amount: Decimal
    currency: str
    is_paid: bool


def read_income(limits: Sequence[datetime]) -> tuple[list[Money], list[CreditsIn]]:
    """Read the money by currency, and the credits, of each period between two of these moments."""
    periods = defaultdict[int, list[Movement]](list)
    by_currency = defaultdict[tuple[int, str], list[Movement]](list)
    for row in read_movements(list(pairwise(limits))):
        periods[row.span].append(row)
        if row.currency:
            by_currency[row.span, row.currency].append(row)
    money = [
        Money(*key, sum(row.received for row in rows), sum(row.sent_back for row in rows))
        for key, rows in sorted(by_currency.items())
    ]
    return money, [_sum_credits(period, rows) for period, rows in sorted(periods.items())]


def _sum_credits(period: int, rows: Sequence[Movement]) -> CreditsIn:
    return CreditsIn(
        period,
        sum(row.sold for row in rows),
        sum(row.granted for row in rows),
        sum(row.given_back for row in rows),
    )


def find_credit_value() -> CreditValue | None:
    """Return the average price that was paid for a credit, without tax, in the main currency.

    It is taken from the NEWEST paid purchases. Where one is in a currency without a rate, it is
    left out. Without any, CREDITS_PER_USD says it; without that, nobody knows: None.
    """
    main = get_main_currency()
    paid, bought = Decimal(0), 0
    for currency, net, credits in _query(_PRICES, {"newest": NEWEST}):
        amount = convert(to_decimal(net, currency), currency, main)
        if amount is not None:
            paid, bought = paid + amount, bought + credits
    if bought:
        return CreditValue(paid / bought, main, is_paid=True)
    if settings.CREDITS_PER_USD:
        dollars = 1 / Decimal(settings.CREDITS_PER_USD)
        amount = convert(dollars, "usd", main)
        if amount is not None:
            return CreditValue(amount, main, is_paid=False)
    return None


def _query(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
