"""Measure usage over many completions: the fold of `tick`, the statement of the page, the page.

    .venv/bin/python -m bench.usage_pages [--rows 10000000] [--times 300]

The program starts its own PostgreSQL, which is deleted afterwards, and fills it by SQL. It prints
tables; docs/benchmarks.md has the last ones. One of 10,000 users has a tenth of the completions.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
# As in production: with DEBUG on, Django keeps a log of every statement.
os.environ.update(
    DEBUG="false", SECRET_KEY="only for this run " * 4, PUBLIC_ORIGIN="http://127.0.0.1"
)

from smartspec.local.embedded_postgres import run_server

USERS, DAYS, HEAVY = 10_000, 90, 1
CHUNK = 500_000  # completions of one statement
PROVIDERS = 4  # The costs at the first one are not known.
BLOCK = 1157  # consecutive completions of the same 97 users: a quarter of an hour with 10^7 rows

# In the order of time, as a site writes them.
FILL = f"""
INSERT INTO completions
    (generation_id, user_id, credential, credential_name, provider, model, upstream_id, trace_id,
     route, is_stream, status, error, finish_reason, usage_source, prompt_tokens, cached_tokens,
     completion_tokens, prompt_price, cached_prompt_price, completion_price, held, cost, charged,
     uncollected, provider_cost, first_byte_ms, total_ms, created_at)
SELECT 'gen_bench' || n, u, 'key:' || u * 10 + k, 'Key ' || k, 'provider-' || n %% {PROVIDERS},
       'model-' || m, '', 't',
       '/v1/chat/completions', true, CASE WHEN n %% 97 = 0 THEN 'failed' ELSE 'completed' END, '',
       'stop', 'exact', 900, 100, 300, 1, 1, 2, 5, 2, 2, 0,
       CASE WHEN n %% {PROVIDERS} > 0 THEN 0.013 END, 120 + n * 7919 %% 2900,
       900 + n * 7919 %% 21000,
       %(start)s::timestamptz + n * %(step)s::interval
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n,
       LATERAL (SELECT n / {BLOCK} AS block) b,
       LATERAL (SELECT CASE WHEN n %% 10 = 0 THEN {HEAVY}
                            ELSE 2 + (block * 97 + n %% 97) %% ({USERS} - 1) END AS u,
                       CASE WHEN n %% 10 = 0 THEN n / 10 %% 3 ELSE block %% 2 END AS k,
                       CASE WHEN n %% 10 = 0 THEN n / 30 %% 3 ELSE block %% 3 END AS m) w
"""


def fill_tables(rows: int) -> None:
    """Insert completions without the ledger. Indexes that no page of usage reads are dropped."""
    from django.db import connection

    from bench.many_rows import make_users

    make_users(USERS, 100_000)
    start = datetime.now(UTC) - timedelta(days=DAYS)
    step = f"{timedelta(days=DAYS).total_seconds() / rows:.9f} seconds"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("ALTER TABLE completions DROP CONSTRAINT completions_once")
        for first in range(1, rows + 1, CHUNK):
            last = min(first + CHUNK - 1, rows)
            cursor.execute(FILL, {"first": first, "last": last, "start": start, "step": step})
            print(f"{last:,} completions", flush=True)
        cursor.execute("VACUUM ANALYZE")


def measure(send: Callable[[], object], times: int) -> str:
    """Return the median and the 99th percentile in milliseconds, after a warm-up."""
    durations = []
    for _ in range(times + 20):
        start = time.perf_counter()
        send()
        durations.append((time.perf_counter() - start) * 1000)
    kept = durations[20:]
    return f"{statistics.median(kept):.1f} | {statistics.quantiles(kept, n=100)[98]:.1f}"


def measure_folds() -> None:
    from django.db import connection

    from llmproxy.models import UsageFold, UsageQuarter
    from llmproxy.usage import folding
    from llmproxy.usage.steps import QUARTER

    started, steps = time.perf_counter(), 0
    while done := folding.fold():
        steps += done
    seconds = time.perf_counter() - started
    print(
        f"\nthe first fold: {seconds:.0f} s, {steps} steps, {UsageQuarter.objects.count():,} rows"
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE usage_quarters")

    def fold_a_quarter() -> None:
        until = UsageFold.objects.get().until
        assert until is not None
        UsageFold.objects.update(until=until - QUARTER)
        assert folding.fold() == 1

    print("\n| the fold of tick | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    print(f"| when a quarter has ended | {measure(fold_a_quarter, 50)} |")
    print(f"| in the other minutes | {measure(folding.fold, 50)} |")


def measure_pages(times: int) -> None:
    from django.conf import settings
    from django.db.models import Max

    from accounts.models import User
    from accounts.time_zones import borders, zone_of
    from bench.browser import Browser
    from llmproxy.usage import sums
    from llmproxy.usage.recent import find_today

    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    typical = User.objects.exclude(pk=HEAVY).aggregate(last=Max("pk"))["last"] - 1
    people = (("a typical user", typical), ("the user with a tenth of all", HEAVY))
    print("\n| what | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    for name, pk in people:
        User.objects.filter(pk=pk).update(time_zone="Asia/Kathmandu")
        user = User.objects.get(pk=pk)
        client = Browser(SERVER_NAME="127.0.0.1")
        client.force_login(user)
        for days in (7, 30, 90):
            first = find_today(user) - timedelta(days=days - 1)
            limits = borders(first, days, zone_of(user))
            timed = measure(lambda u=user, m=limits: sums.read(u, m), times)  # type: ignore[misc]
            print(f"| statement, {days} days, {name} | {timed} |", flush=True)
            address = f"/account/usage?range={days}"
            assert client.get(address, secure=True).status_code == 200
            timed = measure(lambda c=client, a=address: c.get(a, secure=True), times)  # type: ignore[misc]
            print(f"| page, {days} days, {name} | {timed} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=300)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-usage-") as folder,
        run_server(Path(folder) / "data") as url,
    ):
        os.environ["DATABASE_URL"] = url
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        fill_tables(options.rows)
        measure_folds()
        measure_pages(options.times)


if __name__ == "__main__":
    main()
