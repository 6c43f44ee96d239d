from typing import Any

from django.db.backends.postgresql import base
from gevent.monkey import get_original
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

POLLIN = 1
poll: Any = get_original("select", "poll")  # gevent's would ask its hub


class DatabaseWrapper(base.DatabaseWrapper):
    """With CONN_HEALTH_CHECKS the pool asks the server each time, and waits 1, 2, 4 … s after each dead connection.

    After a restart of the server all of them are dead, and a request would give up first. So they are looked
    at here: a server that has gone has closed the line, which takes no question. Where one is dead the pool
    looks at all the others before it is asked again.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        pool: ConnectionPool | None = self.pool  # type: ignore[attr-defined]
        if pool:
            pool._pool.rotate(1)  # the latest first: the caches of its server process are warm
        connection: Connection = super().get_new_connection(conn_params)
        if not pool or not _has_news(connection):
            return connection
        try:
            pool.check_connection(connection)
        except OperationalError:
            pool.putconn(connection)  # which replaces it
            pool.check()
            connection = super().get_new_connection(conn_params)
        return connection


def _has_news(connection: Connection) -> bool:
    """Whether there is something to read on a line that waits for questions: its end, most likely."""
    line = poll()
    line.register(connection.fileno(), POLLIN)
    return bool(line.poll(0))
