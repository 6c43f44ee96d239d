"""All steps of the drill in order. Imported only after the process has the scratch settings."""

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.core.management import call_command
from django.db import Error, connection

from llmproxy import catalogue
from smartspec.drill import races, verdict
from smartspec.drill.caller import create_caller
from smartspec.drill.database import DrillError
from smartspec.drill.faults import FAULTS, Fault, Scene
from smartspec.drill.scratch import Scratch, Worker
from smartspec.drill.verdict import Outcome, Tally
from smartspec.local.site import LaunchError, say

RACERS, THREADS, ACCOUNTS = 4, 4, 5
RACE_CREDITS = 300  # The balance of each account in the race.
SHARED = ""  # The key of the worker without a failpoint.


@dataclass
class Drill:
    scratch: Scratch
    seconds: float  # The duration of the race.
    seed: int
    quick: bool
    tally: Tally = field(default_factory=Tally)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> bool:
        """Run all steps and print the report; True if there was no problem."""
        with ExitStack() as running:
            workers = {
                failpoint: running.enter_context(self.scratch.worker(failpoint))
                for failpoint in [SHARED, *(fault.failpoint for fault in FAULTS if fault.failpoint)]
            }
            _make_tables()
            self._run_faults(workers)
            self._run_races(workers[SHARED])
        for text in verdict.format_summary(self.outcomes, self.tally):
            say(text)
        return not any(outcome.problems for outcome in self.outcomes)

    def _run_faults(self, workers: dict[str, Worker]) -> None:
        say("\nFaults, and what the user was charged")
        for fault in FAULTS:
            if fault.slow and self.quick:
                continue
            worker = workers[fault.failpoint]
            worker.wait_until_ready()
            self._step(fault.name, f"{fault.charged}", self._examine(fault, worker))
            if fault.failpoint:
                worker.stop()

    def _examine(self, fault: Fault, worker: Worker) -> Iterator[str]:
        """Cause the fault and yield the problems after it."""
        caller = create_caller()
        answer = fault.act(Scene(self.scratch, worker, caller, fault.stream))
        yield from verdict.examine(fault, caller, answer, self.tally)

    def _run_races(self, worker: Worker) -> None:
        say("\nRaces")
        worker.wait_until_ready()
        self._step(
            "windows of one user spend the last credits",
            "",
            races.spend_last_credits(worker, self.tally),
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
        users = [create_caller(RACE_CREDITS).user for _ in range(ACCOUNTS)]
        counts = races.race(
            environment, users, seed=self.seed, seconds=self.seconds, racers=RACERS, threads=THREADS
        )
        note(f"seed {self.seed}: {races.format_rate(counts, self.seconds)}")
        for text in races.format_counts(counts):
            note(text)
        yield from races.find_problems(counts, self.tally)

    def _step(self, name: str, fact: str, problems: Iterable[str]) -> None:
        """Run one step by reading its problems, and print its outcome."""
        started = time.monotonic()
        try:
            texts = list(problems)
        except (DrillError, LaunchError, Error, OSError, subprocess.SubprocessError) as error:
            texts = [f"{type(error).__name__}: {error}"]
            connection.close()
        outcome = Outcome(name, time.monotonic() - started, fact, texts)
        self.outcomes.append(outcome)
        for text in verdict.format_outcome(outcome):
            say(text)


def _make_tables() -> None:
    """Create the tables without waiting for the disk. All later commits wait for it."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        call_command("migrate", verbosity=0)
        catalogue.adopt_environment()
        cursor.execute("RESET synchronous_commit")
