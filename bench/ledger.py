"""The ledger's figures: pairs of hold and capture beside pgbench, and pages and audit over millions of rows.

    .venv/bin/python -m bench.ledger [--seconds 8] [--rounds 3] [--rows 10000000]

Runs on a PostgreSQL of its own, durable, thrown away afterwards; needs pgbench for the comparison. --rows 0 leaves the
second part out. Prints one table; docs/benchmarks.md keeps the last one.
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
# As deployed: with DEBUG on, Django keeps a log of every statement.
os.environ.update(
    DEBUG="false", SECRET_KEY="only for this run " * 4, PUBLIC_ORIGIN="http://127.0.0.1"
)

from bench import many_rows
from smartspec.local.embedded_postgres import server

CLIENTS = 8
PROCESSES = 2  # as pgbench -j 2, and as gunicorn would have on two cores
USERS = 10_000
CREDITS = 100_000_000
HOLD, COST = 9, 1
METADATA = {"model": "smollm2", "promptTokens": 12, "completionTokens": 80}


def pgbench(url: str, users: int, seconds: int, folder: Path) -> float:
    """Pairs a second of the very statements that credits/ledger.py sends."""
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
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])


def ours(users: int, seconds: int) -> float:
    """Pairs a second of ledger.hold and ledger.capture by as many threads in as many processes as pgbench has."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(PROCESSES) as pool:
        pool.map(_warm_up, range(PROCESSES), chunksize=1)
        return sum(pool.starmap(_threads, [(users, seconds)] * PROCESSES, chunksize=1))


def _warm_up(number: int) -> None:
    import django

    django.setup()
    _threads(USERS, 0.3)


def _threads(users: int, seconds: float) -> float:
    each = CLIENTS // PROCESSES
    with ThreadPoolExecutor(each) as pool:
        return sum(pool.map(_pairs, [users] * each, [seconds] * each))


def _pairs(users: int, seconds: float) -> float:
    from accounts.models import User
    from credits import ledger

    accounts = [User(pk=number) for number in range(1, users + 1)]
    done, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        user = random.choice(accounts)
        held = ledger.hold(
            user=user, amount=HOLD, reference_id=f"{random.getrandbits(60)}", seconds=1200
        )
        ledger.capture(hold=held, cost=COST, description="smollm2", metadata=METADATA)
        done += 1
    return done / (time.monotonic() - start)


def compare(url: str, rounds: int, seconds: int, folder: Path) -> None:
    """A B A B: the machine's mood is in both."""
    print(
        f"\n| hold + capture pairs a second, {CLIENTS} clients | ours | pgbench | ratio |\n| --- | ---: | ---: | ---: |"
    )
    for name, users in (("one hot user", 1), (f"{USERS:,} users", USERS)):
        theirs, own = [], []
        for _ in range(rounds):
            theirs.append(pgbench(url, users, seconds, folder))
            own.append(ours(users, seconds))
        a, b = statistics.median(own), statistics.median(theirs)
        print(f"| {name} | {a:,.0f} | {b:,.0f} | {a / b:.2f} |", flush=True)


def answer_times(ask: Callable[[], object], times: int = 200) -> str:
    """Median and 99th percentile in milliseconds, after a warm-up."""
    took = []
    for _ in range(times + 10):
        start = time.perf_counter()
        ask()
        took.append((time.perf_counter() - start) * 1000)
    took = sorted(took[10:])
    return f"{statistics.median(took):.1f} | {took[int(len(took) * 0.99)]:.1f}"


def pages(heavy: int) -> None:
    """Whole requests through Django, in this process, as the user with the most rows."""
    from django.conf import settings

    from accounts.models import User
    from bench.browser import Browser

    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    user = User.objects.get(pk=heavy)
    client, boss = (Browser(headers={"host": "127.0.0.1"}) for _ in range(2))
    client.force_login(user)
    boss.force_login(User.objects.create_superuser("boss@example.com", "x"))
    middle = user.ledger_seq // 2
    asked = {
        "balance": (client, "/v1/credits"),
        "history, newest 50": (client, "/api/credits/history?limit=50"),
        "history, 50 in the middle": (client, f"/api/credits/history?limit=50&cursor={middle}"),
        "transactions page, newest": (client, "/account/transactions"),
        "transactions page, in the middle": (client, f"/account/transactions?before={middle}"),
        "admin: transactions, newest": (boss, "/admin/credits/transaction/"),
        "admin: transactions of that user": (boss, f"/admin/credits/transaction/?user={heavy}"),
    }
    print("\n| request | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    for name, (who, address) in asked.items():
        answer = who.get(address)
        if answer.status_code != 200:
            print(f"| {name} | status {answer.status_code} | |")
            continue
        print(f"| {name} | {answer_times(partial(who.get, address))} |", flush=True)


def audit_beside_service(seconds: int) -> None:
    """How long a whole audit takes, its memory, and what it costs the service meanwhile."""
    alone = ours(USERS, seconds)
    start = time.monotonic()
    auditing = subprocess.Popen(
        [sys.executable, "manage.py", "audit_ledger"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(2)
    beside = ours(USERS, seconds)
    said, _ = auditing.communicate(timeout=3600)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(
        f"\naudit_ledger: {said.strip()}\n  {time.monotonic() - start:.0f} s, at most {memory} MiB"
    )
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
        server(Path(name) / "postgres") as url,
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
            pages(heavy)
            audit_beside_service(options.seconds)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
