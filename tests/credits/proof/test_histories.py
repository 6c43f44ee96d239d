"""Processes and threads call random verbs on the same few accounts.

Afterwards all sums must be right, and the audit must replay every operation.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import randbelow

import pytest
from django.conf import settings

from accounts.models import User
from credits.proof import audit
from smartspec.drill import racer, races

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 2.5


def environment() -> dict[str, str]:
    """Return the environment of another process that uses this test's database."""
    database = settings.DATABASES["default"]
    account = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    return {**os.environ, "DATABASE_URL": f"postgres://{account}/{database['NAME']}"}


def test_any_history_adds_up_and_replays(make_user: Callable[..., User]) -> None:
    seed = randbelow(10**6)
    sys.stdout.write(f"seed {seed}\n")
    users = [make_user(f"user{n}@example.com", credits=200) for n in range(3)]
    with ThreadPoolExecutor(1) as pool:
        here = pool.submit(
            racer.race, seed, [user.pk for user in users], threads=4, seconds=SECONDS + 2
        )
        counts = (
            races.race(environment(), users, seed=seed + 1, seconds=SECONDS, racers=2, threads=3)
            + here.result()
        )
    sys.stdout.write("\n".join(races.format_counts(counts)))
    assert [what for what in counts if what.startswith(racer.ERROR)] == []
    report = audit.run()
    assert report.findings == []
    assert report.not_replayed == []
    assert report.transactions > 100
