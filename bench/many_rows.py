"""Millions of transactions that keep every invariant, made by SQL in minutes.

The ledger's verbs would take hours.
"""

import time

from django.db import connection
from django.db.transaction import atomic

CHUNK = 250  # Users of one statement.
HEAVY_PERCENT = 10  # The share of all rows that belong to one user.


def make_users(users: int, credits: int) -> None:
    """Create the users 1 … n, each with one purchase by the ledger's verb."""
    with connection.cursor() as cursor:
        cursor.execute(_USERS, {"users": users})
        cursor.execute(_FUND, {"credits": credits})


def make_rows(users: int, rows: int) -> int:
    """Spread `rows` adjustments of one credit over the users; return the heaviest user's id."""
    start, heavy = time.monotonic(), 1
    heavy_rows = rows * HEAVY_PERCENT // 100
    each = (rows - heavy_rows) // (users - 1)
    _insert_rows(heavy, heavy, heavy_rows)
    for first in range(2, users + 1, CHUNK):
        _insert_rows(first, min(first + CHUNK - 1, users), each)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"\n{rows:,} transactions made in {time.monotonic() - start:.0f} s")
    return heavy


def _insert_rows(first: int, last: int, each: int) -> None:
    guards = [
        ("users", "users_check_balance"),
        ("credit_transactions", "credit_transactions_check_balance"),
    ]
    with atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for table, guard in guards:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        cursor.execute(_ROWS, {"first": first, "last": last, "each": each})
        cursor.execute(_AFTER, {"first": first, "last": last, "each": each})
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, guard in guards:
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard}")


_USERS = """
INSERT INTO users
    (id, password, is_superuser, public_id, email, name, is_active, is_staff, date_joined, plan)
SELECT n, '', false, 'usr_' || n, 'user' || n || '@example.com', '', true, false, now(), 'free'
  FROM generate_series(1, %(users)s) n;
SELECT setval(pg_get_serial_sequence('users', 'id'), %(users)s)
"""

_FUND = """
SELECT count(ledger_post(
           id, 'add', 'bench',
           jsonb_build_object('type', 'purchase', 'amount', %(credits)s::bigint,
                              'reference_id', '', 'priority', 100, 'expires_at', NULL),
           '{"description": "Benchmark", "metadata": {}}'))
  FROM users
"""

_ROWS = """
WITH RECURSIVE chain AS (
    SELECT id AS user_id, 0 AS n, ledger_seq AS seq, ledger_ops AS op, credits,
           ledger_digest AS digest,
           clock_timestamp() AS t
      FROM users WHERE id BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT user_id, n + 1, seq + 1, op + 1, credits - 1,
           sha256(digest || convert_to(json_build_array(
               user_id, seq + 1, op + 1, 'adjustment', -1, credits - 1, 0, 0, 'Benchmark', '{}',
               '', NULL, (extract(epoch FROM t) * 1000000)::bigint, NULL, NULL, NULL, NULL
           )::text, 'UTF8')), t
      FROM chain WHERE n < %(each)s
)
INSERT INTO credit_transactions
    (user_id, seq, op, type, amount, balance_after, debt, debt_after, description, metadata,
     reference_id, created_at, digest)
SELECT user_id, seq, op, 'adjustment', -1, credits, 0, 0, 'Benchmark', '{}', '', t, digest
  FROM chain WHERE n > 0
"""

_AFTER = """
INSERT INTO credit_allocations (user_id, transaction_id, grant_id, amount)
SELECT t.user_id, t.id, g.id, -1
  FROM users u
  JOIN credit_grants g ON g.user_id = u.id
  JOIN credit_transactions t ON t.user_id = u.id AND t.seq > u.ledger_seq
 WHERE u.id BETWEEN %(first)s AND %(last)s;
UPDATE credit_grants SET remaining = remaining - %(each)s
 WHERE user_id BETWEEN %(first)s AND %(last)s;
UPDATE users u SET credits = t.balance_after, ledger_seq = t.seq, ledger_ops = t.op,
                   ledger_digest = t.digest
  FROM credit_transactions t
 WHERE u.id BETWEEN %(first)s AND %(last)s AND t.user_id = u.id AND t.seq = u.ledger_seq + %(each)s
"""
