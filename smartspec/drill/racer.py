"""python -m smartspec.drill.racer: one of many processes that move the credits of the same few users at once.

Says `ready`, waits for a line, and then its threads do random verbs until the time is over. Its seed decides
what each does; how they interleave is up to the machine. Prints the counts as JSON.
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

MAX_OPERATIONS = 3000  # of one thread
ERROR = "ERROR"

Counts = Counter[str]


def race(seed: int, users: Sequence[int], *, threads: int, seconds: float) -> Counts:
    """What all threads did, by verb and outcome."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(threads) as pool:
        chances = [Random(seed * 1000 + number) for number in range(threads)]  # noqa: S311
        done = pool.map(lambda chance: _run(chance, users, until), chances)
        return sum(done, Counts())


def _run(rng: Random, users: Sequence[int], until: float) -> Counts:
    from django.db import connection

    counts: Counts = Counter()
    try:
        for _ in range(MAX_OPERATIONS):
            if time.monotonic() > until:
                break
            counts[_once(rng, users)] += 1
    finally:
        connection.close()
    return counts


def _once(rng: Random, users: Sequence[int]) -> str:
    """One random verb on one of the users, and how it went."""
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
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline():
        counts = race(asked.seed, asked.users, threads=asked.threads, seconds=asked.seconds)
        sys.stdout.write(json.dumps(counts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
