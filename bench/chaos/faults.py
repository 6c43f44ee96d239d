"""What is killed, one after the other, and how it comes back. Each is over before the next one begins."""

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

SHORT, LONG = 2.0, 10.0  # seconds that something is away; the gateway tries to settle for about six
FROZEN = 6.0
REST_SECONDS = LONG + 5  # in which nothing more is killed, so that all can be seen to work again


@dataclass(frozen=True)
class Event:
    """Something was killed at this time, with so many streams open."""

    name: str
    at: float
    open: int


@dataclass
class Provider:
    """The mock, which comes back at the same port."""

    site: Site
    port: int
    running: ExitStack = field(default_factory=ExitStack)
    child: Child | None = None

    def start(self) -> None:
        self.child = self.running.enter_context(mock.running(self.site, self.port))

    def kill(self) -> None:
        if self.child:
            processes.stop(self.child.process, sig=signal.SIGKILL)
        self.running.close()


@dataclass
class Scene:
    """Who may be killed."""

    gateway: Gateway
    provider: Provider
    random: Random

    def kill_worker(self) -> None:
        workers = self.gateway.workers
        _tell(self.random.sample(workers, min(len(workers), 1)), signal.SIGKILL)

    def kill_workers(self) -> None:
        _tell(self.gateway.workers, signal.SIGKILL)

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
        """No connection breaks, and nothing answers."""
        frozen = list(usage.tree(self.gateway.postmaster))
        _tell(frozen, signal.SIGSTOP)
        try:
            time.sleep(FROZEN)
        finally:
            _tell(frozen, signal.SIGCONT)

    def kill_database_for_long(self) -> None:
        self.kill_database(LONG)

    def kill_database_and_worker(self) -> None:
        self.gateway.scratch.database.kill()
        self.kill_worker()
        time.sleep(SHORT)
        self.gateway.scratch.database.start()
        connection.close()


def _tell(pids: Iterable[int], number: int) -> None:
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


def inflict(
    scene: Scene, *, until: float, apart: float, streams_open: Callable[[], int]
) -> Iterator[Event]:
    """One after the other, so many seconds apart, until a while before then."""
    for name, act in cycle(KINDS.items()):
        time.sleep(apart)
        if time.monotonic() > until - REST_SECONDS:
            return
        event = Event(name, time.monotonic(), streams_open())
        act(scene)
        yield event
