from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    """With CONN_HEALTH_CHECKS the pool waits 1, 2, 4 … seconds after each dead connection that it finds.

    After a restart of the server all of them are dead, and a request would give up first. So they are looked
    at here: where one is dead the pool looks at all the others before it is asked again.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        connection: Connection = super().get_new_connection(conn_params)
        pool: ConnectionPool | None = self.pool  # type: ignore[attr-defined]
        if not pool:
            return connection
        try:
            pool.check_connection(connection)
        except OperationalError:
            pool.putconn(connection)  # which replaces it
            pool.check()
            connection = super().get_new_connection(conn_params)
        return connection
