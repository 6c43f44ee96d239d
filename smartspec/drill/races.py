"""Many at once on a few accounts: real processes with threads, and windows of one user on a real site."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from accounts.models import User
from smartspec.drill.caller import new_caller
from smartspec.drill.database import DrillError, wait_until_idle
from smartspec.drill.racer import ERROR, Counts
from smartspec.drill.scratch import ROOT, Worker
from smartspec.drill.signals import signals
from smartspec.drill.verdict import Tally
from smartspec.local import processes

WINDOWS = 12
FEW_CREDITS = 10
AFTERWARDS = 30  # seconds a racer may take to end


def race(
    environment: Mapping[str, str],
    users: Sequence[User],
    *,
    seed: int,
    seconds: float,
    racers: int,
    threads: int,
) -> Counts:
    """Let processes race on these users, all from one moment on; what they did, by verb and outcome."""
    asked = [
        "--threads",
        str(threads),
        "--seconds",
        str(seconds),
        "--users",
        *(str(user.pk) for user in users),
    ]
    with ExitStack() as running:
        children = [
            running.enter_context(_racer(environment, "--seed", str(seed + number), *asked))
            for number in range(racers)
        ]
        for child in children:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                raise DrillError("a racer did not start")
        for child in children:
            _go(child)
        return sum((_counts(child, seconds) for child in children), Counter())


@contextmanager
def _racer(environment: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "smartspec.drill.racer", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as running:
        with signals.deferred():
            child = processes.start(command, cwd=ROOT, env=environment, process_group=0, **pipes)
            running.callback(processes.stop, child)
        yield child


def _go(child: subprocess.Popen[str]) -> None:
    if child.stdin is None:
        raise DrillError("a racer cannot be told to start")
    child.stdin.write("go\n")
    child.stdin.flush()


def _counts(child: subprocess.Popen[str], seconds: float) -> Counts:
    out, _ = child.communicate(timeout=seconds + AFTERWARDS)
    return Counter(json.loads(out))


def figures(counts: Counts, seconds: float) -> str:
    refused = sum(count for what, count in counts.items() if "refused" in what)
    return f"{counts.total():,} operations, {counts.total() / seconds:,.0f} a second, {refused:,} of them refused"


def lines(counts: Counts) -> Iterator[str]:
    """How often each verb was done, and how often refused."""
    done = {what: count for what, count in sorted(counts.items()) if " " not in what}
    for verb, count in done.items():
        refused = sum(n for what, n in counts.items() if what.startswith(f"{verb} refused"))
        yield f"{verb:<14} {count:>7,}   refused {refused:>7,}"


def problems(counts: Counts, tally: Tally) -> Iterator[str]:
    """Nobody met an error, a deadlock say; and the audit replays all of it."""
    yield from (f"{count} times {what}" for what, count in counts.items() if what.startswith(ERROR))
    yield from tally.audit("after the races")


def last_credits(worker: Worker, tally: Tally) -> Iterator[str]:
    """Windows of one user spend more than there is, all at once: every credit is spent, and none twice."""
    caller = new_caller(FEW_CREDITS)
    with ThreadPoolExecutor(WINDOWS) as pool:
        answers = list(
            pool.map(lambda number: caller.chat(worker.url, stream=number % 2 == 0), range(WINDOWS))
        )
    statuses = Counter(answer.status for answer in answers)
    if set(statuses) - {200, 402}:
        yield f"the answers were {dict(statuses)}"
    wait_until_idle()
    yield from tally.audit("afterwards")
    left = User.objects.get(pk=caller.user.pk)
    if (left.credits, left.credits_held) != (0, 0):
        yield f"{left.credits} credits are left, {left.credits_held} of them held"
