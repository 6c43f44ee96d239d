"""The checks after each fault, and the text of the report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy.models import Completion
from smartspec.drill.caller import Answer, Caller
from smartspec.drill.database import expire_holds
from smartspec.drill.faults import Fault


@dataclass
class Outcome:
    """One line of the report: a step, its duration, and the problems after it."""

    name: str
    seconds: float
    fact: str
    problems: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """The problems of all audits of the drill, by the number of the invariant."""

    audits: int = 0
    problems: Counter[int] = field(default_factory=Counter)

    def audit(self, when: str) -> Iterator[str]:
        """Audit all users now, and yield each finding as a problem of the step."""
        report = audit.run()
        self.audits += 1
        self.problems += report.problems
        yield from (f"{when}: {finding}" for finding in report.findings)


def examine(fault: Fault, caller: Caller, answer: Answer, tally: Tally) -> Iterator[str]:
    """Yield the problems at once, while holds are open, and after the holds have expired."""
    yield from tally.audit("at once")
    yield from _check_answer(fault, answer)
    held = ledger.balance(caller.user).held
    if bool(held) != fault.orphan:
        yield f"{held} credits are held"
    expire_holds(caller.user)
    yield from check_charge(caller, fault.charged)
    yield from tally.audit("after expiry")


def _check_answer(fault: Fault, answer: Answer) -> Iterator[str]:
    if answer.whole != (fault.status is not None) or (
        answer.whole and answer.status != fault.status
    ):
        yield f"expected status {fault.status}, got {answer}"
    if fault.status == 503 and not answer.retry_after:
        yield "the refusal does not say when to try again"


def check_charge(caller: Caller, charged: int) -> Iterator[str]:
    """Check that the balance, the transactions and the receipts all show this one charge."""
    balance = ledger.balance(caller.user)
    if (balance.credits, balance.held) != (caller.credits - charged, 0):
        expected = caller.credits - charged
        yield f"the balance is {balance.credits} with {balance.held} held, not {expected}"
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


def format_outcome(outcome: Outcome) -> Iterator[str]:
    """Yield the line of the step, and a line for each problem."""
    word = "FAILED" if outcome.problems else "ok"
    yield f"  {word:<6} {outcome.seconds:5.1f} s  {outcome.name:<60} {outcome.fact}"
    yield from (f"            {problem}" for problem in outcome.problems)


def format_summary(outcomes: Sequence[Outcome], tally: Tally) -> Iterator[str]:
    """Yield a line for each invariant with the number of problems, and the verdict."""
    yield f"\nInvariants, and their problems in {tally.audits} audits"
    for number, text in audit.list_invariants().items():
        problems = tally.problems[number]
        yield f"  {'FAILED' if problems else 'ok':<6} {number:>2}  {problems:>3}  {text}"
    failed = [outcome for outcome in outcomes if outcome.problems]
    yield (
        f"\nFAILED: {len(failed)} of {len(outcomes)} steps."
        if failed
        else f"\nAll {len(outcomes)} steps are ok."
    )
