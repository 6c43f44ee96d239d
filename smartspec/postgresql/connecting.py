"""Connections that say why they could not be made, and a pool that tries again soon."""

import logging
import re
import time
from typing import Any, Self

from psycopg import Connection, OperationalError
from psycopg.errors import _WaitTimeout
from psycopg_pool import ConnectionPool

from accounts.database.faults import ServerSilent
from smartspec.postgresql.options import LIMITS_AT_START

logger = logging.getLogger(__name__)

LOG_SECONDS = 60
MAX_REASONS = 100
# What PgBouncer says to `options`, in its versions.
REFUSED_OPTIONS = re.compile(r"unsupported (options )?startup parameter")


class Reasons:
    """Why connections were refused. Each reason is logged once a minute; no reason has a secret."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}
        self._last, self._last_at = "", float("-inf")

    def note(self, error: Exception) -> None:
        reason, now = " ".join(str(error).split()), time.monotonic()
        self._last, self._last_at = reason, now
        if now - self._logged.get(reason, -LOG_SECONDS) < LOG_SECONDS:
            return
        if len(self._logged) >= MAX_REASONS:
            self._logged.clear()
        self._logged[reason] = now
        logger.error("PostgreSQL cannot be connected: %s", reason)

    def find_last(self) -> str:
        """Return the last reason, or "" if it is older than a minute."""
        return self._last if time.monotonic() - self._last_at < LOG_SECONDS else ""


reasons = Reasons()


class ReportedConnection(Connection[Any]):
    """A connection whose failure is logged, also if the pool makes it in the background."""

    sends_limits = True
    silence_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server for `silence_seconds` at most, if the caller gives no time itself.

        After that the connection is closed, because what it was asked may still be done. Raises
        ServerSilent.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.silence_seconds)
        except _WaitTimeout:
            self.pgconn.finish()
            raise ServerSilent(
                f"PostgreSQL has not answered for {self.silence_seconds:g} s"
            ) from None

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        try:
            return cls._connect_with_limits(conninfo, options)
        except OperationalError as error:
            reasons.note(error)
            raise

    @classmethod
    def _connect_with_limits(cls, conninfo: str, options: dict[str, Any]) -> Self:
        """Connect with our limits, or without them to a pooler that takes no `options`."""
        without = {**options, "options": ""}
        sends_limits = options.get("options") == LIMITS_AT_START
        if sends_limits and not cls.sends_limits:
            return super().connect(conninfo, **without)
        try:
            return super().connect(conninfo, **options)
        except OperationalError as error:
            if not (sends_limits and REFUSED_OPTIONS.search(str(error))):
                raise
        cls._note_pooler()
        return super().connect(conninfo, **without)

    @staticmethod
    def _note_pooler() -> None:
        if ReportedConnection.sends_limits:
            ReportedConnection.sends_limits = False
            logger.warning(
                "PostgreSQL is behind a pooler: set DATABASE_POOLER=true, and let the role have the"
                " limits of waiting (ALTER ROLE … SET lock_timeout, statement_timeout)"
            )


def try_again(pool: ConnectionPool) -> None:
    """Connect again if a request waits (`reconnect_failed` of the pool).

    The pool by itself waits 1, 2, 4 … seconds between two tries, for minutes.
    """
    with pool._lock:
        if pool._waiting:
            pool._maybe_grow_pool()
