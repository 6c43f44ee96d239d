"""Measure the ledger: hold and capture compared with pgbench; pages and audit over many rows.

    .venv/bin/python -m bench.ledger [--seconds 8] [--rounds 3] [--rows 10000000]

The program starts its own durable PostgreSQL, which is deleted afterwards. The comparison needs
pgbench. --rows 0 skips the pages and the audit. It prints tables; docs/benchmarks.md has the last.
"""

import argparse
import multiprocessing
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
# As in production: with DEBUG on, Django keeps a log of every statement.
os.environ.update(
    DEBUG="false", SECRET_KEY="only for this run " * 4, PUBLIC_ORIGIN="http://127.0.0.1"
)

from bench import many_rows
from smartspec.local.embedded_postgres import run_server

CLIENTS = 8
PROCESSES = 2  # As with pgbench -j 2, and as gunicorn has on two cores.
USERS = 10_000
CREDITS = 100_000_000
HOLD, COST = 9, 1
METADATA = {"model": "smollm2", "promptTokens": 12, "completionTokens": 80}


def run_pgbench(url: str, users: int, seconds: int, folder: Path) -> float:
    """Return the pairs per second of pgbench with the same statements as credits/ledger.py."""
    from credits import ledger

    hold = ledger._HOLD % (":user", HOLD, HOLD, ":ref", 1200, 10_000, "''", "NULL")
    capture = ledger._CAPTURE % (
        ":user",
        ":id",
        COST,
        "'smollm2'",
        f"'{str(METADATA).replace(chr(39), chr(34))}'",
    )
    script = folder / "pairs.sql"
    script.write_text(
        f"\\set user random(1, {users})\n\\set ref random(1, 1000000000000000)\n"
        f"{' '.join(hold.replace(':ref', ':ref::text').split())} \\gset\n{capture};\n"
    )
    command = [
        "pgbench",
        "-n",
        "-M",
        "simple",
        "-c",
        str(CLIENTS),
        "-j",
        "2",
        "-T",
        str(seconds),
        "-f",
        str(script),
        url,
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.findall(r"tps = ([\d.]+)", process.stdout)[0])


def run_ledger(users: int, seconds: int) -> float:
    """Return the pairs per second of ledger.hold and ledger.capture.

    They run in as many threads and processes as pgbench has.
    """
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(PROCESSES) as pool:
        pool.map(_warm_up, range(PROCESSES), chunksize=1)
        return sum(pool.starmap(_run_threads, [(users, seconds)] * PROCESSES, chunksize=1))


def _warm_up(number: int) -> None:
    import django

    django.setup()
    _run_threads(USERS, 0.3)


def _run_threads(users: int, seconds: float) -> float:
    threads = CLIENTS // PROCESSES
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(_run_pairs, [users] * threads, [seconds] * threads))


def _run_pairs(users: int, seconds: float) -> float:
    from accounts.models import User
    from credits import ledger

    accounts = [User(pk=number) for number in range(1, users + 1)]
    pairs, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        user = random.choice(accounts)
        hold = ledger.hold(
            user=user, amount=HOLD, reference_id=f"{random.getrandbits(60)}", seconds=1200
        )
        ledger.capture(hold=hold, cost=COST, description="smollm2", metadata=METADATA)
        pairs += 1
    return pairs / (time.monotonic() - start)


def compare(url: str, rounds: int, seconds: int, folder: Path) -> None:
    """Run pgbench and the ledger in turn, so that the machine's load affects both equally."""
    print(
        f"\n| hold + capture pairs a second, {CLIENTS} clients | ours | pgbench | ratio |"
        "\n| --- | ---: | ---: | ---: |"
    )
    for name, users in (("one hot user", 1), (f"{USERS:,} users", USERS)):
        pgbench_rates, ledger_rates = [], []
        for _ in range(rounds):
            pgbench_rates.append(run_pgbench(url, users, seconds, folder))
            ledger_rates.append(run_ledger(users, seconds))
        ours, theirs = statistics.median(ledger_rates), statistics.median(pgbench_rates)
        print(f"| {name} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} |", flush=True)


def measure_times(send: Callable[[], object], times: int = 200) -> str:
    """Return the median and the 99th percentile in milliseconds, after a warm-up."""
    durations = []
    for _ in range(times + 10):
        start = time.perf_counter()
        send()
        durations.append((time.perf_counter() - start) * 1000)
    durations = sorted(durations[10:])
    return f"{statistics.median(durations):.1f} | {durations[int(len(durations) * 0.99)]:.1f}"


def measure_pages(heavy: int) -> None:
    """Time whole requests through Django in this process, as the user with the most rows."""
    from django.conf import settings

    from accounts.models import User
    from bench.browser import Browser

    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    user = User.objects.get(pk=heavy)
    client, admin = (Browser(headers={"host": "127.0.0.1"}) for _ in range(2))
    client.force_login(user)
    admin.force_login(User.objects.create_superuser("boss@example.com", "x"))
    middle = user.ledger_seq // 2
    requests = {
        "balance": (client, "/v1/credits"),
        "history, newest 50": (client, "/api/credits/history?limit=50"),
        "history, 50 in the middle": (client, f"/api/credits/history?limit=50&cursor={middle}"),
        "transactions page, newest": (client, "/account/transactions"),
        "transactions page, in the middle": (client, f"/account/transactions?before={middle}"),
        "admin: transactions, newest": (admin, "/admin/credits/transaction/"),
        "admin: transactions of that user": (admin, f"/admin/credits/transaction/?user={heavy}"),
    }
    print("\n| request | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    for name, (browser, address) in requests.items():
        response = browser.get(address)
        if response.status_code != 200:
            print(f"| {name} | status {response.status_code} | |")
            continue
        print(f"| {name} | {measure_times(partial(browser.get, address))} |", flush=True)


def measure_audit(seconds: int) -> None:
    """Print the time and memory of a whole audit, and how it slows down the ledger."""
    alone = run_ledger(USERS, seconds)
    start = time.monotonic()
    audit = subprocess.Popen(
        [sys.executable, "manage.py", "audit_ledger"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(2)
    beside = run_ledger(USERS, seconds)
    output, _ = audit.communicate(timeout=3600)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    seconds_taken = time.monotonic() - start
    print(f"\naudit_ledger: {output.strip()}\n  {seconds_taken:.0f} s, at most {memory} MiB")
    print(
        f"  pairs a second meanwhile: {beside:,.0f}, without it {alone:,.0f} ({beside / alone:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger")
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--rows", type=int, default=10_000_000, help="transactions for the pages and the audit"
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="smartspec-bench-") as name,
        run_server(Path(name) / "postgres") as url,
    ):
        os.environ["DATABASE_URL"] = url
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        many_rows.make_users(USERS, CREDITS)
        if shutil.which("pgbench"):
            compare(url, options.rounds, options.seconds, Path(name))
        else:
            print("no pgbench on this machine: nothing to compare with")
        if options.rows:
            heavy = many_rows.make_rows(USERS, options.rows)
            measure_pages(heavy)
            measure_audit(options.seconds)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
