"""Measure pages of the admin over many rows: the first page with its charts, lists, searches.

    .venv/bin/python -m bench.admin_lists [--rows 10000000] [--times 200] [--only charts]

The program starts its own PostgreSQL, which is deleted afterwards, and fills it by SQL: completions
of 10,000 users in 90 days, a tenth as many transactions, and purchases. It prints a table;
docs/benchmarks.md has the last one. A page is marked if it passes a limit. `bench.admin_rows` says
how many rows each list reads, and through which indexes.
"""

import argparse
import gzip
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
# As in production: with DEBUG on, Django keeps a log of every statement.
os.environ.update(
    DEBUG="false",
    SECRET_KEY="only for this run " * 4,
    PUBLIC_ORIGIN="http://127.0.0.1",
    CURRENCIES="usd,thb",
    USD_RATES="thb=36",
)

from bench.usage_pages import DAYS, HEAVY, USERS, fill_tables
from smartspec.local.embedded_postgres import run_server

P50_MS, P99_MS = 100, 200
HTML_BYTES, COMPRESSED_BYTES = 100_000, 20_000
WARM_UP = 5

# What is measured. {user} is a typical user, {heavy} has a tenth of all completions; {completion},
# {transaction} and {purchase} are keys of rows in the middle.
ADDRESSES = (
    ("first page, charts of 24 hours", "/admin/?range=24h"),
    ("first page, charts of 7 days", "/admin/?range=7d"),
    ("first page, charts of 30 days", "/admin/?range=30d"),
    ("first page, charts of 90 days", "/admin/?range=90d"),
    ("completions", "/admin/llmproxy/completion/"),
    ("completions, deep", "/admin/llmproxy/completion/?before={completion}"),
    ("completions of a user", "/admin/llmproxy/completion/?user={user}"),
    ("completions of the heaviest user", "/admin/llmproxy/completion/?user={heavy}"),
    ("completions that failed", "/admin/llmproxy/completion/?status__exact=failed"),
    ("completions: search by number", "/admin/llmproxy/completion/?q=gen_bench4711"),
    ("a completion", "/admin/llmproxy/completion/{completion}/change/"),
    ("transactions", "/admin/credits/transaction/"),
    ("transactions of a user", "/admin/credits/transaction/?user={user}"),
    ("purchases among transactions", "/admin/credits/transaction/?type__exact=purchase"),
    ("transactions: search by address", "/admin/credits/transaction/?q=user700@example.com"),
    ("a transaction", "/admin/credits/transaction/{transaction}/change/"),
    ("purchases", "/admin/credits/purchase/"),
    ("a purchase", "/admin/credits/purchase/{purchase}/change/"),
    ("grants", "/admin/credits/grant/"),
    ("holds", "/admin/credits/hold/"),
    ("users", "/admin/accounts/user/"),
    ("users: search by address", "/admin/accounts/user/?q=user700@example.com"),
    ("users: search by a part", "/admin/accounts/user/?q=user70"),
    ("a user", "/admin/accounts/user/{user}/change/"),
    ("the heaviest user", "/admin/accounts/user/{heavy}/change/"),
    ("find: an address", "/admin/find/?q=user700@example.com"),
    ("find: the beginning of many", "/admin/find/?q=user70"),
    ("find: a number of an answer", "/admin/find/?q=gen_bench4711"),
    ("find: nothing", "/admin/find/?q=zzyzx"),
    ("status", "/admin/status/"),
    ("providers", "/admin/llmproxy/provider/"),
    ("models", "/admin/llmproxy/languagemodel/"),
    ("administrators' log", "/admin/admin/logentry/"),
    ("access events", "/admin/accounts/authevent/"),
)

TRANSACTIONS = """
INSERT INTO credit_transactions
    (user_id, seq, type, amount, balance_after, description, metadata, reference_id, created_at)
SELECT 1 + n %% %(users)s, 10 + n / %(users)s, type, CASE type WHEN 'usage' THEN -5 ELSE 500 END,
       1000, '', '{}', CASE type WHEN 'purchase' THEN 'pi_' || n ELSE '' END,
       now() - (%(rows)s - n) * %(step)s::interval
  FROM generate_series(1, %(rows)s) n,
       LATERAL (SELECT CASE n %% 100 WHEN 0 THEN 'purchase' WHEN 1 THEN 'bonus' WHEN 2
                           THEN 'adjustment' ELSE 'usage' END AS type) t
 ORDER BY n
"""
PURCHASES = """
INSERT INTO purchases
    (public_id, user_id, kind, state, name, credits, currency, net, total, livemode, language,
     checkout_session, checkout_url, payment_intent, invoice, method, problem, transaction_id,
     created_at, paid_at)
SELECT 'bench' || id, user_id, 'package', 'paid', 'Basic', 500, currency, paid, paid, false, '',
       '', '', reference_id, '', 'card', '', id, created_at, created_at
  FROM credit_transactions,
       LATERAL (SELECT CASE WHEN id %% 3 = 0 THEN 'thb' ELSE 'usd' END AS currency,
                       CASE WHEN id %% 3 = 0 THEN 17900 ELSE 500 END AS paid) p
 WHERE type = 'purchase' AND reference_id <> ''
"""


