"""The pool after the database has been away."""

import time
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from smartspec.drill.wire import Wire

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pool_of_dead_connections_gives_a_living_one_at_once() -> None:
    """psycopg's own way to look at them waits 1, 2, 4 … seconds in between."""
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


def fill_the_pool(other: Any) -> None:
    connections = [other.copy() for _ in range(4)]
    for one in connections:
        one.ensure_connection()
    for one in connections:
        one.close()
