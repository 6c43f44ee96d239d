"""Check that the ledger is exact after a run, once the last completion is settled.

The process must connect as the owner of the tables.
"""

import time
from dataclasses import dataclass

SETTLED_SECONDS = 30

OPEN = "SELECT count(*) FROM credit_holds WHERE state = 'open'"
_OVERDRAFT = """
SELECT COALESCE((SELECT sum(GREATEST(-credits, 0)) FROM users), 0)
     + COALESCE((SELECT sum(GREATEST(-balance_after, 0)) FROM credit_transactions), 0)
"""
_DRIFT = """
SELECT COALESCE(sum(abs(u.credits - COALESCE(t.total, 0))), 0)
  FROM users u
  LEFT JOIN (SELECT user_id, sum(amount) AS total FROM credit_transactions GROUP BY user_id) t
    ON t.user_id = u.id
"""
_USAGE = "SELECT COALESCE(-sum(amount), 0) FROM credit_transactions WHERE type = 'usage'"
_RECEIPTS = "SELECT COALESCE(sum(charged), 0) FROM completions"
_COMPLETIONS = "SELECT count(*) FROM completions"


@dataclass(frozen=True)
class Books:
    """The sums of the ledger in credits, and counts: open holds, completions, audit problems."""

    overdraft: int
    drift: int
    open_holds: int
    problems: int
    charged: int  # According to the ledger.
    receipts: int  # According to the receipts.
    completions: int

    @property
    def exact(self) -> bool:
        return not (
            self.overdraft
            or self.drift
            or self.open_holds
            or self.problems
            or self.charged - self.receipts
        )

    def __str__(self) -> str:
        return (
            f"overdraft {self.overdraft}, drift {self.drift}, open holds {self.open_holds}, audit "
            f"problems {self.problems}; {self.completions:,} completions, {self.charged:,} credits "
            f"charged, {self.receipts:,} on their receipts"
        )


def close_books(seconds: float = SETTLED_SECONDS) -> Books:
    """Wait up to `seconds` until no hold is open, then compute all sums and audit the ledger."""
    from credits.proof import audit

    deadline = time.monotonic() + seconds
    while select_number(OPEN) and time.monotonic() < deadline:
        time.sleep(0.1)
    problems = audit.run().problems.total()
    return Books(
        overdraft=select_number(_OVERDRAFT),
        drift=select_number(_DRIFT),
        open_holds=select_number(OPEN),
        problems=problems,
        charged=select_number(_USAGE),
        receipts=select_number(_RECEIPTS),
        completions=select_number(_COMPLETIONS),
    )


def select_number(statement: str) -> int:
    """Return the number that the statement selects."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return int(row[0]) if row else 0
