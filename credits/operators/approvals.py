"""Two administrators for many credits: one asks, another one allows or refuses.

Whoever decides first decides: the row is moved out of `pending` by one conditional UPDATE, in the same
transaction as the effect, so that of two at once the second finds nothing to decide.
"""

from collections.abc import Sequence
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
from credits.models import Approval, Operation, Transaction
from credits.operators import actions
from credits.operators.actions import Adjustment, By

MAY_APPROVE = "credits.approve_adjustment"
State = Approval.State


class NotPending(LedgerRefusal):
    """It was decided, withdrawn or expired before."""

    status = 409
    code = "not_pending"


class OwnRequest(LedgerRefusal):
    """Who asks does not allow."""

    status = 403
    code = "own_request"


class OwnAccount(LedgerRefusal):
    """Who may not approve does not move the own credits."""

    status = 403
    code = "own_account"


def needed(credits: int) -> bool:
    """Whether moving so many credits takes a second administrator."""
    limit = settings.ADJUST_APPROVAL_CREDITS
    return limit is not None and abs(credits) > limit


def adjust_or_ask(
    users: Sequence[User], wanted: Adjustment, *, actor: User, key: str
) -> Approval | None:
    """Adjust these users; where that takes two, ask instead and return what waits. A key does one of both, once."""
    _not_oneself(users, actor)
    with atomic():
        list(actions.locked(users))  # of two forms with one key the second sees what the first did
        if needed(wanted.amount * len(users)):
            asked = Approval(
                kind=wanted.type, amount=wanted.amount, credits_expire_at=wanted.expires_at
            )
            return _ask(asked, users, wanted.reason, actor, key)
        _not_asked(key)
        actions.adjust(users, wanted, by=By(actor), key=f"admin:{key}")
        return None


def refund_or_ask(
    original: Transaction, amount: int, reason: str, *, actor: User, key: str
) -> Approval | None:
    """The same for `amount` credits of a usage or a purchase."""
    _not_oneself([original.user], actor)
    with atomic():
        list(actions.locked([original.user]))
        if needed(amount):
            asked = Approval(kind=Approval.Kind.REFUND, amount=amount, refunds=original)
            return _ask(asked, [original.user], reason, actor, key)
        _not_asked(key)
        actions.refund(original, amount, reason, by=By(actor), key=f"admin:{key}")
        return None


def _not_oneself(users: Sequence[User], actor: User) -> None:
    if actor in users and not actor.has_perm(MAY_APPROVE):
        raise OwnAccount("Another administrator must adjust your own account.")


def _not_asked(key: str) -> None:
    if Approval.objects.filter(key=key).exists():
        raise IdempotencyConflict("This form was used for another request.")


def _ask(approval: Approval, users: Sequence[User], reason: str, actor: User, key: str) -> Approval:
    approval.requester, approval.reason, approval.key = actor, reason, key
    approval.expires_at = timezone.now() + timedelta(seconds=settings.APPROVAL_SECONDS)
    if Operation.objects.filter(
        user__in=users, idempotency_key=f"admin:{key}", verb__in=("adjust", "refund")
    ).exists():
        raise IdempotencyConflict("This form was used for another request.")
    try:
        with atomic():
            approval.save()
            approval.users.set(users)
            text = f"{approval.kind} of {approval.amount:+} credits for {_names(users)}: {reason}"
            administrators_log.record(actor, Act.ASKED, approval, text)
    except IntegrityError:
        before = Approval.objects.filter(key=key).first()
        if before is None:
            raise
        return _same(before, approval, users)
    return approval


def _same(before: Approval, asked: Approval, users: Sequence[User]) -> Approval:
    facts = ("kind", "amount", "reason", "credits_expire_at", "refunds_id", "requester_id")
    differs = any(getattr(before, name) != getattr(asked, name) for name in facts)
    if differs or set(before.users.all()) != set(users):
        raise IdempotencyConflict("This form was used for another request.")
    return before


def _names(users: Sequence[User]) -> str:
    rest = f" and {len(users) - 3} others" if len(users) > 3 else ""
    return ", ".join(user.email for user in users[:3]) + rest


def approve(approval: Approval, *, actor: User, note: str) -> list[Transaction]:
    """Do what was asked for, once. Raises OwnRequest, NotPending, or what the ledger refuses: then it stays pending."""
    with atomic():
        _decide(approval, State.APPROVED, actor, note)
        posted = _carry_out(approval, By(actor=approval.requester, approver=actor))
        approval.transactions.set(posted)
        administrators_log.record(actor, Act.APPROVED, approval, _decision(approval, note))
    return posted


def reject(approval: Approval, *, actor: User, note: str) -> None:
    with atomic():
        _decide(approval, State.REJECTED, actor, note)
        administrators_log.record(actor, Act.REJECTED, approval, _decision(approval, note))


def withdraw(approval: Approval, *, actor: User, note: str) -> None:
    """Only by who asked."""
    with atomic():
        _decide(approval, State.WITHDRAWN, actor, note)
        administrators_log.record(actor, Act.WITHDREW, approval, _decision(approval, note))


def _decide(approval: Approval, state: str, actor: User, note: str) -> None:
    if (approval.requester_id == actor.pk) is not (state == State.WITHDRAWN):
        raise OwnRequest("Who asks withdraws; another administrator decides.")
    pending = Approval.objects.filter(pk=approval.pk, state=State.PENDING, expires_at__gt=Now())
    if not pending.update(state=state, decided_by=actor, decided_at=Now(), note=note):
        raise NotPending("This was decided, withdrawn or expired before.")


def _carry_out(approval: Approval, by: By) -> list[Transaction]:
    key = f"approval:{approval.pk}"
    if approval.refunds is not None:
        return [actions.refund(approval.refunds, approval.amount, approval.reason, by=by, key=key)]
    wanted = Adjustment(approval.amount, approval.kind, approval.reason, approval.credits_expire_at)
    return actions.adjust(approval.users.all(), wanted, by=by, key=key)


def _decision(approval: Approval, note: str) -> str:
    """The requester's reason and what the one who decided adds."""
    return f"{approval.amount:+} credits, requested by {approval.requester}: {approval.reason}" + (
        f" – {note}" if note else ""
    )