@dataclass(frozen=True, slots=True)
class Times:
    """What one page takes: milliseconds, statements and bytes."""

    status: int
    p50: float
    p99: float
    queries: int
    html: int
    compressed: int

    @property
    def is_over(self) -> bool:
        """True if the page passes a limit."""
        return (
            self.status != 200
            or self.p50 > P50_MS
            or self.p99 > P99_MS
            or self.html > HTML_BYTES
            or self.compressed > COMPRESSED_BYTES
        )

    def __str__(self) -> str:
        mark = " ←" if self.is_over else ""
        return (
            f"{self.p50:.0f} | {self.p99:.0f} | {self.queries} | {self.html / 1000:.0f} |"
            f" {self.compressed / 1000:.1f} |{mark}"
        )


def fill_ledger(rows: int) -> None:
    """Insert transactions and purchases without the ledger's verbs, which would take hours."""
    from django.db import connection

    step = f"{DAYS * 24 * 3600 / rows:.6f} seconds"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        # The search by number needs the index that filling goes without.
        cursor.execute(
            "ALTER TABLE completions ADD CONSTRAINT completions_once UNIQUE (generation_id)"
        )
        cursor.execute("ALTER TABLE credit_transactions DISABLE TRIGGER USER")
        # Each user was made with a purchase just now: as many were not sold on one day.
        cursor.execute("UPDATE credit_transactions SET created_at = now() - interval '200 days'")
        cursor.execute(TRANSACTIONS, {"rows": rows, "users": USERS, "step": step})
        cursor.execute(PURCHASES, {})
        cursor.execute(
            "UPDATE users SET date_joined = now() - (id %% %(days)s) * interval '1 day'",
            {"days": 2 * DAYS},
        )
        cursor.execute("VACUUM ANALYZE")
    print(f"{rows:,} transactions", flush=True)


def fold() -> None:
    from django.db import connection

    from llmproxy.models import UsageFold
    from llmproxy.usage import folding

    started, rounds = time.perf_counter(), 0
    recent = datetime.now(UTC) - timedelta(minutes=20)  # A round ends after some seconds.
    while not UsageFold.objects.filter(
        until__gt=recent, hours_until__gt=recent, people_until__gt=recent
    ).exists():
        folding.fold()
        rounds += 1
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"folded in {time.perf_counter() - started:.0f} s and {rounds} rounds", flush=True)
    for _number in range(3):
        started = time.perf_counter()
        folding.fold()
        print(f"a fold of the minute: {(time.perf_counter() - started) * 1000:.0f} ms", flush=True)


def measure_pages(times: int, only: str) -> None:
    from django.conf import settings

    from accounts.models import User
    from bench.browser import Browser

    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    client = Browser(SERVER_NAME="127.0.0.1")
    client.force_login(
        User.objects.create_user("bench@example.com", "x", is_staff=True, is_superuser=True)
    )
    keys = find_keys()
    print("\n| page | p50 ms | p99 ms | statements | HTML kB | compressed kB | |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, address in ADDRESSES:
        if only in name:
            print(f"| {name} | {measure(client, address.format(**keys), times)}", flush=True)


def find_keys() -> dict[str, int]:
    """Return the keys that ADDRESSES name."""
    from credits.models import Purchase, Transaction
    from llmproxy.models import Completion

    last = Completion.objects.order_by("-pk").values_list("pk", flat=True)[0]
    newest = Transaction.objects.order_by("-pk").values_list("pk", flat=True)[0]
    bought = Purchase.objects.order_by("-pk").values_list("pk", flat=True)[0]
    return {
        "user": USERS - 1,
        "heavy": HEAVY,
        "completion": last // 2,
        "transaction": newest // 2,
        "purchase": bought // 2,
    }


def measure(client: "object", address: str, times: int) -> Times:
    """Request a page so many times, after a warm-up."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    assert isinstance(client, Client)
    for _number in range(WARM_UP):
        client.get(address, secure=True, follow=True)
    with CaptureQueriesContext(connection) as queries:
        response = client.get(address, secure=True, follow=True)
        statements = len(queries)  # The next request empties the log.
    durations = []
    for _number in range(times):
        started = time.perf_counter()
        client.get(address, secure=True, follow=True)
        durations.append((time.perf_counter() - started) * 1000)
    html = response.content
    return Times(
        response.status_code,
        statistics.median(durations),
        statistics.quantiles(durations, n=100)[98],
        statements,
        len(html),
        len(gzip.compress(html, 6)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", default="", help="only pages with this word in their name")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-admin-") as folder,
        run_server(Path(folder) / "data") as url,
    ):
        os.environ["DATABASE_URL"] = url
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        fill_tables(options.rows)
        fill_ledger(options.rows // 10)
        fold()
        measure_pages(options.times, options.only)


if __name__ == "__main__":
    main()
