"""What the drill does through its own connection: wait, lock, terminate and expire."""

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

WAIT_SECONDS = 10
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
# Half of deadlock_timeout.
FOR_LONG = " AND waitstart < clock_timestamp() - interval '0.5 s'"


class DrillError(Exception):
    """A fault could not be caused: the drill is wrong, or something that it needs is gone."""


def select_number(statement: str, *params: str | int) -> int:
    """Return the number that the statement selects; 0 for NULL or no row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int((cursor.fetchone() or [0])[0] or 0)


def wait_for(condition: Callable[[], object], event: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until the condition is true. Raises DrillError, which names the event."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DrillError(f"{event} did not happen within {seconds:g} s")
        time.sleep(0.01)


def wait_until_one_waits() -> None:
    """Wait until another connection waits for a lock that this connection holds."""
    wait_for(lambda: select_number(WAITING), "waiting for a lock")


def deadlock(user: User) -> None:
    """Cause a deadlock with a worker that has locked the account. May raise OperationalError.

    The worker waits for rows that this connection has locked. The side that has waited longer
    detects the deadlock and is aborted, so this function starts after the worker has waited. The
    worker may retry before this connection gets the lock; with its short timeout the retry
    succeeds.
    """
    wait_for(lambda: select_number(WAITING + FOR_LONG), "waiting for a lock")
    select_number("SELECT set_config('statement_timeout', '800ms', true) IS NULL")
    select_number("SELECT id FROM users WHERE id = %s FOR UPDATE", user.pk)


def wait_until_idle() -> None:
    """Wait until no statement of a worker runs, even of one that has died."""
    wait_for(
        lambda: not _select_about_workers("count(*) FILTER (WHERE state = 'active')"),
        "the end of all statements",
    )


@contextmanager
def hold_lock(user: User, table: str = "users", column: str = "id") -> Iterator[None]:
    """Keep the user's row, or the user's rows of another table, locked during the block."""
    with atomic():
        select_number(
            f"SELECT id FROM {table} WHERE {column} = %s FOR UPDATE",  # noqa: S608 – our own names
            user.pk,
        )
        yield


def terminate_workers() -> None:
    """Terminate every PostgreSQL backend that serves a worker. Raises DrillError if none does."""
    if not _select_about_workers("count(pg_terminate_backend(pid))"):
        raise DrillError("no worker is connected to the database")


def _select_about_workers(expression: str) -> int:
    """Select a number about the workers' backends, from any thread.

    The connection uses the workers' own role, because PostgreSQL hides their rows from others.
    """
    statement = (
        f"SELECT {expression} FROM pg_stat_activity"  # noqa: S608 – our own expressions
        " WHERE application_name = %s"
    )
    with psycopg.connect(os.environ["APP_DATABASE_URL"], autocommit=True) as site:
        row = site.execute(statement.encode(), [WORKER]).fetchone()
    return int(row[0]) if row else 0


def expire_holds(user: User) -> None:
    """Let this user's holds expire now, and run the sweeper."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_holds SET expires_at = clock_timestamp() WHERE user_id = %s", [user.pk]
        )
    call_command("expire_holds", stdout=_Nowhere())


class _Nowhere:
    def write(self, text: str) -> None:
        pass
