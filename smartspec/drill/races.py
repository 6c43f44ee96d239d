"""Races on a few accounts: processes with threads, and concurrent requests of one user."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from accounts.models import User
from smartspec.drill.caller import create_caller
from smartspec.drill.database import DrillError, wait_until_idle
from smartspec.drill.racer import ERROR, Counts
from smartspec.drill.scratch import ROOT, Worker
from smartspec.drill.signals import signals
from smartspec.drill.verdict import Tally
from smartspec.local import processes

WINDOWS = 12
FEW_CREDITS = 10
END_SECONDS = 30  # For a racer to end after the race.


def race(
    environment: Mapping[str, str],
    users: Sequence[User],
    *,
    seed: int,
    seconds: float,
    racers: int,
    threads: int,
) -> Counts:
    """Start the racers at the same moment; return how often each verb had each outcome."""
    arguments = [
        "--threads",
        str(threads),
        "--seconds",
        str(seconds),
        "--users",
        *(str(user.pk) for user in users),
    ]
    with ExitStack() as running:
        children = [
            running.enter_context(
                _start_racer(environment, "--seed", str(seed + number), *arguments)
            )
            for number in range(racers)
        ]
        for child in children:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                raise DrillError("a racer did not start")
        for child in children:
            _release(child)
        return sum((_read_counts(child, seconds) for child in children), Counter())


@contextmanager
def _start_racer(
    environment: Mapping[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "smartspec.drill.racer", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as running:
        with signals.deferred():
            child = processes.start(command, cwd=ROOT, env=environment, process_group=0, **pipes)
            running.callback(processes.stop, child)
        yield child


def _release(child: subprocess.Popen[str]) -> None:
    """Write the line for which the racer waits."""
    if child.stdin is None:
        raise DrillError("a racer cannot be told to start")
    child.stdin.write("go\n")
    child.stdin.flush()


def _read_counts(child: subprocess.Popen[str], seconds: float) -> Counts:
    output, _ = child.communicate(timeout=seconds + END_SECONDS)
    return Counter(json.loads(output))


def format_rate(counts: Counts, seconds: float) -> str:
    refused = sum(count for outcome, count in counts.items() if "refused" in outcome)
    return (
        f"{counts.total():,} operations, {counts.total() / seconds:,.0f} a second,"
        f" {refused:,} of them refused"
    )


def format_counts(counts: Counts) -> Iterator[str]:
    """Yield a line for each verb with how often it succeeded and was refused."""
    succeeded = {outcome: n for outcome, n in sorted(counts.items()) if " " not in outcome}
    for verb, count in succeeded.items():
        refused = sum(n for outcome, n in counts.items() if outcome.startswith(f"{verb} refused"))
        yield f"{verb:<14} {count:>7,}   refused {refused:>7,}"


def find_problems(counts: Counts, tally: Tally) -> Iterator[str]:
    """Yield the errors of the racers, such as deadlocks, and what the audit finds."""
    yield from (
        f"{count} times {outcome}" for outcome, count in counts.items() if outcome.startswith(ERROR)
    )
    yield from tally.audit("after the races")


def spend_last_credits(worker: Worker, tally: Tally) -> Iterator[str]:
    """Let concurrent requests of one user need more credits than there are; yield the problems.

    Every credit must be spent, and none twice.
    """
    caller = create_caller(FEW_CREDITS)
    with ThreadPoolExecutor(WINDOWS) as pool:
        answers = list(
            pool.map(lambda number: caller.chat(worker.url, stream=number % 2 == 0), range(WINDOWS))
        )
    statuses = Counter(answer.status for answer in answers)
    if set(statuses) - {200, 402}:
        yield f"the answers were {dict(statuses)}"
    wait_until_idle()
    yield from tally.audit("afterwards")
    user = User.objects.get(pk=caller.user.pk)
    if (user.credits, user.credits_held) != (0, 0):
        yield f"{user.credits} credits are left, {user.credits_held} of them held"
