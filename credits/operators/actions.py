"""What administrators do to the ledger. Each act writes an entry in the administrators' log.

Every act takes effect once. Its idempotency key identifies the form it came from, and the rows of
the users are locked before the code checks whether the key was used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.transaction import atomic

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import User
from credits import ledger
from credits.currencies import format_amount
from credits.exceptions import HoldEnded
from credits.models import Hold, Operation, Purchase, Refund, Transaction
from credits.operators import reviews
from credits.operators.reviews import Decision
from credits.purchases import settlement
from credits.purchases.facts import Finding
from credits.reversals import refund_acts
from credits.reversals.refund_acts import Request

MAX_REASON = 500  # Characters, as in the ledger's description.


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of `amount` credits for each of the users. `expires_at` needs a positive amount."""

    amount: int
    type: str
    reason: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ActedBy:
    """The administrators behind an act.

    `actor` asked for it and stands in the ledger's row. `approver` is the second administrator who
    approved it, None if none was needed.
    """

    actor: User
    approver: User | None = None

    @property
    def log_author(self) -> User:
        return self.approver or self.actor

    def log_text(self, act: str, reason: str) -> str:
        requester = f", requested by {self.actor}" if self.approver else ""
        return f"{act}{requester}: {reason}"


def adjust(
    users: Iterable[User], adjustment: Adjustment, *, by: ActedBy, key: str
) -> list[Transaction]:
    """Give credits to all of these users or take them away; on a refusal, change no user.

    Raises LedgerRefusal; IdempotencyConflict if the key was used for a different adjustment.
    """
    with atomic():
        return [_adjust_one(user, adjustment, by, key) for user in lock_users(users)]


def lock_users(users: Iterable[User]) -> QuerySet[User]:
    """Lock the rows of these users in the order of their ids, which prevents deadlocks."""
    chosen = User.objects.filter(pk__in=[user.pk for user in users]).order_by("pk")
    return chosen.select_for_update(no_key=True)


def _adjust_one(user: User, adjustment: Adjustment, by: ActedBy, key: str) -> Transaction:
    already_done = was_done(user, "adjust", key)
    posted = ledger.adjust(
        user=user,
        amount=adjustment.amount,
        type=adjustment.type,
        reason=adjustment.reason,
        actor=by.actor,
        idempotency_key=key,
        expires_at=adjustment.expires_at,
    )
    if not already_done:
        administrators_log.record(
            by.log_author,
            Act.ADJUSTED,
            user,
            by.log_text(
                f"{adjustment.amount:+} {_choose_noun(adjustment.amount)}", adjustment.reason
            ),
        )
    return posted


def was_done(user: User, verb: str, key: str) -> bool:
    """True if the ledger knows this key. The answer can change unless the user's row is locked."""
    return Operation.objects.filter(user=user, verb=verb, idempotency_key=key).exists()


def refund(
    original: Transaction, amount: int, reason: str, *, by: ActedBy, key: str
) -> Transaction:
    """Return `amount` credits of a usage, or take back those of a payment.

    Raises LedgerRefusal.
    """
    with atomic():
        list(lock_users([original.user]))
        already_done = was_done(original.user, "refund", key)
        posted = ledger.refund(
            transaction=original, amount=amount, reason=reason, actor=by.actor, idempotency_key=key
        )
        if not already_done:
            text = by.log_text(f"{amount} {_choose_noun(amount)}", reason)
            administrators_log.record(by.log_author, Act.REFUNDED, original, text)
    return posted


def take_refund(purchase: Purchase, request: Request, *, by: ActedBy) -> Refund:
    """Take the credits of a refund of money and write it down. Raises LedgerRefusal.

    The caller sends it after the commit.
    """
    with atomic():
        list(lock_users([purchase.user]))
        already_done = Refund.objects.filter(form_key=request.key).exists()
        written = refund_acts.take(purchase, request)
        if not already_done:
            amount = format_amount(request.amount, purchase.paid_currency, "en")
            act = f"{amount} for {written.credits} {_choose_noun(written.credits)}"
            act += ", ends the plan" if request.ends_plan else ""
            text = by.log_text(act, request.reason)
            administrators_log.record(
                by.log_author, Act.REFUNDED, purchase.transaction or purchase, text
            )
    return written


def write_off(user: User, amount: int, reason: str, *, by: ActedBy, key: str) -> Transaction:
    """Lower the debt of a user by `amount` credits without a payment. Raises LedgerRefusal."""
    with atomic():
        list(lock_users([user]))
        already_done = was_done(user, "write_off", key)
        posted = ledger.write_off(
            user=user, amount=amount, reason=reason, actor=by.actor, idempotency_key=key
        )
        if not already_done:
            text = by.log_text(f"{amount} {_choose_noun(amount)} of debt", reason)
            administrators_log.record(by.log_author, Act.WROTE_OFF, user, text)
    return posted


def accept_payment(
    purchase: Purchase, finding: Finding, reason: str, *, by: ActedBy
) -> Transaction | None:
    """Give the credits of a payment in review. Raises LedgerRefusal.

    `finding` is what Stripe said just now, because it cannot be asked in a transaction.
    """
    with atomic():
        before = settlement.lock(purchase)
        row = reviews.accept(purchase, finding, Decision(by.actor, reason))
        if before.state != row.state:
            amount = format_amount(row.total, row.currency, "en")
            act = f"{row.credits} {_choose_noun(row.credits)} for {amount} ({before.problem})"
            administrators_log.record(by.log_author, Act.ACCEPTED, row, by.log_text(act, reason))
    return row.transaction


def leave_payment(purchase: Purchase, reason: str, *, actor: User) -> None:
    """Note that a payment in review stays without credits. Raises NotInReview."""
    with atomic():
        before = settlement.lock(purchase)
        row = reviews.leave(purchase, Decision(actor, reason))
        if before.decided_at is None:
            text = f"Without credits ({row.problem}): {reason}"
            administrators_log.record(actor, Act.LEFT, row, text)


def cancel(hold: Hold, reason: str, *, actor: User) -> None:
    """Release the hold of a running completion, which is then not charged. Raises HoldEnded."""
    with atomic():
        if not ledger.release(hold=hold):
            raise HoldEnded("This hold has ended meanwhile.")
        administrators_log.record(
            actor,
            Act.CANCELLED,
            hold,
            f"{hold.amount} {_choose_noun(hold.amount)} of {hold.user.public_id}: {reason}",
        )


def _choose_noun(number: int) -> str:
    """Return the noun for the administrators' log, which is always in English."""
    return "credit" if abs(number) == 1 else "credits"
