"""What must be true when it is over: asked of the clients, and of the ledger as the owner of its tables."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench import books
from bench.books import Books
from bench.chaos.faults import Event
from bench.chaos.load import Load
from bench.gateway.runs import percentile
from bench.streams import LATE, SILENT, WHOLE, Answer

QUIET_SECONDS, WAIT_SECONDS = 3, 30
_OPEN = "SELECT count(*) FROM credit_holds WHERE state = 'open'"


@dataclass(frozen=True)
class Check:
    """One thing that must be so; what was found."""

    text: str
    good: bool
    found: str


def end_of_holds() -> tuple[int, int]:
    """Wait until the workers have settled what they can; let the holds of those that died expire, all of them now.

    How many were left open, and how many of them expired.
    """
    from django.db import connection

    from credits import ledger

    _until_quiet()
    left = books.number(_OPEN)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_holds SET expires_at = clock_timestamp() WHERE state = 'open'"
        )
    expired = 0
    for _ in range(100):  # some users at a time
        if not (some := ledger.expire_holds()):
            break
        expired += some
    return left, expired


def _until_quiet() -> None:
    """No completion begins or ends for some seconds."""
    deadline, seen, since = time.monotonic() + WAIT_SECONDS, (-1, -1), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < QUIET_SECONDS:
        now = books.number(_OPEN), books.number("SELECT count(*) FROM completions")
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


def checks(load: Load, *, ended: bool, closed: Books, left: int, expired: int) -> list[Check]:
    answers = list(load.answers())
    longest = max((answer.seconds for answer in answers), default=0)
    hows = Counter(answer.how for answer in answers)
    statuses = Counter(answer.status for answer in answers)
    wrong = list(_told_otherwise(answers))
    return [
        Check("every client is done", ended, f"{len(answers):,} answers"),
        Check(
            f"nobody waited longer than {load.patience:g} s",
            not hows[LATE] and longest <= load.patience + 1,
            f"the longest wait was {longest:.1f} s, {hows[LATE]} gave up",
        ),
        Check(
            "an answer is whole or says that it is not",
            not hows[SILENT],
            f"{hows[SILENT]} ended in silence",
        ),
        Check("no answer is a bug's (500)", not statuses[500], f"{statuses[500]} were"),
        Check(
            "what an answer says it cost is what was charged",
            not wrong,
            _examples(wrong, hows[WHOLE]),
        ),
        Check(
            "all that was left open has expired",
            left == expired,
            f"{left} left open, {expired} expired",
        ),
        Check("no hold is open", not closed.open_holds, f"{closed.open_holds} are"),
        Check(
            "no balance is below zero",
            not closed.overdraft,
            f"{closed.overdraft} credits overdrawn",
        ),
        Check(
            "balances are the sum of the ledger",
            not closed.drift,
            f"drift of {closed.drift} credits",
        ),
        Check(
            "receipts are the sum of the charges",
            closed.charged == closed.receipts,
            f"{closed.charged:,} charged, {closed.receipts:,} on {closed.completions:,} receipts",
        ),
        Check("the audit finds nothing", not closed.problems, f"{closed.problems} problems"),
    ]


def _told_otherwise(answers: Iterable[Answer]) -> Iterator[str]:
    """Whole answers whose receipt is missing, or says another price than they do."""
    from llmproxy.models import Completion

    told = {answer.name: answer.credits for answer in answers if answer.how == WHOLE}
    charged = dict(
        Completion.objects.filter(status="completed").values_list("generation_id", "charged")
    )
    for name, credits in told.items():
        if charged.get(name) != credits:
            yield f"{name} said {credits}, charged {charged.get(name)}"


def _examples(wrong: list[str], whole: int) -> str:
    return f"{len(wrong)} of {whole:,} differ" + (f": {'; '.join(wrong[:3])}" if wrong else "")


def lines(load: Load, events: list[Event], checked: list[Check]) -> Iterator[str]:
    """All of it, to be printed."""
    yield "\nKilled, and when the next JSON completion that began after it was whole"
    for event in events:
        yield f"  {event.name:<34} {event.open:>4} streams open   {_recovery(load, event)}"
    yield "\nAnswers"
    for kind, answers in (("streams", load.streams), ("JSON", load.json)):
        for (how, status), number in sorted(Counter((a.how, a.status) for a in answers).items()):
            waits = [a.seconds for a in answers if (a.how, a.status) == (how, status)]
            slow = f"p50 {percentile(waits, 50):5.1f} s, at most {max(waits):5.1f} s"
            yield f"  {kind:<8} {how:<24} {status or '':<4} {number:>7,}   {slow}"
    yield "\nAfterwards"
    for check in checked:
        yield f"  {'ok' if check.good else 'FAILED':<6}  {check.text:<48} {check.found}"
    failed = sum(not check.good for check in checked)
    yield f"\nFAILED: {failed} of {len(checked)}." if failed else f"\nAll {len(checked)} are ok."


def _recovery(load: Load, event: Event) -> str:
    ends = [
        a.began + a.seconds - event.at for a in load.json if a.how == WHOLE and a.began >= event.at
    ]
    return f"{min(ends):5.1f} s" if ends else "never"
