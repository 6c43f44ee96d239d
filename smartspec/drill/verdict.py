"""What must hold after a fault, and how all of it is told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy.models import Completion
from smartspec.drill.caller import Answer, Caller
from smartspec.drill.database import end_of_holds
from smartspec.drill.faults import Fault


@dataclass
class Outcome:
    """One line of the table: what was done, and what was wrong after it."""

    name: str
    seconds: float
    fact: str
    problems: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """Problems of all audits of the drill, by invariant."""

    audits: int = 0
    problems: Counter[int] = field(default_factory=Counter)

    def audit(self, when: str) -> Iterator[str]:
        """Audit everything now; each finding is a problem of the step."""
        report = audit.run()
        self.audits += 1
        self.problems += report.problems
        yield from (f"{when}: {finding}" for finding in report.findings)


def examine(fault: Fault, caller: Caller, answer: Answer, tally: Tally) -> Iterator[str]:
    """The audit at once, with what was left open; then the holds' lives are over, and it is asked again."""
    yield from tally.audit("at once")
    yield from _answered(fault, answer)
    held = ledger.balance(caller.user).held
    if bool(held) != fault.orphan:
        yield f"{held} credits are held"
    end_of_holds(caller.user)
    yield from charges(caller, fault.charged)
    yield from tally.audit("after expiry")


def _answered(fault: Fault, answer: Answer) -> Iterator[str]:
    if answer.whole != (fault.status is not None) or (
        answer.whole and answer.status != fault.status
    ):
        yield f"expected status {fault.status}, got {answer}"
    if fault.status == 503 and not answer.retry_after:
        yield "the refusal does not say when to try again"


def charges(caller: Caller, charged: int) -> Iterator[str]:
    """The balance is what the rows say, and they say this one charge, with its receipt."""
    balance = ledger.balance(caller.user)
    if (balance.credits, balance.held) != (caller.credits - charged, 0):
        yield f"the balance is {balance.credits} with {balance.held} held, not {caller.credits - charged}"
    rows = list(
        Transaction.objects.filter(user=caller.user, type="usage").values_list("amount", flat=True)
    )
    if rows != ([-charged] if charged else []):
        yield f"the charges are {rows}, not {charged}"
    receipts = list(
        Completion.objects.filter(user=caller.user, charged__gt=0).values_list("charged", flat=True)
    )
    if receipts != ([charged] if charged else []):
        yield f"the receipts say {receipts}, not {charged}"
    if Hold.objects.filter(user=caller.user, state="open").exists():
        yield "a hold is still open"


def lines(outcome: Outcome) -> Iterator[str]:
    """A step in the table, and below it what was wrong."""
    word = "FAILED" if outcome.problems else "ok"
    yield f"  {word:<6} {outcome.seconds:5.1f} s  {outcome.name:<60} {outcome.fact}"
    yield from (f"            {problem}" for problem in outcome.problems)


def summary(outcomes: Sequence[Outcome], tally: Tally) -> Iterator[str]:
    """Each invariant with its problems, and the verdict."""
    yield f"\nInvariants, and their problems in {tally.audits} audits"
    for number, text in audit.invariants().items():
        yield f"  {'FAILED' if tally.problems[number] else 'ok':<6} {number:>2}  {tally.problems[number]:>3}  {text}"
    failed = [outcome for outcome in outcomes if outcome.problems]
    yield (
        f"\nFAILED: {len(failed)} of {len(outcomes)} steps."
        if failed
        else f"\nAll {len(outcomes)} steps are ok."
    )
