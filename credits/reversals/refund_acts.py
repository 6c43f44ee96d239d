"""Refunds: credits and money go back as one act.

First the credits are taken and the request is written down, in one transaction. Then Stripe is
asked (credits/reversals/sending.py). What a killed process left is done by `manage.py
settle_refunds`.
"""

import hashlib
from dataclasses import dataclass

from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import User
from credits import ledger
from credits.exceptions import IdempotencyConflict
from credits.models import Purchase, Refund, Transaction
from credits.reversals import records
from credits.reversals.proposals import (
    Proposal,
    count_refund,
    propose,
    require_refundable,
    require_returnable,
    require_unspent,
)
from credits.reversals.sending import SHORTEST_WAIT, send

__all__ = ["Proposal", "give_back", "propose", "refund", "send", "take"]

# What Stripe asks by mail where to send the money.
ASKS_BY_MAIL = frozenset({"promptpay", "konbini"})


@dataclass(frozen=True, slots=True)
class Request:
    """A refund of `amount` minor units, which takes `credits`; None for what it takes then.

    `key` names the form: the same key refunds once. With `as_debt`, credits that are spent become
    a debt of the user; otherwise the refund is refused if too few are available. With `ends_plan`,
    the plan that was paid ends as soon as Stripe has accepted the refund.
    """

    amount: int
    reason: str
    key: str
    actor: User | None = None
    credits: int | None = None
    as_debt: bool = False
    ends_plan: bool = False


def refund(
    purchase: Purchase,
    amount: int,
    credits: int | None,
    reason: str,
    actor: User | None,
    key: str,
    *,
    as_debt: bool = False,
) -> Refund:
    """Refund a part of a payment and take its credits; return the request as it stands.

    Raises RefundRefusal, InsufficientCredits, IdempotencyConflict; nothing was changed then. If
    Stripe refuses, the credits are given back and the state is `refused`; if it gives no answer,
    the state is `sent`.
    """
    request = Request(amount, reason, key, actor, credits, as_debt)
    return send(take(purchase, request))


def give_back(purchase: Purchase, key: str) -> Refund:
    """Return the unspent part of a purchase at its buyer's wish. Returns and raises as `refund`.

    Raises TooLateToReturn, NothingUnspent as well.
    """
    # A digest, because any text may come with a form.
    digest = hashlib.sha256(f"{purchase.public_id}:{key}".encode(errors="replace")).hexdigest()
    return send(_take_unspent(purchase, f"self:{digest}"))


def _take_unspent(purchase: Purchase, form_key: str) -> Refund:
    with atomic():
        locked = records.lock(purchase)
        earlier = Refund.objects.filter(form_key=form_key).first()
        if earlier is not None:
            return earlier
        require_returnable(locked)
        proposal = propose(locked)
        require_unspent(proposal)
        reason = "Returned by the buyer"
        return take(locked, Request(proposal.amount, reason, form_key, credits=proposal.credits))


def take(purchase: Purchase, request: Request) -> Refund:
    """Take the credits of a refund and write it down; Stripe is not asked yet.

    Raises as `refund`. Joins the transaction of the caller.
    """
    with atomic():
        locked = records.lock(purchase)
        earlier = Refund.objects.filter(form_key=request.key).first()
        if earlier is not None:
            _require_same(earlier, locked, request)
            return earlier
        require_refundable(locked, request.amount)
        credits = count_refund(locked, request.amount, request.credits)
        written = Refund(
            purchase=locked,
            amount=request.amount,
            credits=credits,
            reason=request.reason,
            actor=request.actor,
            form_key=request.key,
            ends_plan=request.ends_plan,
            instructions_email=_choose_email(locked),
            next_try_at=timezone.now() + SHORTEST_WAIT,
        )
        written.transaction = _take_credits(locked, written, as_debt=request.as_debt)
        written.save()
        return written


def _require_same(earlier: Refund, purchase: Purchase, request: Request) -> None:
    facts = (earlier.purchase_id, earlier.amount, earlier.actor)
    if facts != (purchase.pk, request.amount, request.actor):
        raise IdempotencyConflict("This form was used for another refund.")


def _choose_email(purchase: Purchase) -> str:
    return purchase.user.email if purchase.method in ASKS_BY_MAIL else ""


def _take_credits(purchase: Purchase, written: Refund, *, as_debt: bool) -> Transaction | None:
    if written.credits == 0 or purchase.transaction is None:
        return None
    verb = ledger.claw_back if as_debt else ledger.refund
    return verb(
        transaction=purchase.transaction,
        amount=written.credits,
        reason=written.reason,
        actor=written.actor,
        idempotency_key=f"refund:{written.public_id}",
    )
