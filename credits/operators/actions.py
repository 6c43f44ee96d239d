"""What administrators do to the ledger, each act with its entry in their log: who, when, why.

Every act does its thing once: a key says which form it came from, and the rows of the users are locked
before asking whether that form was used already.
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
from credits.exceptions import HoldEnded
from credits.models import Hold, Operation, Transaction

MAX_REASON = 500  # characters, as the ledger's description


@dataclass(frozen=True, slots=True)
class Adjustment:
    """So many credits for each of some users; `expires_at` only with a gift."""

    amount: int
    type: str
    reason: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who asked, in the ledger's row; and who allowed it where that was another."""

    actor: User
    approver: User | None = None

    @property
    def writes(self) -> User:
        return self.approver or self.actor

    def text(self, what: str, reason: str) -> str:
        asked = f", requested by {self.actor}" if self.approver else ""
        return f"{what}{asked}: {reason}"


def adjust(users: Iterable[User], wanted: Adjustment, *, by: By, key: str) -> list[Transaction]:
    """Give or take credits for all of these users, or for none.

    Raises LedgerRefusal, among them IdempotencyConflict if this key adjusted them otherwise before.
    """
    with atomic():
        return [_adjust_one(user, wanted, by, key) for user in locked(users)]


def locked(users: Iterable[User]) -> QuerySet[User]:
    """Their rows, in the order in which everybody locks them."""
    chosen = User.objects.filter(pk__in=[user.pk for user in users]).order_by("pk")
    return chosen.select_for_update(no_key=True)


def _adjust_one(user: User, wanted: Adjustment, by: By, key: str) -> Transaction:
    again = was_done(user, "adjust", key)
    posted = ledger.adjust(
        user=user,
        amount=wanted.amount,
        type=wanted.type,
        reason=wanted.reason,
        actor=by.actor,
        idempotency_key=key,
        expires_at=wanted.expires_at,
    )
    if not again:
        administrators_log.record(
            by.writes,
            Act.ADJUSTED,
            user,
            by.text(f"{wanted.amount:+} {_credits(wanted.amount)}", wanted.reason),
        )
    return posted


def was_done(user: User, verb: str, key: str) -> bool:
    """Whether the ledger knows this key; for good only while the user's row is locked."""
    return Operation.objects.filter(user=user, verb=verb, idempotency_key=key).exists()


def refund(original: Transaction, amount: int, reason: str, *, by: By, key: str) -> Transaction:
    """Give usage back, or take a purchase back, up to `amount` credits. Raises LedgerRefusal."""
    with atomic():
        list(locked([original.user]))
        again = was_done(original.user, "refund", key)
        posted = ledger.refund(
            transaction=original, amount=amount, reason=reason, actor=by.actor, idempotency_key=key
        )
        if not again:
            administrators_log.record(
                by.writes, Act.REFUNDED, original, by.text(f"{amount} {_credits(amount)}", reason)
            )
    return posted


def cancel(hold: Hold, reason: str, *, actor: User) -> None:
    """Give a running completion's credits back: it will not be charged any more. Raises HoldEnded."""
    with atomic():
        if not ledger.release(hold=hold):
            raise HoldEnded("This hold has ended meanwhile.")
        administrators_log.record(
            actor,
            Act.CANCELLED,
            hold,
            f"{hold.amount} {_credits(hold.amount)} of {hold.user.public_id}: {reason}",
        )


def _credits(number: int) -> str:
    """For the administrators' log, which is in English."""
    return "credit" if abs(number) == 1 else "credits"
