"""Does every balance follow from its rows? Asked of the rows themselves, a chunk of users at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Max

from accounts.models import User

CHUNK = 1000  # users per statement: a snapshot held for long slows every hot row


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence."""

    user_id: int
    problem: str

    def __str__(self) -> str:
        return f"user {self.user_id}: {self.problem}"


@dataclass(slots=True)
class Report:
    users: int = 0
    transactions: int = 0
    holds: int = 0
    findings: list[Finding] = field(default_factory=list)


def run() -> Report:
    """Check all users. Each chunk is one statement, so it sees one moment of a busy ledger."""
    report = Report()
    for first, last in _chunks():
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, {"first": first, "last": last})
            users, transactions, holds = cursor.fetchone()
            cursor.execute(_CHECK, {"first": first, "last": last})
            report.findings += [Finding(*row) for row in cursor.fetchall()]
        report.users += users
        report.transactions += transactions
        report.holds += holds
    return report


def _chunks() -> Iterator[tuple[int, int]]:
    """Ranges of user ids, both ends included, with at most CHUNK users in each."""
    last = 0
    while True:
        ids = User.objects.filter(pk__gt=last).order_by("pk").values("pk")[:CHUNK]
        end = User.objects.filter(pk__in=ids).aggregate(end=Max("pk"))["end"]
        if end is None:
            return
        yield last + 1, end
        last = end


_COUNT = """
SELECT (SELECT count(*) FROM users WHERE id BETWEEN %(first)s AND %(last)s),
       (SELECT count(*) FROM credit_transactions WHERE user_id BETWEEN %(first)s AND %(last)s),
       (SELECT count(*) FROM credit_holds WHERE user_id BETWEEN %(first)s AND %(last)s)
"""

# Numbers in the messages are the invariants of docs/ledger.md.
_CHECK = """
WITH account AS (
    SELECT id, credits, credits_held, open_holds, ledger_seq FROM users WHERE id BETWEEN %(first)s AND %(last)s
), posted AS (
    SELECT user_id, id, seq, type, amount, balance_after, hold_id,
           COALESCE(lag(balance_after) OVER w, 0) AS balance_before, COALESCE(lag(seq) OVER w, 0) AS seq_before
      FROM credit_transactions WHERE user_id BETWEEN %(first)s AND %(last)s
    WINDOW w AS (PARTITION BY user_id ORDER BY seq)
), total AS (
    SELECT user_id, sum(amount) AS amount, max(seq) AS seq FROM posted GROUP BY user_id
), reserved AS (
    SELECT user_id, sum(amount) AS amount, count(*) AS holds
      FROM credit_holds WHERE state = 'open' AND user_id BETWEEN %(first)s AND %(last)s GROUP BY user_id
), charged AS (
    SELECT h.user_id, h.id, h.state, h.captured, p.id AS transaction_id, p.amount
      FROM credit_holds h LEFT JOIN posted p ON p.hold_id = h.id AND p.type = 'usage'
     WHERE h.user_id BETWEEN %(first)s AND %(last)s
)
SELECT a.id, format('1: balance is %%s at transaction %%s, but its rows sum to %%s up to transaction %%s',
                    a.credits, a.ledger_seq, COALESCE(t.amount, 0), COALESCE(t.seq, 0))
  FROM account a LEFT JOIN total t ON t.user_id = a.id
 WHERE a.credits <> COALESCE(t.amount, 0) OR a.ledger_seq <> COALESCE(t.seq, 0)
UNION ALL
SELECT user_id, format('2: transaction %%s (id %%s) follows number %%s with balance %%s, moves %%s and leaves %%s',
                       seq, id, seq_before, balance_before, amount, balance_after)
  FROM posted WHERE seq <> seq_before + 1 OR balance_after <> balance_before + amount
UNION ALL
SELECT a.id, format('3: %%s credits held in %%s holds, but the open holds are %%s over %%s credits',
                    a.credits_held, a.open_holds, COALESCE(r.holds, 0), COALESCE(r.amount, 0))
  FROM account a LEFT JOIN reserved r ON r.user_id = a.id
 WHERE a.credits_held <> COALESCE(r.amount, 0) OR a.open_holds <> COALESCE(r.holds, 0)
    OR a.credits_held > a.credits
UNION ALL
SELECT user_id, format('4: hold %%s is %%s with %%s captured, but its transaction (id %%s) moved %%s',
                       id, state, COALESCE(captured, 0), COALESCE(transaction_id::text, 'none'), COALESCE(amount, 0))
  FROM charged WHERE COALESCE(captured, 0) <> -COALESCE(amount, 0)
 ORDER BY 1, 2
 LIMIT 1000
"""
