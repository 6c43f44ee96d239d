"""What must be true after the faults, according to the clients and to the ledger.

The process must connect as the owner of the tables.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench import books
from bench.books import Books
from bench.chaos.faults import Event
from bench.chaos.load import Load
from bench.gateway.runs import compute_percentile
from bench.streams import LATE, SILENT, WHOLE, Answer

QUIET_SECONDS, WAIT_SECONDS = 3, 30
SPOOL_SECONDS = 60
# 503 says that the service cannot serve now; 502 and 504 say that the provider could not.
DEFINED = (502, 503, 504)
_OPEN = "SELECT count(*) FROM credit_holds WHERE state = 'open'"


@dataclass(frozen=True)
class Check:
    """One condition that must be true, with the facts that were found."""

    text: str
    passed: bool
    facts: str


@dataclass(frozen=True)
class Rest:
    """What was there after the last answer: records on disk, open holds, and how many expired."""

    spooled: int
    left: int
    expired: int


def wait_for_the_rest() -> Rest:
    """Wait until the workers have settled what they can, then expire the holds of dead workers."""
    from django.db import connection

    from credits import ledger
    from llmproxy.spool import folder

    deadline = time.monotonic() + SPOOL_SECONDS
    while folder.count_waiting().records and time.monotonic() < deadline:
        time.sleep(0.5)
    _wait_until_quiet()
    left = books.select_number(_OPEN)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_holds SET expires_at = clock_timestamp() WHERE state = 'open'"
        )
    expired = 0
    for _ in range(100):  # Each call expires the holds of a limited number of users.
        if not (batch := ledger.expire_holds()):
            break
        expired += batch
    return Rest(folder.count_waiting().records, left, expired)


def _wait_until_quiet() -> None:
    """Wait until no completion has begun or ended for QUIET_SECONDS, at most WAIT_SECONDS."""
    deadline, last, since = time.monotonic() + WAIT_SECONDS, (-1, -1), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < QUIET_SECONDS:
        counts = (
            books.select_number(_OPEN),
            books.select_number("SELECT count(*) FROM completions"),
        )
        if counts != last:
            last, since = counts, time.monotonic()
        time.sleep(0.2)


def make_checks(
    load: Load, *, ended: bool, closed: Books, rest: Rest, has_killed: bool
) -> list[Check]:
    """Return the checks. `has_killed` means that workers were killed, whose holds expire."""
    answers = list(load.answers())
    longest = max((answer.seconds for answer in answers), default=0)
    hows = Counter(answer.how for answer in answers)
    statuses = Counter(answer.status for answer in answers)
    wrong = list(_find_wrong_charges(answers))
    bugs = sum(
        number for status, number in statuses.items() if status >= 500 and status not in DEFINED
    )
    return [
        Check("every client is done", ended, f"{len(answers):,} answers"),
        Check(
            f"no client waited longer than {load.patience:g} s",
            not hows[LATE] and longest <= load.patience + 1,
            f"the longest wait was {longest:.1f} s, {hows[LATE]} gave up",
        ),
        Check(
            "an answer is complete or marked as incomplete",
            not hows[SILENT],
            f"{hows[SILENT]} ended in silence",
        ),
        Check("no answer is a bug's (5xx but 502, 503, 504)", not bugs, f"{bugs} were"),
        Check(
            "the credits in an answer are what was charged",
            not wrong,
            _format_examples(wrong, hows[WHOLE]),
        ),
        Check("nothing waits on disk", not rest.spooled, f"{rest.spooled} records do"),
        Check(
            "only what killed workers held was left, and has expired",
            rest.left == rest.expired and (has_killed or not rest.left),
            f"{rest.left} left open, {rest.expired} expired",
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


def _find_wrong_charges(answers: Iterable[Answer]) -> Iterator[str]:
    """Describe the complete answers whose receipt is missing or shows a different charge."""
    from llmproxy.models import Completion

    reported = {answer.name: answer.credits for answer in answers if answer.how == WHOLE}
    charged = dict(
        Completion.objects.filter(status="completed").values_list("generation_id", "charged")
    )
    for name, credits in reported.items():
        if charged.get(name) != credits:
            yield f"{name} reported {credits}, charged {charged.get(name)}"


def _format_examples(wrong: list[str], whole: int) -> str:
    return f"{len(wrong)} of {whole:,} differ" + (f": {'; '.join(wrong[:3])}" if wrong else "")


def format_report(load: Load, events: list[Event], checks: list[Check]) -> Iterator[str]:
    """Yield the lines of the whole report."""
    yield "\nFaults, and when the next JSON completion that began after it was whole"
    for event in events:
        yield f"  {event.name:<42} {event.open:>4} streams open   {_format_recovery(load, event)}"
    yield "\nAnswers"
    for kind, answers in (("streams", load.streams), ("JSON", load.json)):
        for (how, status), number in sorted(Counter((a.how, a.status) for a in answers).items()):
            waits = [a.seconds for a in answers if (a.how, a.status) == (how, status)]
            slow = f"p50 {compute_percentile(waits, 50):5.1f} s, at most {max(waits):5.1f} s"
            yield f"  {kind:<8} {how:<24} {status or '':<4} {number:>7,}   {slow}"
    yield "\nAfterwards"
    for check in checks:
        yield f"  {'ok' if check.passed else 'FAILED':<6}  {check.text:<56} {check.facts}"
    failed = sum(not check.passed for check in checks)
    yield f"\nFAILED: {failed} of {len(checks)}." if failed else f"\nAll {len(checks)} are ok."


def _format_recovery(load: Load, event: Event) -> str:
    """Return the seconds from the fault to the first complete JSON answer that began after it."""
    ends = [
        a.began + a.seconds - event.at for a in load.json if a.how == WHOLE and a.began >= event.at
    ]
    return f"{min(ends):5.1f} s" if ends else "never"
