"""Connections to providers that nobody uses just now."""

import time
from collections import defaultdict, deque
from contextlib import suppress
from typing import Any

from llmproxy.http1 import sockets
from llmproxy.http1.sockets import Address

MAX_KEPT = 5000  # to one provider: as many as a worker can have callers
KEPT_SECONDS = 30  # after which something between us may have forgotten the connection


class Pool:
    """Connections that have served somebody and may serve the next: the latest first, so that the others grow old."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[tuple[Any, float]]] = defaultdict(deque)
        self._looked = 0.0  # when the old ones were closed

    def take(self, address: Address) -> Any:
        """One that is still open, and silent: what a provider says unasked must not answer anybody."""
        self._close_old()
        idle = self._idle[address]
        with suppress(IndexError):  # no more, or another thread has the last
            while True:
                sock, since = idle.pop()
                if time.monotonic() - since < KEPT_SECONDS and not sockets.has_news(sock):
                    return sock
                sock.close()
        return None

    def keep(self, address: Address, sock: Any) -> None:
        self._close_old()
        idle = self._idle[address]
        if len(idle) < MAX_KEPT:
            idle.append((sock, time.monotonic()))
        else:
            sock.close()

    def clear(self) -> None:
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while True:
                    idle.popleft()[0].close()

    def _close_old(self) -> None:
        """Now and then: else those of a rush, or of a provider that is not asked any more, would stay for ever."""
        now = time.monotonic()
        if now - self._looked < KEPT_SECONDS:
            return
        self._looked = now
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while now - idle[0][1] >= KEPT_SECONDS:
                    idle.popleft()[0].close()


pool = Pool()
