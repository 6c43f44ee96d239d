"""How many credits the reversals of a payment take. Pure functions, without a database.

A payment of `amount` bought `credits`. Its reversals are refunds and withdrawals of disputes. All
reversals in force together take ⌊credits × min(Σ their amounts, amount) / amount⌋ credits: the
*target*. So every order of arrival ends with the same sum, and a complete reversal takes exactly
what was bought. Tax and fees are a part of the amount.

Amounts of money are whole numbers of the currency's minor unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Payment:
    """What was paid, tax included, and the credits that it bought."""

    amount: int
    credits: int


@dataclass(frozen=True, slots=True)
class Reversal:
    """One refund, or one withdrawal of a dispute.

    `amount` is the money that it takes back now: 0 if it failed, was canceled or was reinstated.
    `credits` are the credits that it has taken in the ledger and has not given back.
    """

    stripe_id: str
    amount: int
    credits: int = 0


class Verb(Enum):
    """What the ledger does: `restore` for GIVE_BACK, `claw_back` or `refund` for TAKE."""

    GIVE_BACK = "give back"
    TAKE = "take"


class Step(NamedTuple):
    """One row of the ledger: all credits of a reversal are given back, or `credits` are taken."""

    verb: Verb
    stripe_id: str
    credits: int


def compute_target(payment: Payment, reversed_amount: int) -> int:
    """Return the credits that reversals of this amount take together, from 0 to all."""
    if payment.amount <= 0:
        return 0
    return payment.credits * min(max(reversed_amount, 0), payment.amount) // payment.amount


def plan_steps(payment: Payment, reversals: Sequence[Reversal]) -> list[Step]:
    """Return what the ledger has to do, in this order, until its rows are the target.

    `reversals` are all reversals of the payment in the order in which they became known, a new one
    last with 0 credits. The list is empty if nothing has to be done, so a repeated event does
    nothing. A reversal has at most one row in force: where rounding or an overlap leaves too much
    or too little, the last reversal is given back and taken anew.
    """
    taken = {reversal.stripe_id: reversal.credits for reversal in reversals}
    in_force = [reversal.stripe_id for reversal in reversals if reversal.amount > 0]
    steps = [
        Step(Verb.GIVE_BACK, stripe_id, taken.pop(stripe_id))
        for stripe_id in [reversal.stripe_id for reversal in reversals if reversal.amount <= 0]
        if taken[stripe_id]
    ]
    missing = compute_target(payment, sum(reversal.amount for reversal in reversals)) - sum(
        taken.values()
    )
    if missing == 0:
        return steps
    for stripe_id in _choose_rewritten(in_force, taken, missing):
        if taken[stripe_id]:
            steps.append(Step(Verb.GIVE_BACK, stripe_id, taken[stripe_id]))
            missing += taken[stripe_id]
        if missing >= 0:
            break
    return [*steps, Step(Verb.TAKE, stripe_id, missing)] if missing else steps


def _choose_rewritten(
    in_force: Sequence[str], taken: dict[str, int], missing: int
) -> Iterable[str]:
    """Return the reversals that may be taken anew, the first choice first.

    If too little is taken, one without a row needs no second one. If too much is taken, each one is
    given back in turn until no more than the target is taken.
    """
    latest = in_force[::-1]
    if missing < 0:
        return [stripe_id for stripe_id in latest if taken[stripe_id]]
    return [stripe_id for stripe_id in latest if not taken[stripe_id]][:1] or latest[:1]


def apply_steps(reversals: Sequence[Reversal], steps: Iterable[Step]) -> list[Reversal]:
    """Return the reversals with the credits that they have taken after these steps."""
    taken = {reversal.stripe_id: reversal.credits for reversal in reversals}
    for step in steps:
        taken[step.stripe_id] += step.credits if step.verb is Verb.TAKE else -step.credits
    return [Reversal(each.stripe_id, each.amount, taken[each.stripe_id]) for each in reversals]
