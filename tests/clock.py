"""A clock that can be moved forward at once, for Python and for PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import time_machine
from django.db import connection

TIME_FUNCTIONS = ("clock_timestamp", "statement_timestamp", "transaction_timestamp", "now")


class Clock:
    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.traveller = traveller
        self.last_beat = time.perf_counter()

    def beat(self, seconds: float) -> None:
        """Move on to `seconds` after the last beat, less the real time that has passed since."""
        now = time.perf_counter()
        self.forward(max(seconds - (now - self.last_beat), 0))
        self.last_beat = now

    def forward(self, seconds: float) -> None:
        self.traveller.shift(seconds)
        _execute(f"UPDATE moved.ahead SET by = by + interval '{seconds} seconds'")


@contextmanager
def control_clock() -> Iterator[Clock]:
    """Yield the clock. In the block, PostgreSQL's time functions are ours, found by search_path.

    The test must commit, as with `django_db(transaction=True)`.
    """
    _execute("CREATE SCHEMA moved", "CREATE TABLE moved.ahead AS SELECT interval '0' AS by")
    for name in TIME_FUNCTIONS:
        _execute(
            f"CREATE FUNCTION moved.{name}() RETURNS timestamptz VOLATILE LANGUAGE sql"
            f" RETURN pg_catalog.{name}() + (SELECT by FROM moved.ahead)"
        )
    try:
        _set_search_path("moved, public, pg_catalog")
        with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
            yield Clock(traveller)
    finally:
        _set_search_path("DEFAULT")
        _execute("DROP SCHEMA moved CASCADE")


def _set_search_path(path: str) -> None:
    name = connection.settings_dict["NAME"]
    _execute(f'ALTER DATABASE "{name}" SET search_path TO {path}')
    wrapper: Any = connection  # The pooled sessions still have the old path.
    wrapper.close()
    wrapper.close_pool()


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
