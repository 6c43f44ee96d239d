"""The approval of large amounts: one administrator asks, another one approves or rejects.

The first decision counts. One conditional UPDATE moves the row out of `pending` in the same
database transaction as the effect, so the second of two concurrent decisions raises NotPending.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError
from django.db.models.functions import Now
from django.db.transaction import atomic
from django.utils import timezone

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import User
from credits.exceptions import IdempotencyConflict, LedgerRefusal
from credits.models import Approval, Operation, Purchase, Refund, Transaction
from credits.operators import actions, reviews
from credits.operators.actions import ActedBy, Adjustment
from credits.operators.reviews import Decision
from credits.purchases.facts import Finding
from credits.reversals import proposals, sending
from credits.reversals.refund_acts import Request

MAY_APPROVE = "credits.approve_adjustment"
State = Approval.State


class NotPending(LedgerRefusal):
    """The request was decided or withdrawn, or it has expired."""

    status = 409
    code = "not_pending"


class OwnRequest(LedgerRefusal):
    """A request is approved or rejected by another administrator, withdrawn by its requester."""

    status = 403
    code = "own_request"


class OwnAccount(LedgerRefusal):
    """Only a superuser acts on their own account: who may do that may do everything anyway."""

    status = 403
    code = "own_account"


def needs_approval(credits: int) -> bool:
    """True if a second administrator must approve a movement of this many credits."""
    limit = settings.ADJUST_APPROVAL_CREDITS
    return limit is not None and abs(credits) > limit


def adjust_or_ask(
    users: Sequence[User], adjustment: Adjustment, *, actor: User, key: str
) -> Approval | None:
    """Adjust these users, or request an approval if the total needs one.

    Return the request for approval, None if the users were adjusted. One key does one of the two,
    once. Raises OwnAccount, IdempotencyConflict, or what the ledger refuses.
    """
    refuse_own_account(users, actor)
    with atomic():
        # With the lock, the second of two requests with one key sees what the first one did.
        list(actions.lock_users(users))
        if needs_approval(adjustment.amount * len(users)):
            approval = Approval(
                kind=adjustment.type,
                amount=adjustment.amount,
                credits_expire_at=adjustment.expires_at,
            )
            return _request_approval(approval, users, adjustment.reason, actor, key)
        _refuse_requested_key(key)
        actions.adjust(users, adjustment, by=ActedBy(actor), key=f"admin:{key}")
        return None


def refund_or_ask(
    original: Transaction, amount: int, reason: str, *, actor: User, key: str
) -> Approval | None:
    """Refund `amount` credits of a usage or purchase, or request an approval.

    Returns and raises the same as `adjust_or_ask`.
    """
    refuse_own_account([original.user], actor)
    with atomic():
        list(actions.lock_users([original.user]))
        if needs_approval(amount):
            approval = Approval(kind=Approval.Kind.REFUND, amount=amount, refunds=original)
            return _request_approval(approval, [original.user], reason, actor, key)
        _refuse_requested_key(key)
        actions.refund(original, amount, reason, by=ActedBy(actor), key=f"admin:{key}")
        return None


def refund_payment_or_ask(
    purchase: Purchase, request: Request, *, actor: User
) -> Approval | Refund:
    """Refund a payment with its credits, or request an approval; return what was made.

    Stripe is asked after the commit. Raises OwnAccount, IdempotencyConflict, RefundRefusal, or what
    the ledger refuses.
    """
    refuse_own_account([purchase.user], actor)
    chosen = replace(request, key=f"admin:{request.key}")
    with atomic():
        list(actions.lock_users([purchase.user]))
        if not Refund.objects.filter(form_key=chosen.key).exists():
            credits = proposals.count_refund(purchase, request.amount, request.credits)
            if needs_approval(credits):
                return _request_refund(purchase, request, credits, actor)
            _refuse_requested_key(request.key)
        written = actions.take_refund(purchase, chosen, by=ActedBy(actor))
    return sending.send(written)


def _request_refund(purchase: Purchase, request: Request, credits: int, actor: User) -> Approval:
    proposals.require_refundable(purchase, request.amount)
    approval = Approval(
        kind=Approval.Kind.REFUND,
        amount=credits,
        refunds=purchase.transaction,
        money=request.amount,
        takes_debt=request.as_debt,
        ends_plan=request.ends_plan,
    )
    return _request_approval(approval, [purchase.user], request.reason, actor, request.key)


def write_off_or_ask(
    user: User, amount: int, reason: str, *, actor: User, key: str
) -> Approval | None:
    """Write off `amount` credits of the user's debt, or request an approval.

    Returns and raises the same as `adjust_or_ask`.
    """
    refuse_own_account([user], actor)
    with atomic():
        list(actions.lock_users([user]))
        if needs_approval(amount):
            approval = Approval(kind=Approval.Kind.WRITE_OFF, amount=amount)
            return _request_approval(approval, [user], reason, actor, key)
        _refuse_requested_key(key)
        actions.write_off(user, amount, reason, by=ActedBy(actor), key=f"admin:{key}")
        return None


def accept_payment_or_ask(
    purchase: Purchase, reason: str, *, actor: User, key: str
) -> Approval | None:
    """Give the credits of a payment in review, or request an approval.

    Stripe is asked what came. Returns and raises the same as `adjust_or_ask`, and NotInReview,
    NotAcceptable and NoAnswer.
    """
    refuse_own_account([purchase.user], actor)
    if needs_approval(purchase.credits):
        reviews.ask(purchase)
        approval = Approval(kind=Approval.Kind.ACCEPT, amount=purchase.credits, accepts=purchase)
        with atomic():
            list(actions.lock_users([purchase.user]))
            return _request_approval(approval, [purchase.user], reason, actor, key)
    _refuse_requested_key(key)
    if reviews.was_accepted(purchase, Decision(actor, reason)):
        return None
    finding = reviews.ask(purchase)
    actions.accept_payment(purchase, finding, reason, by=ActedBy(actor))
    return None


def refuse_own_account(users: Sequence[User], actor: User) -> None:
    """Raise OwnAccount if one of these accounts is the actor's, unless that is a superuser."""
    if actor in users and not actor.is_superuser:
        raise OwnAccount("Another administrator must adjust your own account.")


