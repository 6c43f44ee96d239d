"""The end of this worker process: no new completion begins, and running ones end by a date.

The signal handlers of smartspec/server.py begin it. A stopped completion reports the restart to its
caller, and is settled as at any other end.
"""

import time
from math import inf
from typing import Any, Protocol

from gevent.monkey import get_original

STOP_EVERY_SECONDS = 0.05  # after the date: a completion that was admitted before may start later
_start_thread: Any = get_original("_thread", "start_new_thread")
_sleep: Any = get_original("time", "sleep")


class Stoppable(Protocol):
    """A running completion. A real thread calls it, so it must not wait."""

    def stop_for_restart(self) -> None:
        """End the completion now. A second call does nothing."""


class Shutdown:
    """The state of one process. Only `begin` changes it, once."""

    def __init__(self) -> None:
        self.has_begun = False
        self.running: set[Stoppable] = set()  # completions from their admission to their receipt
        self._stop_at = inf  # by the monotonic clock

    def begin(self, *, seconds: float) -> None:
        """Admit nothing more, and stop what still runs after `seconds`.

        A second call can only bring the date forward. A signal handler may call this: the date is
        watched by a real thread, because no greenlet may be started in a handler.
        """
        self._stop_at = min(self._stop_at, time.monotonic() + seconds)
        if not self.has_begun:
            self.has_begun = True
            _start_thread(self._stop_when_due, ())

    def wait(self, *, seconds: float) -> None:
        """Wait until every completion has its receipt, at most so long."""
        until = time.monotonic() + seconds
        while self.running and time.monotonic() < until:
            time.sleep(STOP_EVERY_SECONDS)

    def _stop_when_due(self) -> None:
        while True:
            if time.monotonic() >= self._stop_at:
                # `copy` is one step for other threads, unlike an iteration.
                for completion in self.running.copy():
                    completion.stop_for_restart()
            _sleep(STOP_EVERY_SECONDS)


shutdown = Shutdown()
