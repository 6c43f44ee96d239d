"""A database that refuses to write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection


@pytest.fixture
def refuse_writes() -> Iterator[Callable[[], None]]:
    """Return a function after which every new connection is read-only, and the pool has no other.

    The test needs `django_db(transaction=True)`.
    """
    yield lambda: _alter("SET default_transaction_read_only = on")
    _alter("RESET default_transaction_read_only")


def _alter(clause: str) -> None:
    connection.close()
    with _writing(), connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} {clause}")
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@contextmanager
def _writing() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
    yield
