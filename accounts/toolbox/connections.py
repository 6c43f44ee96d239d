"""The database connections of a worker: a small pool that all its requests share."""

from django.db import connection


def give_back() -> None:
    """Return this request's connection to the pool before slow work.

    The next query takes a connection again. Inside a transaction this does nothing, because closing
    the connection would roll it back.
    """
    if not connection.in_atomic_block:
        connection.close()
