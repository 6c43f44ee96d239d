"""The faults: what is killed, and how it comes back. Each one ends before the next one begins."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from django.db import connection

from bench import mock, usage
from bench.isolated import Gateway
from smartspec.local import processes
from smartspec.local.site import Child, Site

SHORT, LONG = 2.0, 10.0  # Seconds of an absence. The gateway tries to settle for about six.
FROZEN = 6.0  # Seconds.
REST_SECONDS = LONG + 5  # Without faults at the end, so that everything can recover.


@dataclass(frozen=True)
class Event:
    """A fault: its name, its time, and the number of open streams."""

    name: str
    at: float
    open: int


@dataclass
class Provider:
    """The mock, which restarts at the same port."""

    site: Site
    port: int
    running: ExitStack = field(default_factory=ExitStack)
    child: Child | None = None

    def start(self) -> None:
        self.child = self.running.enter_context(mock.run_mock(self.site, self.port))

    def kill(self) -> None:
        if self.child:
            processes.stop(self.child.process, sig=signal.SIGKILL)
        self.running.close()


@dataclass
class Scene:
    """The processes that may be killed."""

    gateway: Gateway
    provider: Provider
    random: Random

    def kill_worker(self) -> None:
        workers = self.gateway.workers
        _send_signal(self.random.sample(workers, min(len(workers), 1)), signal.SIGKILL)

    def kill_workers(self) -> None:
        _send_signal(self.gateway.workers, signal.SIGKILL)

    def kill_provider(self) -> None:
        self.provider.kill()
        time.sleep(SHORT)
        self.provider.start()

    def kill_database(self, seconds: float = SHORT) -> None:
        self.gateway.scratch.database.kill()
        time.sleep(seconds)
        self.gateway.scratch.database.start()
        connection.close()

    def freeze_database(self) -> None:
        """Stop all processes of PostgreSQL for a while: connections stay open without replies."""
        frozen = list(usage.walk_tree(self.gateway.postmaster))
        _send_signal(frozen, signal.SIGSTOP)
        try:
            time.sleep(FROZEN)
        finally:
            _send_signal(frozen, signal.SIGCONT)

    def kill_database_for_long(self) -> None:
        self.kill_database(LONG)

    def kill_database_and_worker(self) -> None:
        self.gateway.scratch.database.kill()
        self.kill_worker()
        time.sleep(SHORT)
        self.gateway.scratch.database.start()
        connection.close()


def _send_signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


KINDS: dict[str, Callable[[Scene], None]] = {
    "a worker": Scene.kill_worker,
    f"the provider, away for {SHORT:g} s": Scene.kill_provider,
    f"PostgreSQL, away for {SHORT:g} s": Scene.kill_database,
    "all workers": Scene.kill_workers,
    f"PostgreSQL, frozen for {FROZEN:g} s": Scene.freeze_database,
    "PostgreSQL and a worker": Scene.kill_database_and_worker,
    f"PostgreSQL, away for {LONG:g} s": Scene.kill_database_for_long,
}


def cause_faults(
    scene: Scene, *, until: float, apart: float, streams_open: Callable[[], int]
) -> Iterator[Event]:
    """Cause one fault after the other, `apart` seconds apart, until REST_SECONDS before `until`."""
    for name, act in cycle(KINDS.items()):
        time.sleep(apart)
        if time.monotonic() > until - REST_SECONDS:
            return
        event = Event(name, time.monotonic(), streams_open())
        act(scene)
        yield event
