"""Ctrl-C, SIGTERM and the end of the time stop the drill, and nothing that it started is left."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
AGAIN_SECONDS = 0.2


class Signals:
    """The first signal raises SystemExit, again and again until the unwinding has begun: Python loses an exception
    that is raised in a finalizer."""

    def __init__(self) -> None:
        self.first = 0
        self.busy = 0

    def watch(self, seconds: int) -> None:
        """From now on, and at the latest after so many seconds."""
        for number in NUMBERS:
            signal.signal(number, self._stop)
        signal.alarm(seconds)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Not in this block: a child whose start is interrupted would be forgotten."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    @contextmanager
    def ignored_afterwards(self) -> Iterator[None]:
        """After this block everything is closed, whatever comes."""
        try:
            yield
        finally:
            for number in NUMBERS:
                signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, frame: object) -> None:
        self.first = self.first or number
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        if not self.busy:
            raise SystemExit(128 + self.first)


signals = Signals()