def _refuse_requested_key(key: str) -> None:
    if Approval.objects.filter(key=key).exists():
        raise IdempotencyConflict("This form was used for another request.")


def _request_approval(
    approval: Approval, users: Sequence[User], reason: str, actor: User, key: str
) -> Approval:
    approval.requester, approval.reason, approval.key = actor, reason, key
    approval.expires_at = timezone.now() + timedelta(seconds=settings.APPROVAL_SECONDS)
    if (
        Operation.objects.filter(
            user__in=users,
            idempotency_key=f"admin:{key}",
            verb__in=("adjust", "refund", "write_off"),
        ).exists()
        or Refund.objects.filter(form_key=f"admin:{key}").exists()
    ):
        raise IdempotencyConflict("This form was used for another request.")
    try:
        with atomic():
            approval.save()
            approval.users.set(users)
            what = f"{approval.kind} of {approval.amount:+} credits"
            text = f"{what} for {_join_emails(users)}: {reason}"
            administrators_log.record(actor, Act.ASKED, approval, text)
    except IntegrityError:
        earlier = Approval.objects.filter(key=key).first()
        if earlier is None:
            raise
        _require_same_request(earlier, approval, users)
        return earlier
    return approval


def _require_same_request(earlier: Approval, later: Approval, users: Sequence[User]) -> None:
    facts = (
        *("kind", "amount", "reason", "credits_expire_at", "refunds_id", "requester_id"),
        *("money", "takes_debt", "ends_plan", "accepts_id"),
    )
    differs = any(getattr(earlier, name) != getattr(later, name) for name in facts)
    if differs or set(earlier.users.all()) != set(users):
        raise IdempotencyConflict("This form was used for another request.")


def _join_emails(users: Sequence[User]) -> str:
    rest = f" and {len(users) - 3} others" if len(users) > 3 else ""
    return ", ".join(str(user) for user in users[:3]) + rest


