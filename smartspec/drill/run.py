"""The whole drill, step by step. Imported once this process knows the scratch database and no other."""

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.core.management import call_command
from django.db import Error, connection

from llmproxy import catalogue
from smartspec.drill import races, verdict
from smartspec.drill.caller import new_caller
from smartspec.drill.database import DrillError
from smartspec.drill.faults import FAULTS, Fault, Scene
from smartspec.drill.scratch import Scratch, Worker
from smartspec.drill.verdict import Outcome, Tally
from smartspec.local.site import LaunchError, say

RACERS, THREADS, ACCOUNTS = 4, 4, 5
WEALTH = 300  # credits of each account in the race
SHARED = ""  # the worker that is not to die by itself


@dataclass
class Drill:
    scratch: Scratch
    seconds: float  # that the race takes
    seed: int
    quick: bool
    tally: Tally = field(default_factory=Tally)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> bool:
        """Do everything and print it; whether all was well."""
        with ExitStack() as running:
            workers = {
                failpoint: running.enter_context(self.scratch.worker(failpoint))
                for failpoint in [SHARED, *(fault.failpoint for fault in FAULTS if fault.failpoint)]
            }
            _make_tables()
            self._faults(workers)
            self._races(workers[SHARED])
        for text in verdict.summary(self.outcomes, self.tally):
            say(text)
        return not any(outcome.problems for outcome in self.outcomes)

    def _faults(self, workers: dict[str, Worker]) -> None:
        say("\nFaults, and what the user was charged")
        for fault in FAULTS:
            if fault.slow and self.quick:
                continue
            worker = workers[fault.failpoint]
            worker.wait_until_ready()
            self._step(fault.name, f"{fault.charged}", self._after(fault, worker))
            if fault.failpoint:
                worker.stop()

    def _after(self, fault: Fault, worker: Worker) -> Iterator[str]:
        """Let it happen, then look."""
        caller = new_caller()
        answer = fault.act(Scene(self.scratch, worker, caller, fault.stream))
        yield from verdict.examine(fault, caller, answer, self.tally)

    def _races(self, worker: Worker) -> None:
        say("\nRaces")
        worker.wait_until_ready()
        self._step(
            "windows of one user spend the last credits", "", races.last_credits(worker, self.tally)
        )
        figures: list[str] = []
        self._step(
            f"{RACERS} processes with {THREADS} threads on {ACCOUNTS} accounts",
            "",
            self._race(figures.append),
        )
        for text in figures:
            say(f"            {text}")

    def _race(self, note: Callable[[str], None]) -> Iterator[str]:
        environment = self.scratch.environment(self.scratch.own)
        users = [new_caller(WEALTH).user for _ in range(ACCOUNTS)]
        counts = races.race(
            environment, users, seed=self.seed, seconds=self.seconds, racers=RACERS, threads=THREADS
        )
        note(f"seed {self.seed}: {races.figures(counts, self.seconds)}")
        for texts in races.lines(counts):
            note(texts)
        yield from races.problems(counts, self.tally)

    def _step(self, name: str, fact: str, problems: Iterable[str]) -> None:
        started, found = time.monotonic(), []
        try:
            found = list(problems)
        except (DrillError, LaunchError, Error, OSError, subprocess.SubprocessError) as error:
            found = [f"{type(error).__name__}: {error}"]
            connection.close()
        outcome = Outcome(name, time.monotonic() - started, fact, found)
        self.outcomes.append(outcome)
        for text in verdict.lines(outcome):
            say(text)


def _make_tables() -> None:
    """As fast as that can be; everything after it is flushed to the disk."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        call_command("migrate", verbosity=0)
        catalogue.adopt_environment()
        cursor.execute("RESET synchronous_commit")
