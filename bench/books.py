"""Is the ledger exact after a run? Asked as the owner of the tables, when the last completion is settled."""

import time
from dataclasses import dataclass

SETTLED_SECONDS = 30

_OPEN = "SELECT count(*) FROM credit_holds WHERE state = 'open'"
_OVERDRAFT = """
SELECT COALESCE((SELECT sum(GREATEST(-credits, 0)) FROM users), 0)
     + COALESCE((SELECT sum(GREATEST(-balance_after, 0)) FROM credit_transactions), 0)
"""
_DRIFT = """
SELECT COALESCE(sum(abs(u.credits - COALESCE(t.total, 0))), 0)
  FROM users u LEFT JOIN (SELECT user_id, sum(amount) AS total FROM credit_transactions GROUP BY user_id) t
    ON t.user_id = u.id
"""
_USAGE = "SELECT COALESCE(-sum(amount), 0) FROM credit_transactions WHERE type = 'usage'"
_RECEIPTS = "SELECT COALESCE(sum(charged), 0) FROM completions"
_COMPLETIONS = "SELECT count(*) FROM completions"


@dataclass(frozen=True)
class Books:
    """Credits, but for `open_holds`, `completions` and the `problems` of the audit's invariants."""

    overdraft: int
    drift: int
    open_holds: int
    problems: int
    charged: int  # by the ledger
    receipts: int  # by the receipts
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
            f"overdraft {self.overdraft}, drift {self.drift}, open holds {self.open_holds}, audit problems "
            f"{self.problems}; {self.completions:,} completions, {self.charged:,} credits charged, "
            f"{self.receipts:,} on their receipts"
        )


def close(seconds: float = SETTLED_SECONDS) -> Books:
    """Wait until nothing is held any more, at most so long, then add everything up and audit it."""
    from credits.proof import audit

    deadline = time.monotonic() + seconds
    while number(_OPEN) and time.monotonic() < deadline:
        time.sleep(0.1)
    problems = audit.run().problems.total()
    return Books(
        overdraft=number(_OVERDRAFT),
        drift=number(_DRIFT),
        open_holds=number(_OPEN),
        problems=problems,
        charged=number(_USAGE),
        receipts=number(_RECEIPTS),
        completions=number(_COMPLETIONS),
    )


def number(statement: str) -> int:
    """The one number that a statement selects."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return int(row[0]) if row else 0
