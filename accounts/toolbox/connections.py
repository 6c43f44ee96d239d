"""The database connections of a worker, of which there are few."""

from django.db import connection


def give_back() -> None:
    """Return this request's connection to the pool while something slow happens; the next query takes one again.

    Within a transaction it stays: what was done there would be lost.
    """
    if not connection.in_atomic_block:
        connection.close()
