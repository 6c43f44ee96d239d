"""Stop the drill at Ctrl-C, SIGTERM or a timeout, without leaving anything that it started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
AGAIN_SECONDS = 0.2


class Signals:
    """The handler of the signals, which raises SystemExit.

    It raises again after AGAIN_SECONDS until the signals are ignored, because Python drops an
    exception that is raised in a finalizer. `first` is the number of the first signal.
    """

    def __init__(self) -> None:
        self.first = 0
        self.busy = 0

    def watch(self, seconds: int) -> None:
        """Handle signals from now on, and raise SIGALRM after this many seconds."""
        for number in NUMBERS:
            signal.signal(number, self._stop)
        signal.alarm(seconds)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals in this block: a child whose start is interrupted would not be stopped."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    @contextmanager
    def ignored_afterwards(self) -> Iterator[None]:
        """Ignore signals after this block, so that nothing interrupts the cleanup."""
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
