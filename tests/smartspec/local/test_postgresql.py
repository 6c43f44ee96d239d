"""The pool of connections after the database was away."""

import time
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from smartspec.drill.wire import Wire

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pool_of_dead_connections_gives_a_living_one_at_once() -> None:
    """psycopg's own check would wait 1, 2, 4 … seconds in between."""
    wire = Wire(lambda: int(settings.DATABASES["default"]["PORT"]))
    other: Any = connection.copy("by_wire")
    other.settings_dict = {**other.settings_dict, "PORT": wire.port}
    try:
        fill_the_pool(other)
        assert wire.cut() >= 4
        started = time.monotonic()
        other.ensure_connection()
        assert time.monotonic() - started < 0.9
        other.close()
    finally:
        other.close_pool()
        wire.close()


def test_the_connection_that_was_used_last_is_given_first() -> None:
    """Its server process has warm caches. psycopg's pool alone would return the oldest one."""
    other: Any = connection.copy("warm")
    try:
        fill_the_pool(other)
        used = [backend(other) for _ in range(5)]
        assert len(set(used)) == 1
        assert len(other.pool._pool) == 4
    finally:
        other.close_pool()


def backend(other: Any) -> int:
    """Return the process id of the backend of the next connection."""
    other.ensure_connection()
    pid: int = other.connection.info.backend_pid
    other.close()
    return pid


def fill_the_pool(other: Any) -> None:
    connections = [other.copy() for _ in range(4)]
    for one in connections:
        one.ensure_connection()
    for one in connections:
        one.close()
