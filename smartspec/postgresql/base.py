import time
from typing import Any

from django.db.backends.postgresql import base
from gevent.monkey import get_original
from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout

from smartspec.postgresql.connecting import ReportedConnection, reasons, try_again

POLLIN = 1
REFUSED_SECONDS = 1
poll: Any = get_original("select", "poll")  # gevent's version would switch to its hub.


class DatabaseWrapper(base.DatabaseWrapper):
    """A backend that checks each pooled connection without a round trip to the server.

    Django's CONN_HEALTH_CHECKS sends a query each time, and the pool waits 1, 2, 4 … s after each
    dead connection. After a restart of the server all connections are dead, and a request would
    give up first. So this class looks whether the server has closed the socket. If one connection
    is dead, the pool checks all others before the next one is taken.
    """

    _refusal, _refused_until = "", 0.0

    @property
    def pool(self) -> ConnectionPool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if options and self.alias not in self._connection_pools:  # type: ignore[attr-defined]
            options |= {"connection_class": ReportedConnection, "reconnect_failed": try_again}
        pool: ConnectionPool | None = super().pool  # type: ignore[misc]
        return pool

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        pool = self.pool
        if pool:
            pool._pool.rotate(1)  # Take the latest first: its server process has warm caches.
        connection = self._take_connection(conn_params)
        if not pool or not _has_input(connection):
            return connection
        try:
            pool.check_connection(connection)
        except OperationalError:
            pool.putconn(connection)  # The pool replaces the dead connection.
            pool.check()
            connection = self._take_connection(conn_params)
        return connection

    def close_if_unusable_or_obsolete(self) -> None:
        """Begin or end a request (Django calls this): a new one waits for the pool again."""
        self._refused_until = 0.0
        super().close_if_unusable_or_obsolete()

    def _take_connection(self, conn_params: dict[str, Any]) -> Connection:
        """Take a connection of the pool. Raises PoolTimeout, with the last reason.

        A request that asks again in the same second does not wait a second time: a page asks for
        its session, for its user and for its contents.
        """
        if time.monotonic() < self._refused_until:
            raise PoolTimeout(self._refusal)
        try:
            connection: Connection = super().get_new_connection(conn_params)
        except PoolTimeout as error:
            self._refusal = ": ".join(filter(None, [str(error), reasons.find_last()]))
            self._refused_until = time.monotonic() + REFUSED_SECONDS
            raise PoolTimeout(self._refusal) from None
        return connection


def _has_input(connection: Connection) -> bool:
    """True if an idle connection has bytes to read: most likely the server has closed it."""
    poller = poll()
    poller.register(connection.fileno(), POLLIN)
    return bool(poller.poll(0))
