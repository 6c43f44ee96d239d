"""Kill a process or PostgreSQL between any two steps of buying, refunding and disputing.

    .venv/bin/python -m bench.purchases [--seconds 60] [--only refund] [--seed 1]

Each line of the table is one payment: bought, refunded in part, disputed and won, with one kill on
the way, while the web workers that get Stripe's events are killed as well. Afterwards `tick` does
what is left. Then the money at the fake Stripe and the credits must agree: given once, taken once,
nothing lost. At the end the ledger is audited, and all payments are compared with Stripe. The exit
code is 1 if anything differs, or if a step was not reached.
"""

import argparse
import logging
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator

import django

from bench.purchases import stage
from bench.purchases.points import (
    BUY,
    DATABASE,
    DISPUTE,
    POINTS,
    PROCESS,
    REFUND,
    RETURN,
    TICK,
    Point,
)
from bench.purchases.stage import Stage
from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, say

# An act of ours by its name, or what a buyer, a bank or Stripe does; and the point of the kill.
Step = tuple[str | Callable[[], None], Point | None]
MAX_SECONDS = 600  # For the whole program.
ROUNDS = 5  # Of `tick` until nothing is left.


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="begin no kill after so long")
    parser.add_argument("--only", default="", help="a word in the names of the steps")
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
        from bench.purchases import books

        books.make_tables()
        with stage.open_stage(opened, port) as staged:
            problems = list(kill_all(staged, options))
            problems += books.find_problems()
    say("\n".join(["", *problems, f"{len(problems)} problems."]))
    return not problems


def kill_all(staged: Stage, options: argparse.Namespace) -> Iterator[str]:
    """Kill at every step, in any order; yield what went wrong."""
    started = time.monotonic()
    chosen = [
        (victim, point)
        for victim in (PROCESS, DATABASE)
        for point in POINTS
        if options.only in point.words
    ]
    random.Random(options.seed).shuffle(chosen)
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


def play(staged: Stage, email: str, point: Point, victim: str) -> Iterator[str]:
    """Play the life of one payment with one kill; yield what is wrong afterwards."""
    from bench.purchases import books

    books.make_buyer(email)
    staged.control("webhooks", hold=True)  # What events do is done by the acts, one by one.
    script = _write_script(staged, email, point)
    is_reached = False
    for act, armed in script:
        if not isinstance(act, str):
            act()
            continue
        code = staged.act(act, email, armed, victim if armed is point else PROCESS)
        if armed is point:
            is_reached = staged.was_reached(code, victim)
            books.make_due()
            # A person sends the form again of which nothing was kept; the rest is left to `tick`.
            staged.act(act if act == BUY or point.name == "_take_credits" else TICK, email)
        elif armed is None and code:
            yield f"{act} ended with {code}"
    if not is_reached:
        yield "the step was not reached"
    staged.control("webhooks", hold=False)
    staged.kill_web_workers()  # While it gets all events of this payment at once.
    yield from _finish(staged, email)


def _write_script(staged: Stage, email: str, point: Point) -> list[Step]:
    """Return the acts in order, each with the point at which it is killed, if any."""
    from bench.purchases import books

    def armed(act: str) -> Point | None:
        return point if point.act == act else None

    def pay() -> None:
        staged.control("pay", session=books.find_purchase(email).checkout_session, card="visa")
        books.store_event(email)

    def open_dispute() -> None:
        staged.control("dispute", payment=books.find_purchase(email).payment_intent)

    def win() -> None:
        staged.control("end_dispute", dispute=books.find_dispute(email), status="won")

    by_tick = point.act == TICK
    resends = by_tick and point.name in ("create_refund", "record")
    lost = Point(REFUND, "after", "credits.reversals.refund_acts", "take")
    resent: list[Step] = [(books.make_due, None), (TICK, point)] if resends else []
    return [
        (BUY, armed(BUY)),
        (pay, None),
        (TICK, point) if by_tick and not resends else (RETURN, armed(RETURN)),
        (REFUND, lost if resends else armed(REFUND)),
        *resent,
        (open_dispute, None),
        (DISPUTE, armed(DISPUTE)),
        (win, None),
        (DISPUTE, None),
    ]


def _finish(staged: Stage, email: str) -> Iterator[str]:
    """Let `tick` do what is left, and compare money with credits."""
    from bench.purchases import books

    problems: list[str] = []
    for _ in range(ROUNDS):
        books.make_due()
        staged.act(TICK, email)
        problems = list(books.check_buyer(email))
        if not problems:
            return
        stage.wait_a_moment(0.2)
    yield from problems


if __name__ == "__main__":
    sys.exit(main())
