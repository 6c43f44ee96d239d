"""Whether the database can serve, asked on a connection of its own and within a limit of time.

The pool's queue is not used: while all its connections are busy the site still works.
"""

import threading
import time
from typing import Any

from psycopg import Error

from smartspec.postgresql.connecting import ReportedConnection

WAIT_SECONDS = 1.5
CACHE_SECONDS = 1.0
CONNECT_SECONDS = 2  # the least that libpq accepts
READY, READ_ONLY, UNREACHABLE = "ok", "read only", "unreachable"


class Probe:
    """Asks the database at most once at a time, and remembers the answer for CACHE_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer, self._answered_at = UNREACHABLE, float("-inf")
        self._running: threading.Thread | None = None

    def ask(self, options: dict[str, Any]) -> str:
        """Return READY, READ_ONLY or UNREACHABLE within WAIT_SECONDS.

        `options` are those of psycopg.connect. UNREACHABLE also stands for an answer that takes
        longer; nobody asks again before it has come.
        """
        with self._lock:
            if self._is_fresh():
                return self._answer
            if self._running is None:
                self._running = threading.Thread(target=self._run, args=(options,), daemon=True)
                self._running.start()
            running = self._running
        running.join(WAIT_SECONDS)
        return self._answer if self._is_fresh() else UNREACHABLE

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._answered_at < CACHE_SECONDS

    def _run(self, options: dict[str, Any]) -> None:
        answer = UNREACHABLE
        try:
            answer = _ask_once(options)
        finally:
            with self._lock:
                self._answer, self._answered_at = answer, time.monotonic()
                self._running = None


def _ask_once(options: dict[str, Any]) -> str:
    try:
        with ReportedConnection.connect(
            **{**options, "autocommit": True, "connect_timeout": CONNECT_SECONDS}
        ) as connection:
            row = connection.execute("SELECT current_setting('transaction_read_only')").fetchone()
    except Error:
        return UNREACHABLE
    return READ_ONLY if row == ("on",) else READY


probe = Probe()
