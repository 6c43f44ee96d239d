r"""How many rows the lists of the admin read in a large ledger: every filter, first and deep pages.

The program uses EXPLAIN ANALYZE in a database of its own, which must be empty. It makes ROWS
transactions (300,000):


    ROWS=1000000 .venv/bin/python -m smartspec.local.embedded_postgres --data /tmp/lists -- \
        .venv/bin/python -m bench.admin_rows
"""

import argparse
import json
import os
import sys
import time
from itertools import product
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import User  # noqa: E402
from bench.browser import Browser  # noqa: E402

ROWS = int(os.environ.get("ROWS", "300000"))
USERS = 2000  # One of them has every third completion.
TABLES = ("credit_transactions", "credit_holds")

FILL = """
INSERT INTO users
    (password, is_superuser, public_id, email, name, is_active, is_staff, date_joined, plan,
     ledger_digest)
SELECT '', false, 'usr_' || n, 'user' || n || '@example.com', '', true, n <= 3, now(), 'free', ''
  FROM generate_series(1, {users}) n;
INSERT INTO credit_holds
    (user_id, amount, captured, state, reference_id, created_at, expires_at, ended_at, requested,
     at_least)
SELECT CASE WHEN n % 3 = 0 THEN 1 ELSE 1 + n % {users} END, 5,
       CASE WHEN s.state = 'captured' THEN 5 END, s.state, 'gen_' || n, t, t + interval '20 min',
       CASE WHEN s.state <> 'open' THEN t END, 5, 5
  FROM generate_series(1, {rows}) n,
       LATERAL (SELECT CASE WHEN n > {rows} - 20 THEN 'open' WHEN n % 5000 = 0 THEN 'expired'
                            WHEN n % 100 = 0 THEN 'released' ELSE 'captured' END AS state) s,
       LATERAL (SELECT now() - ({rows} - n) * interval '1 minute' AS t) w;
INSERT INTO credit_transactions
    (user_id, seq, type, amount, balance_after, description, metadata, reference_id, hold_id,
     actor_id, created_at)
SELECT u, row_number() OVER (PARTITION BY u ORDER BY n), k.type,
       CASE WHEN k.type = 'usage' THEN -5 ELSE 100 END, 1000, '', '{{}}',
       CASE k.type WHEN 'usage' THEN 'gen_' || n WHEN 'purchase' THEN 'pi_' || n ELSE '' END,
       CASE WHEN k.type = 'usage' THEN n END, CASE WHEN k.type = 'adjustment' THEN 1 + n % 3 END,
       now() - ({rows} - n) * interval '1 minute'
  FROM generate_series(1, {rows}) n,
       LATERAL (SELECT CASE WHEN n % 3 = 0 THEN 1 ELSE 1 + n % {users} END AS u) w,
       LATERAL (SELECT CASE WHEN n % 20011 = 0 THEN 'refund' WHEN n % 1009 = 0 THEN 'adjustment'
                            WHEN n % 499 = 0 THEN 'purchase' ELSE 'usage' END AS type) k
 ORDER BY n;
"""


def fill_tables() -> None:
    """Insert rows without the ledger's verbs, which would take an hour. The lists do not care."""
    if User.objects.exists():
        sys.exit(
            "This database has users. Its guards protect them and are not switched off for a"
            " measurement."
        )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for table in (*TABLES, "users"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in FILL.format(users=USERS, rows=ROWS).split(";"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("ANALYZE")
        cursor.execute("SET statement_timeout = '30s'")


def measure(client: Browser, name: str, path: str) -> None:
    """Request one page; print how many rows its statements read, and through which indexes."""
    started = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        status = client.get(path, follow=True).status_code
    milliseconds = (time.perf_counter() - started) * 1000
    statements = [
        q["sql"]
        for q in queries
        if q["sql"].startswith("SELECT") and any(table in q["sql"] for table in TABLES)
    ]
    plans = [
        plan
        for sql in statements
        for plan in list_nodes(explain(sql))
        if plan.get("Relation Name") in TABLES
    ]
    read = sum(plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) for plan in plans)
    scans = ", ".join(sorted({plan.get("Index Name") or plan["Node Type"] for plan in plans}))
    counted = "COUNT " if any("COUNT(" in sql or "OFFSET" in sql for sql in statements) else ""
    say(
        f"{name:38} {status} {milliseconds:5.0f} ms {len(statements):3} statements"
        f" {read:8.0f} rows {counted}{scans}"
    )


def explain(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        plan: Any = cursor.fetchone()[0]
    return dict((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def list_nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in list_nodes(child))]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    call_command("migrate", verbosity=0)
    fill_tables()
    client = Browser(SERVER_NAME="127.0.0.1")
    client.force_login(
        User.objects.create_user("bench@example.com", "x", is_staff=True, is_superuser=True)
    )
    rows, holds = "/admin/credits/transaction/?", "/admin/credits/hold/?"
    old = f"before={ROWS // 10}"
    days = "created_at_from=2020-01-01&created_at_to=2026-06-30"
    users = {"": "", "hot user": "user=1", "cold user": "user=700"}
    kinds = {
        "": "",
        "usage": "type__exact=usage",
        "purchase": "type__exact=purchase",
        "refund": "type__exact=refund",
    }
    actors = {"": "", "actor": "actor=2"}
    dates = {"": "", "dates": days}
    for filters in product(users.items(), kinds.items(), actors.items(), dates.items()):
        name = " + ".join(name for name, _ in filters if name) or "everything"
        measure(client, name, rows + "&".join(query for _, query in filters if query))
    measure(client, "everything, deep", rows + old)
    measure(client, "purchase, deep", f"{rows}type__exact=purchase&{old}")
    terms = {
        "email": "user700@example.com",
        "public id": "usr_700",
        "number": "4711",
        "payment": f"pi_{499 * 3}",
        "nothing": "nothing",
        "no such address": "nobody@example.com",
    }
    for name, term in terms.items():
        measure(client, f"search: {name}", f"{rows}q={term}")
    for state in ("", "open", "captured", "released", "expired"):
        for user, query in users.items():
            by_state = f"state__exact={state}&" if state else ""
            measure(client, f"holds {state} {user}", f"{holds}{by_state}{query}")
    measure(client, "holds search: running", f"{holds}q=gen_{ROWS}")
    measure(client, "dashboard", "/admin/")


if __name__ == "__main__":
    main()
