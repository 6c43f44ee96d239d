"""What the server of the site says about its limits, for the deployment checks."""

import os
from collections.abc import Iterator

from django.db import connection

READYZ = 1  # connection of each worker, apart from its pool
TICK = 2  # connections of `manage.py tick` and of a command beside it

_ROOM = """
    SELECT least(
        current_setting('max_connections')::integer
            - current_setting('superuser_reserved_connections')::integer,
        CASE WHEN rolconnlimit < 0 THEN NULL ELSE rolconnlimit END
    )
    FROM pg_roles WHERE rolname = current_user
"""


def count_connections(pool_size: int) -> int:
    """Return how many connections the site opens at most from one machine."""
    workers = os.environ.get("WEB_CONCURRENCY", "2")
    return (pool_size + READYZ) * (int(workers) if workers.isdecimal() else 1) + TICK


def read_room() -> int:
    """Return how many connections the server grants to the role of the site."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOM)
        room: int = cursor.fetchone()[0]
    return room


def list_missing_limits(names: list[str]) -> Iterator[str]:
    """Yield those of these limits of waiting that this session does not have."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT current_setting(%s)", [name])
            if cursor.fetchone()[0] == "0":
                yield name
