"""What the drill does at its own connection: wait, lock, terminate, and move time on."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.transaction import atomic

from accounts.models import User
from smartspec.drill.scratch import WORKER

SOON = 10  # seconds
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
FOR_LONG = " AND waitstart < clock_timestamp() - interval '0.5 s'"  # half of deadlock_timeout


class DrillError(Exception):
    """A fault could not be brought about: the drill itself is at fault, or what it needs is gone."""


def ask(statement: str, *params: str | int) -> int:
    """The one number that a statement selects; nothing is 0."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int((cursor.fetchone() or [0])[0] or 0)


def wait_for(question: Callable[[], object], what: str, seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise DrillError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


def wait_until_one_waits() -> None:
    """Until another connection waits for a lock, one that is held here."""
    wait_for(lambda: ask(WAITING), "waiting for a lock")


def deadlock(user: User) -> None:
    """Want the account of one who has it, and waits for what is locked here. May raise OperationalError.

    Whoever has waited longer looks for a deadlock first, and gives way. It may come back before the lock is had
    here, so this side does not wait for long: then the other one's next try succeeds.
    """
    wait_for(lambda: ask(WAITING + FOR_LONG), "waiting for a lock")
    ask("SELECT set_config('statement_timeout', '800ms', true) IS NULL")
    ask("SELECT id FROM users WHERE id = %s FOR UPDATE", user.pk)


def wait_until_idle() -> None:
    """Until no statement of a worker runs any more, also of one that has died meanwhile."""
    wait_for(
        lambda: not _of_workers("count(*) FILTER (WHERE state = 'active')"),
        "the end of all statements",
    )


@contextmanager
def locked(user: User, table: str = "users", column: str = "id") -> Iterator[None]:
    """Keep the user's row, or those of another table, locked."""
    with atomic():
        ask(f"SELECT id FROM {table} WHERE {column} = %s FOR UPDATE", user.pk)  # noqa: S608 - names from here
        yield


def terminate_workers() -> None:
    """End every server process that works for a worker."""
    if not _of_workers("count(pg_terminate_backend(pid))"):
        raise DrillError("no worker is connected to the database")


def _of_workers(figure: str) -> int:
    """Asked as the workers' own role: to another one they show nothing. From any thread."""
    statement = f"SELECT {figure} FROM pg_stat_activity WHERE application_name = %s"  # noqa: S608 - figures from here
    with psycopg.connect(os.environ["APP_DATABASE_URL"], autocommit=True) as site:
        row = site.execute(statement.encode(), [WORKER]).fetchone()
    return int(row[0]) if row else 0


def end_of_holds(user: User) -> None:
    """The life of this user's holds is over, and the sweeper comes by."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_holds SET expires_at = clock_timestamp() WHERE user_id = %s", [user.pk]
        )
    call_command("expire_holds", stdout=_Nowhere())


class _Nowhere:
    def write(self, text: str) -> None:
        pass
