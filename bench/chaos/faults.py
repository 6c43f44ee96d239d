"""The faults: what is killed or changed, and how it comes back.

Each one ends before the next one begins.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from django.db import connection

from bench import mock, usage
from bench.chaos import database_faults
from bench.chaos.stage import GUNICORN, MovedClock
from bench.isolated import Gateway
from smartspec.local import processes
from smartspec.local.site import Child, Site

SHORT, LONG = 2.0, 14.0  # Seconds of an absence. The gateway tries to settle for ten.
FROZEN = 6.0  # Seconds.
DRAIN_SECONDS = 60.0  # More than a web server takes to end.
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
    clock: MovedClock
    running: ExitStack = field(default_factory=ExitStack)

    def drain_worker(self) -> None:
        workers = self.gateway.workers
        _send_signal(self.random.sample(workers, min(len(workers), 1)), signal.SIGTERM)

    def reload_workers(self) -> None:
        _send_signal([self.gateway.master.process.pid], signal.SIGHUP)

    def restart_server(self) -> None:
        """Stop the web server as a deployment does, and start it again at the same port."""
        processes.stop(self.gateway.master.process, sig=signal.SIGTERM, seconds=DRAIN_SECONDS)
        name = f"web server {self.gateway.port} {time.monotonic():.0f}"
        self.gateway.master = self.running.enter_context(self.gateway.site.child(name, *GUNICORN))
        self.gateway.wait_until_ready()

    def step_clock(self) -> None:
        """Move the workers' wall clock an hour ahead, then an hour back, then right."""
        for seconds in (3600, -3600, 0):
            self.clock.move(seconds)
            time.sleep(SHORT)

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


Act = Callable[[Scene], None]
KINDS: dict[str, Act] = {
    "drain: a worker (SIGTERM)": Scene.drain_worker,
    "kill: a worker": Scene.kill_worker,
    f"kill: the provider, away for {SHORT:g} s": Scene.kill_provider,
    f"kill: PostgreSQL, away for {SHORT:g} s": Scene.kill_database,
    "drain: all workers (SIGHUP)": Scene.reload_workers,
    f"read-only for {database_faults.AWAY_SECONDS:g} s": database_faults.make_read_only,
    "pooler: PgBouncer, killed once": database_faults.put_pooler_between,
    "kill: all workers": Scene.kill_workers,
    f"frozen: PostgreSQL for {FROZEN:g} s": Scene.freeze_database,
    f"failover: a standby, read-only for {database_faults.STANDBY_SECONDS:g} s": (
        database_faults.fail_over
    ),
    "drain: the web server, restarted": Scene.restart_server,
    f"disk full for {database_faults.AWAY_SECONDS:g} s": database_faults.fill_disk,
    "clock: an hour ahead, an hour back": Scene.step_clock,
    "kill: PostgreSQL and a worker": Scene.kill_database_and_worker,
    f"kill: PostgreSQL, away for {LONG:g} s": Scene.kill_database_for_long,
}
# Completions that a killed worker had begun are given away: their holds expire.
KILLERS: tuple[Act, ...] = (
    Scene.kill_worker,
    Scene.kill_workers,
    Scene.kill_database_and_worker,
)


def choose_kinds(words: Collection[str]) -> tuple[dict[str, Act], list[str]]:
    """Return the faults whose name contains one of these words, or all without words.

    The second value says which of them this machine cannot have, and why.
    """
    chosen = {
        name: act for name, act in KINDS.items() if not words or any(word in name for word in words)
    }
    missing = database_faults.list_missing()
    skipped = [f"{name}: {missing[act]}" for name, act in chosen.items() if act in missing]
    return {name: act for name, act in chosen.items() if act not in missing}, skipped


def cause_faults(
    scene: Scene,
    kinds: dict[str, Act],
    *,
    until: float,
    apart: float,
    streams_open: Callable[[], int],
) -> Iterator[Event]:
    """Cause one fault after the other, `apart` seconds apart, until REST_SECONDS before `until`."""
    for name, act in cycle(kinds.items()):
        time.sleep(apart)
        if time.monotonic() > until - REST_SECONDS:
            return
        event = Event(name, time.monotonic(), streams_open())
        act(scene)
        yield event
