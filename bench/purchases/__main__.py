"""Kill a process or PostgreSQL between any two steps of payments, plans and refills.

    .venv/bin/python -m bench.purchases [--seconds 300] [--only refund,renew] [--seed 1]

Each line of the table is one buyer with one kill on the way: a payment that is refunded in part,
disputed and won; a plan that is begun, renewed, changed, ended, or past due; or a refill. The web
workers that get Stripe's events are killed as well, and the clock of the fake Stripe brings the
months. Afterwards `tick` does what is left. Then the money at the fake Stripe and the credits must
agree: given once, taken once, nothing lost. At the end the ledger is audited, and all payments and
subscriptions are compared with Stripe. The exit code is 1 if anything differs, or if a step was not
reached.
"""

import argparse
import logging
import random
import secrets
import sys
import time
from collections.abc import Iterator

import django

from bench.purchases import stage
from bench.purchases.points import DATABASE, POINTS, PROCESS, TICK, Point
from bench.purchases.scripts import Script, list_next_acts, write_script
from bench.purchases.stage import Stage
from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, say

MAX_SECONDS = 1800  # For the whole program.
ROUNDS = 5  # Of `tick` until nothing is left.


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300, help="begin no kill after so long")
    parser.add_argument(
        "--only", default="", help="words in the names of the steps, separated by commas"
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the seed of the order"
    )
    options = parser.parse_args()
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    try:
        return 0 if run(options) else 1
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1


def run(options: argparse.Namespace) -> bool:
    """Open the site, kill, and print the table; True if money and credits agree."""
    with scratch.open_scratch() as opened:
        port = find_free_port()
        environment = {**opened.own_environment(), **stage.make_environment(opened, port)}
        scratch.replace_environment(environment)
        django.setup()
        logging.getLogger("stripe").setLevel(logging.WARNING)
        from bench.purchases import books, plan_books

        books.make_tables()
        plan_books.make_plans()
        with stage.open_stage(opened, port) as staged:
            problems = list(kill_all(staged, options))
            problems += books.find_problems()
            problems += plan_books.compare_all()
    say("\n".join(["", *problems, f"{len(problems)} problems."]))
    return not problems


def kill_all(staged: Stage, options: argparse.Namespace) -> Iterator[str]:
    """Kill at every step, in any order; yield what went wrong."""
    started, chosen = time.monotonic(), choose_kills(options)
    done = 0
    for number, (victim, point) in enumerate(chosen):
        if time.monotonic() - started > options.seconds:
            break
        began = time.monotonic()
        found = list(play(staged, f"buyer{number}@example.com", point, victim))
        word, seconds = "FAILED" if found else "ok", time.monotonic() - began
        say(f"  {word:<6} {seconds:4.1f} s  {victim:<10}  {point.words}")
        yield from (f"{victim}, {point.words}: {problem}" for problem in found)
        done += 1
    seconds = time.monotonic() - started
    say(f"  {done} of {len(chosen)} kills in {seconds:.0f} s, seed {options.seed}")


def choose_kills(options: argparse.Namespace) -> list[tuple[str, Point]]:
    """Return victims and steps in any order, each step with one victim before any with the other.

    So a run that ends early has reached as many steps as it could.
    """
    order = random.Random(options.seed)
    first = [(order.choice((PROCESS, DATABASE)), point) for point in POINTS]
    second = [(DATABASE if victim == PROCESS else PROCESS, point) for victim, point in first]
    words = options.only.split(",")
    kills = [*order.sample(first, len(first)), *order.sample(second, len(second))]
    return [
        (victim, point) for victim, point in kills if any(word in point.words for word in words)
    ]


def play(staged: Stage, email: str, point: Point, victim: str) -> Iterator[str]:
    """Play one script with one kill; yield what is wrong afterwards."""
    from bench.purchases import books

    books.make_buyer(email)
    staged.control("webhooks", hold=True)  # What events do is done by the acts, one by one.
    script = write_script(staged, email, point)
    is_reached = False
    for act, armed in script.steps:
        if not isinstance(act, str):
            act()
            continue
        code = staged.act(act, email, armed, victim if armed is point else PROCESS)
        if armed is point:
            is_reached = staged.was_reached(code, victim)
            _go_on(staged, email, point)
        elif armed is None and code:
            yield f"{act} ended with {code}"
    if not is_reached:
        yield "the step was not reached"
    staged.control("webhooks", hold=False)
    staged.kill_web_workers()  # While it gets all events of this buyer at once.
    yield from _finish(staged, email, script)
    script.close()


def _go_on(staged: Stage, email: str, point: Point) -> None:
    for act in list_next_acts(point):
        _make_due()
        staged.act(act, email)


def _make_due() -> None:
    from bench.purchases import books, plan_books, refill_books

    for each in (books, plan_books, refill_books):
        each.make_due()


def _finish(staged: Stage, email: str, script: Script) -> Iterator[str]:
    """Let `tick` do what is left, and compare money with credits."""
    problems: list[str] = []
    for _ in range(ROUNDS):
        _make_due()
        staged.act(TICK, email)
        problems = list(script.check())
        if not problems:
            return
        stage.wait_a_moment(0.2)
    yield from problems


if __name__ == "__main__":
    sys.exit(main())
