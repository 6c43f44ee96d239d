"""What moved in balances but usage, and the money behind it, by span of time.

Usage is not among it: it has millions of rows, and a roll-up (llmproxy/usage/whole_site/).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

Span = tuple[datetime, datetime]
SENT_BACK = "sent back"  # instead of the type of a transaction
PAYMENTS = ("purchase", "subscription")

# Only what is not usage has an index by time, so purchases are found by their transactions. LATERAL
# reads each span by itself: to sort all rows by their span takes twice as long.
_MOVEMENTS = """
WITH spans AS (
    SELECT number - 1 AS span, begin, until
      FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[])
           WITH ORDINALITY AS span(begin, until, number)
)
SELECT span, type, is_paid, is_gain, currency, sum(amount)::bigint,
       COALESCE(sum(money), 0)::bigint
  FROM spans, LATERAL (
       SELECT type, amount, amount > 0 AS is_gain,
              type = 'purchase' OR reference_id <> '' AS is_paid,
              COALESCE(NULLIF(received_currency, ''), currency, '') AS currency,
              COALESCE(received, total) AS money
         FROM credit_transactions t LEFT JOIN purchases p ON p.transaction_id = t.id
        WHERE type <> 'usage' AND t.created_at >= begin AND t.created_at < until) moved
 GROUP BY 1, 2, 3, 4, 5
 UNION ALL
SELECT span, %(sent_back)s, true, false, COALESCE(NULLIF(received_currency, ''), currency),
       0, sum(r.amount)::bigint
  FROM spans JOIN payment_reversals r
    ON r.is_in_force AND r.created_at >= begin AND r.created_at < until
  JOIN purchases p ON p.id = r.purchase_id
 GROUP BY 1, 5
"""
_MOVED = """
SELECT COALESCE(sum(amount), 0)::bigint FROM credit_transactions
 WHERE type <> 'usage' AND created_at >= %(begin)s
"""


@dataclass(frozen=True, slots=True)
class Movement:
    """The sums of one type in the span of this number. `money` is in minor units of `currency`.

    `is_paid` tells the credits of a paid plan from those of a plan that is given, `is_gain` those
    that came from those that went. Without a purchase there is no currency: it is "".
    """

    span: int
    type: str
    is_paid: bool
    is_gain: bool
    currency: str
    credits: int
    money: int

    @property
    def sold(self) -> int:
        return self.credits if self.is_paid and self.type in PAYMENTS else 0

    @property
    def granted(self) -> int:
        """The credits that were given without payment."""
        is_plan = self.type == "subscription" and not self.is_paid
        is_gift = self.type == "bonus" or (self.type == "adjustment" and self.is_gain)
        return self.credits if is_plan or is_gift else 0

    @property
    def given_back(self) -> int:
        """The credits that were returned for usage."""
        return self.credits if self.type == "refund" and self.is_gain else 0

    @property
    def received(self) -> int:
        return self.money if self.type in PAYMENTS else 0

    @property
    def sent_back(self) -> int:
        return self.money if self.type == SENT_BACK else 0


def read_movements(spans: Sequence[Span]) -> Iterator[Movement]:
    """Read what moved in each span, in one statement."""
    begins, ends = [begin for begin, _end in spans], [end for _begin, end in spans]
    asked: dict[str, Any] = {"begins": begins, "ends": ends, "sent_back": SENT_BACK}
    with connection.cursor() as cursor:
        cursor.execute(_MOVEMENTS, asked)
        for row in cursor.fetchall():
            yield Movement(*row)


def sum_moved(since: datetime) -> int:
    """Return the sum of all movements of balances but usage since then."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, {"begin": since})
        return int(cursor.fetchone()[0])
