"""What Stripe says about money that went back, as values. Only `fetch` talks to Stripe.

Amounts are in minor units of the payment's currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from credits.stripe_api import disputes as stripe_disputes
from credits.stripe_api import refunds as stripe_refunds
from credits.stripe_api.client import Answer

FAILED = frozenset({"failed", "canceled"})
# A later status has a higher or the same rank, so a stale one is recognised.
_REFUND_RANKS = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}


@dataclass(frozen=True, slots=True)
class RefundFact:
    """A refund. `request` is the public_id of our own request for it, empty if it is not ours."""

    id: str
    amount: int
    status: str
    request: str = ""
    failure: str = ""

    @property
    def is_in_force(self) -> bool:
        """True from the beginning: the buyer gets the money, unless the refund fails."""
        return self.status not in FAILED

    def follows(self, status: str) -> bool:
        """True if this status can come after, or is, the other one."""
        return _REFUND_RANKS.get(self.status, 0) >= _REFUND_RANKS.get(status, 0)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A balance transaction by which a dispute took `amount` from us."""

    id: str
    amount: int


@dataclass(frozen=True, slots=True)
class DisputeFact:
    """A dispute or an inquiry with the money that it moved.

    `reinstated` is what came back, by balance transactions of which `reinstated_by` is the last.
    `movements` counts all balance transactions: they only get more, so of two answers the one with
    fewer is older.
    """

    id: str
    status: str
    reason: str
    amount: int
    evidence_due_by: datetime | None
    withdrawals: tuple[Withdrawal, ...] = ()
    reinstated: int = 0
    reinstated_by: str = ""
    movements: int = 0

    @property
    def is_inquiry(self) -> bool:
        return self.status.startswith("warning_")


@dataclass(frozen=True, slots=True)
class WarningFact:
    """An early fraud warning; actionable while it is neither disputed nor refunded in full."""

    id: str
    reason: str
    is_actionable: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that went back of one payment, or may go back."""

    refunds: Sequence[RefundFact] = ()
    disputes: Sequence[DisputeFact] = ()
    warnings: Sequence[WarningFact] = ()


def fetch(payment_intent: str) -> Facts:
    """Ask Stripe about one payment. Raises StripeAway, StripeRefused."""
    return Facts(
        refunds=[read_refund(each) for each in _list_oldest_first(payment_intent)],
        disputes=[
            read_dispute(each)
            for each in stripe_disputes.list_disputes(payment_intent=payment_intent)
        ],
        warnings=[
            read_warning(each)
            for each in stripe_disputes.list_fraud_warnings(payment_intent=payment_intent)
        ],
    )


def _list_oldest_first(payment_intent: str) -> list[Answer]:
    return list(stripe_refunds.list_refunds(payment_intent=payment_intent))[::-1]


def read_refund(answer: Answer) -> RefundFact:
    metadata = answer.get("metadata") or {}
    is_ours = metadata.get("site") == settings.STRIPE_SITE
    return RefundFact(
        id=answer["id"],
        amount=answer["amount"],
        status=answer.get("status") or "pending",
        request=metadata.get("refund", "") if is_ours else "",
        failure=answer.get("failure_reason") or "",
    )


def read_dispute(answer: Answer) -> DisputeFact:
    movements = sorted(
        answer.get("balance_transactions") or [],
        key=lambda each: (each["created"], each["amount"] > 0),
    )
    taken = [each for each in movements if each["amount"] < 0]
    returned = [each for each in movements if each["amount"] > 0]
    due = (answer.get("evidence_details") or {}).get("due_by")
    withdrawals = tuple(Withdrawal(each["id"], _convert(each, answer, taken)) for each in taken)
    return DisputeFact(
        id=answer["id"],
        status=answer["status"],
        reason=answer.get("reason") or "",
        amount=answer["amount"],
        evidence_due_by=datetime.fromtimestamp(due, UTC) if due else None,
        withdrawals=withdrawals,
        reinstated=_sum_reinstated(answer, taken, returned, withdrawals),
        reinstated_by=returned[-1]["id"] if returned else "",
        movements=len(movements),
    )


def _sum_reinstated(
    dispute: Answer,
    taken: Sequence[Answer],
    returned: Sequence[Answer],
    withdrawals: Sequence[Withdrawal],
) -> int:
    """Return what came back.

    A dispute that was won in another currency came back whole, whatever the exchange rate of that
    day was.
    """
    if dispute["status"] == "won" and any(
        each["currency"] != dispute["currency"] for each in returned
    ):
        return sum(each.amount for each in withdrawals)
    return sum(_convert(each, dispute, taken) for each in returned)


def _convert(movement: Answer, dispute: Answer, taken: Sequence[Answer]) -> int:
    """Return the amount in the currency of the payment.

    Balance transactions are in the currency in which Stripe pays us. If it is another one, the
    first withdrawal is the disputed amount, and the others are in proportion to it.
    """
    amount = abs(int(movement["amount"]))
    if movement["currency"] == dispute["currency"] or not taken:
        return amount
    return int(dispute["amount"]) * amount // abs(int(taken[0]["amount"]))


def read_warning(answer: Answer) -> WarningFact:
    return WarningFact(
        id=answer["id"],
        reason=answer.get("fraud_type") or "",
        is_actionable=bool(answer.get("actionable")),
    )


def count_in_force(fact: DisputeFact, known: dict[str, int]) -> dict[str, int]:
    """Return how much of each withdrawal of the dispute still counts, by its id.

    `known` is what counted before. It only ever decreases, so an answer that is older than what is
    known changes nothing: what came back is set off against the oldest withdrawals that still
    count.
    """
    counts = {each.id: known.get(each.id, each.amount) for each in fact.withdrawals}
    in_force = max(sum(each.amount for each in fact.withdrawals) - fact.reinstated, 0)
    surplus = sum(counts.values()) - in_force
    for name, amount in counts.items():
        if surplus <= 0:
            break
        counts[name] = max(amount - surplus, 0)
        surplus -= amount - counts[name]
    return counts
