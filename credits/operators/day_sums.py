"""Sums of the ledger and of payments by day, for the first page of the admin.

Usage is not among them: it has millions of rows, and a roll-up (llmproxy/usage/day_totals.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from credits.operators.movements import Movement, read_movements

NEWEST = 1_000  # purchases that the average price is taken from

_PRICES = """
SELECT COALESCE(NULLIF(received_currency, ''), currency), sum(COALESCE(received, total))::bigint,
       sum(credits)::bigint
  FROM (SELECT * FROM purchases WHERE state = 'paid' ORDER BY id DESC LIMIT %(newest)s) newest
 GROUP BY 1 HAVING sum(credits) > 0 ORDER BY 3 DESC
"""

Money = dict[str, int]  # minor units by currency


@dataclass(slots=True)
class DaySums:
    """One span: credits `granted`, `given_back` for usage and `bought`, and the money of both ways.

    `moved` is the sum of all movements of balances but usage.
    """

    granted: int = 0
    given_back: int = 0
    bought: int = 0
    moved: int = 0
    sold: Money = field(default_factory=dict)
    sent_back: Money = field(default_factory=dict)

    def add(self, row: Movement) -> None:
        self.granted += row.granted
        self.given_back += row.given_back
        self.bought += row.sold
        self.moved += row.credits
        for money, amount in ((self.sold, row.received), (self.sent_back, row.sent_back)):
            if amount:
                money[row.currency] = money.get(row.currency, 0) + amount


def sum_spans(spans: Sequence[tuple[datetime, datetime]]) -> list[DaySums]:
    """Sum up the ledger and the payments of each span."""
    sums = [DaySums() for _span in spans]
    for row in read_movements(spans):
        sums[row.span].add(row)
    return sums


def value_credits(amount: int) -> Money:
    """Return what so many credits would cost at the average price of the newest purchases.

    Each currency gets the share of the credits that were bought in it. Empty without purchases.
    """
    prices = _query(_PRICES, {"newest": NEWEST})
    bought = sum(credits for _currency, _money, credits in prices)
    return {
        currency: round(Decimal(amount) * money / bought) for currency, money, _credits in prices
    }


def _query(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
