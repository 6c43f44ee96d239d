"""Batches of codes: request, approval by a second administrator, making of the codes, revocation.

Each act writes an entry in the administrators' log in its own transaction.
"""

from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError
from django.db.models.functions import Now
from django.db.transaction import atomic

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import User
from credits.codes.code_format import digest_code, make_code, read_code
from credits.exceptions import IdempotencyConflict
from credits.models import CodeBatch, RedemptionCode
from credits.operators.approvals import NotPending, OwnRequest, needs_approval

MAX_SIZE = 10_000  # codes of one batch
INSERTED = 1000  # rows of one statement
State = CodeBatch.State


@dataclass(frozen=True, slots=True)
class Wanted:
    """A batch that an administrator asks for; the fields are those of CodeBatch."""

    name: str
    size: int
    credits: int
    last_day: date
    credit_days: int | None
    is_once_per_user: bool
    reason: str


def ask(wanted: Wanted, *, actor: User, key: str) -> CodeBatch:
    """Store a batch without codes. It waits for an approval if its sum needs one.

    The same form again returns the same batch. Raises IdempotencyConflict for a different one.
    """
    facts = {name: getattr(wanted, name) for name in Wanted.__slots__}
    is_large = needs_approval(wanted.size * wanted.credits)
    state = State.WAITING if is_large else State.APPROVED
    try:
        with atomic():
            batch = CodeBatch.objects.create(**facts, state=state, maker=actor, key=key)
            act = Act.ASKED if is_large else Act.MADE_CODES
            administrators_log.record(actor, act, batch, describe(batch))
    except IntegrityError:
        earlier = CodeBatch.objects.filter(key=key, maker=actor).first()
        if earlier is None or any(getattr(earlier, name) != facts[name] for name in facts):
            raise IdempotencyConflict("This form was used for another request.") from None
        return earlier
    return batch


def describe(batch: CodeBatch) -> str:
    """Return the text of a batch for the administrators' log."""
    return f"{batch.size} codes of {batch.credits} credits, {batch.name}: {batch.reason}"


def decide(batch: CodeBatch, *, is_approved: bool, actor: User, note: str) -> None:
    """Approve or reject a batch that waits. Raises OwnRequest, NotPending."""
    if batch.maker_id == actor.pk:
        raise OwnRequest("Another administrator decides.")
    state, act = (State.APPROVED, Act.APPROVED) if is_approved else (State.REJECTED, Act.REJECTED)
    with atomic():
        waiting = CodeBatch.objects.filter(pk=batch.pk, state=State.WAITING)
        if not waiting.update(state=state, decided_by=actor):
            raise NotPending("This was decided before.")
        text = describe(batch) + (f" – {note}" if note else "")
        administrators_log.record(actor, act, batch, text)


def make_codes(batch: CodeBatch, *, actor: User) -> list[str]:
    """Make the codes of an approved batch and return them; nobody can read them again.

    Raises NotPending if they were made before, or the batch was not approved.
    """
    codes = [make_code() for _ in range(batch.size)]
    once_in = batch.pk if batch.is_once_per_user else None
    rows = [
        RedemptionCode(
            batch=batch,
            digest=digest_code(read_code(code) or ""),
            last_four=code[-4:],
            once_in=once_in,
        )
        for code in codes
    ]
    with atomic():
        ready = CodeBatch.objects.filter(pk=batch.pk, state=State.APPROVED)
        if not ready.update(state=State.MADE, made_at=Now()):
            raise NotPending("The codes were made before, or may not be made.")
        RedemptionCode.objects.bulk_create(rows, batch_size=INSERTED)
        administrators_log.record(actor, Act.EXPORTED, batch, f"{batch.size} new codes")
    return codes


def revoke(batch: CodeBatch, *, actor: User, reason: str) -> int:
    """Revoke all codes of a batch that nobody has used; return their number."""
    with atomic():
        unused = batch.codes.filter(user=None, revoked_at=None)
        revoked = unused.update(revoked_at=Now())
        if revoked:
            text = f"{revoked} unused codes: {reason}"
            administrators_log.record(actor, Act.REVOKED_CODES, batch, text)
    return revoked
