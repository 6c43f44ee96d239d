"""python -m smartspec.drill.racer: one of many processes that use the same few accounts at once.

It prints `ready`, waits for a line on stdin, and then its threads call random verbs until the time
is over. The seed decides what each thread does, but not how the threads interleave. At the end it
prints the counts as JSON.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import django

MAX_OPERATIONS = 3000  # Per thread.
ERROR = "ERROR"

Counts = Counter[str]


def race(seed: int, users: Sequence[int], *, threads: int, seconds: float) -> Counts:
    """Run the threads and return how often each verb had each outcome."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(threads) as pool:
        generators = [Random(seed * 1000 + number) for number in range(threads)]  # noqa: S311
        counts = pool.map(lambda rng: _run_thread(rng, users, until), generators)
        return sum(counts, Counts())


def _run_thread(rng: Random, users: Sequence[int], until: float) -> Counts:
    from django.db import connection

    counts: Counts = Counter()
    try:
        for _ in range(MAX_OPERATIONS):
            if time.monotonic() > until:
                break
            counts[_call_random_verb(rng, users)] += 1
    finally:
        connection.close()
    return counts


def _call_random_verb(rng: Random, users: Sequence[int]) -> str:
    """Call one random verb on one of the users; return the verb's name with the outcome."""
    from django.db import Error, connection

    from accounts.models import User
    from credits.exceptions import LedgerRefusal
    from smartspec.drill import verbs

    verb = rng.choice(verbs.ALL)
    try:
        verb(rng, User(pk=rng.choice(users)))
    except LedgerRefusal as refusal:
        return f"{verb.__name__} refused: {refusal.code}"
    except Error as error:
        connection.close()
        return f"{ERROR} {verb.__name__}: {error}"
    return verb.__name__


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m smartspec.drill.racer")
    for name in ("seed", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--users", type=int, nargs="+", required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline():
        counts = race(options.seed, options.users, threads=options.threads, seconds=options.seconds)
        sys.stdout.write(json.dumps(counts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