def approve(approval: Approval, *, actor: User, note: str) -> list[Transaction]:
    """Carry out the request once and return its transactions.

    The money of a refund is sent after the commit; `find_refund` tells what became of it. About a
    payment that is accepted, Stripe is asked before. Raises OwnRequest, OwnAccount, NotPending,
    NoAnswer, or what the ledger refuses. The request then stays pending.
    """
    refuse_own_account(list(approval.users.all()), actor)
    finding = reviews.ask(approval.accepts) if approval.accepts is not None else None
    with atomic():
        _decide(approval, State.APPROVED, actor, note)
        posted = _carry_out(approval, ActedBy(actor=approval.requester, approver=actor), finding)
        approval.transactions.set(posted)
        administrators_log.record(actor, Act.APPROVED, approval, _describe_decision(approval, note))
    written = find_refund(approval)
    if written is not None:
        sending.send(written)
    return posted


def find_refund(approval: Approval) -> Refund | None:
    """Return the refund of money that this approval led to; None if there is none."""
    return Refund.objects.filter(form_key=_make_key(approval)).first()


def reject(approval: Approval, *, actor: User, note: str) -> None:
    with atomic():
        _decide(approval, State.REJECTED, actor, note)
        administrators_log.record(actor, Act.REJECTED, approval, _describe_decision(approval, note))


def withdraw(approval: Approval, *, actor: User, note: str) -> None:
    """Withdraw one's own request. Raises OwnRequest for another administrator, NotPending."""
    with atomic():
        _decide(approval, State.WITHDRAWN, actor, note)
        administrators_log.record(actor, Act.WITHDREW, approval, _describe_decision(approval, note))


def _decide(approval: Approval, state: str, actor: User, note: str) -> None:
    if (approval.requester_id == actor.pk) is not (state == State.WITHDRAWN):
        raise OwnRequest("Who asks withdraws; another administrator decides.")
    pending = Approval.objects.filter(pk=approval.pk, state=State.PENDING, expires_at__gt=Now())
    if not pending.update(state=state, decided_by=actor, decided_at=Now(), note=note):
        raise NotPending("This was decided, withdrawn or expired before.")


def _carry_out(approval: Approval, by: ActedBy, finding: Finding | None) -> list[Transaction]:
    key = _make_key(approval)
    if approval.accepts is not None and finding is not None:
        given = actions.accept_payment(approval.accepts, finding, approval.reason, by=by)
        return [given] if given else []
    if approval.money is not None:
        return _take_refund(approval, approval.money, by)
    if approval.refunds is not None:
        return [actions.refund(approval.refunds, approval.amount, approval.reason, by=by, key=key)]
    if approval.kind == Approval.Kind.WRITE_OFF:
        return [
            actions.write_off(user, approval.amount, approval.reason, by=by, key=key)
            for user in actions.lock_users(approval.users.all())
        ]
    adjustment = Adjustment(
        approval.amount, approval.kind, approval.reason, approval.credits_expire_at
    )
    return actions.adjust(approval.users.all(), adjustment, by=by, key=key)


def _make_key(approval: Approval) -> str:
    return f"approval:{approval.pk}"


def _take_refund(approval: Approval, money: int, by: ActedBy) -> list[Transaction]:
    """Take the credits that were approved. Raises CreditsChanged if the money takes others now."""
    purchase = Purchase.objects.get(transaction=approval.refunds)
    request = Request(
        amount=money,
        reason=approval.reason,
        key=_make_key(approval),
        actor=by.actor,
        credits=approval.amount,
        as_debt=approval.takes_debt,
        ends_plan=approval.ends_plan,
    )
    written = actions.take_refund(purchase, request, by=by)
    return [written.transaction] if written.transaction else []


def _describe_decision(approval: Approval, note: str) -> str:
    """Return the log text: the requester's reason and the note of the deciding administrator."""
    return f"{approval.amount:+} credits, requested by {approval.requester}: {approval.reason}" + (
        f" – {note}" if note else ""
    )
