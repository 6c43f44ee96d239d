"""Disputes, inquiries and fraud warnings: their rows, and whether the buyer may buy.

The functions that note facts are called under the locks of the user's row and the purchase's row.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.transaction import atomic
from django.utils import timezone

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.mails import queue_mail
from accounts.models import AccountAlert, User
from credits.models import Dispute, PaymentReversal, Purchase
from credits.reversals import frozen
from credits.reversals.facts import DisputeFact, WarningFact, count_in_force

# What the buyer's bank has decided for good, or that nothing was decided.
CLOSED = frozenset({"won", "lost", "prevented", "warning_closed"})
# While a dispute has moved no money, these say that there is one.
_FREEZING = frozenset(
    {
        "warning_needs_response",
        "warning_under_review",
        "needs_response",
        "under_review",
        "appeal_needs_response",
        "appeal_under_review",
        "lost",
    }
)
# A dispute moves to a status of the same or of a higher rank. An inquiry can become a dispute, and
# a dispute that is lost can be appealed.
_RANKS = {
    "warning_needs_response": 1,
    "warning_under_review": 1,
    "warning_closed": 2,
    "lost": 4,
    "prevented": 4,
    "appeal_needs_response": 5,
    "appeal_under_review": 5,
    "won": 6,
}
_OPEN_RANK = 3  # Of needs_response, under_review, and a status that is not known yet.
ACTIONABLE = "actionable"
NOT_ACTIONABLE = "not_actionable"


def note_dispute(purchase: Purchase, fact: DisputeFact) -> Iterator[PaymentReversal]:
    """Write what Stripe says about a dispute, unless more is known; yield each changed reversal.

    The caller moves the credits after each one.
    """
    row = Dispute.objects.filter(stripe_id=fact.id).first()
    if row is None:
        row = Dispute(stripe_id=fact.id, purchase=purchase)
    elif not _is_news(row, fact):
        return
    was_inquiry = row.kind == Dispute.Kind.INQUIRY
    was_freezing = row.pk is not None and _freezes(row.status, _list_withdrawals(row))
    is_opened = row.pk is None or (was_inquiry and not fact.is_inquiry)
    _update(row, fact)
    has_taken = False
    for reversal in _note_withdrawals(row, fact):
        has_taken |= reversal.is_in_force
        yield reversal
    is_freezing = _freezes(row.status, _list_withdrawals(row))
    if is_freezing and (has_taken or not was_freezing):
        _freeze(row)
    elif was_freezing and not is_freezing:
        _thaw(row)
    if is_opened or has_taken:
        _tell_operator(row)
    if has_taken and row.purchase.user.closed_at is None:
        _tell_buyer(row)


def _is_news(row: Dispute, fact: DisputeFact) -> bool:
    """False for what was known before, and for an answer that is older than that.

    The balance transactions of a dispute only get more.
    """
    if fact.movements != row.movements:
        return fact.movements > row.movements
    if row.status == fact.status:
        return row.evidence_due_by != fact.evidence_due_by
    is_appeal_lost = fact.status == "lost" and row.status.startswith("appeal_")
    return is_appeal_lost or _get_rank(fact.status) >= _get_rank(row.status)


def _get_rank(status: str) -> int:
    return _RANKS.get(status, _OPEN_RANK)


def _freezes(status: str, withdrawals: list[PaymentReversal]) -> bool:
    """True while a dispute has our money, or may get it."""
    if status in ("won", "warning_closed"):
        return False
    if withdrawals:
        return any(each.is_in_force for each in withdrawals)
    return status in _FREEZING


def _list_withdrawals(row: Dispute) -> list[PaymentReversal]:
    return list(row.reversals.order_by("pk"))


def _update(row: Dispute, fact: DisputeFact) -> None:
    row.kind = Dispute.Kind.INQUIRY if fact.is_inquiry else Dispute.Kind.DISPUTE
    row.status, row.reason, row.amount = fact.status, fact.reason[:100], fact.amount
    row.evidence_due_by, row.movements = fact.evidence_due_by, fact.movements
    if fact.status not in CLOSED:
        row.closed_at = None
    elif row.closed_at is None:
        row.closed_at = timezone.now()
    row.save()


def _note_withdrawals(row: Dispute, fact: DisputeFact) -> Iterator[PaymentReversal]:
    known = {each.stripe_id: each for each in _list_withdrawals(row)}
    before = {name: each.amount if each.is_in_force else 0 for name, each in known.items()}
    amounts = {each.id: each.amount for each in fact.withdrawals}
    for name, counted in count_in_force(fact, before).items():
        stands = {
            "status": fact.status,
            "is_in_force": counted > 0,
            # What came back whole keeps its amount, for people to read.
            "amount": counted or amounts[name],
        }
        if name not in known:
            yield _make_row(row, name, stands)
            continue
        # Not saved as a whole: its credits may have been moved since it was read.
        PaymentReversal.objects.filter(stripe_id=name).update(**stands)
        if before[name] != counted:
            yield PaymentReversal.objects.get(stripe_id=name)


def _make_row(row: Dispute, name: str, stands: dict[str, Any]) -> PaymentReversal:
    kind = PaymentReversal.Kind.DISPUTE
    return PaymentReversal.objects.create(
        stripe_id=name, purchase=row.purchase, kind=kind, dispute=row, **stands
    )


def note_warning(purchase: Purchase, fact: WarningFact) -> None:
    """Write what Stripe says about an early fraud warning; an actionable one freezes the buyer.

    It stays actionable until the payment is refunded or disputed, and the buyer stays frozen after
    that, until an administrator decides otherwise.
    """
    status = name_status(fact)
    row, is_new = Dispute.objects.get_or_create(
        stripe_id=fact.id,
        defaults={
            "purchase": purchase,
            "kind": Dispute.Kind.WARNING,
            "status": status,
            "reason": fact.reason[:100],
            "amount": purchase.total,
            "closed_at": None if fact.is_actionable else timezone.now(),
        },
    )
    if is_new and fact.is_actionable:
        _freeze(row)
        _tell_operator(row)
    elif row.status == ACTIONABLE and not fact.is_actionable:
        row.status, row.closed_at = status, timezone.now()
        row.save(update_fields=["status", "closed_at"])


def name_status(fact: WarningFact) -> str:
    """Return the status of a warning's row."""
    return ACTIONABLE if fact.is_actionable else NOT_ACTIONABLE


def _freeze(row: Dispute) -> None:
    row.is_freezing = True
    row.save(update_fields=["is_freezing"])
    because = f"{row.get_kind_display()} {row.stripe_id} ({row.reason or row.status})"
    frozen.freeze(row.purchase.user, because)


def _thaw(row: Dispute) -> None:
    """Let the buyer buy again, unless another payment of theirs is disputed."""
    row.is_freezing = False
    row.save(update_fields=["is_freezing"])
    user = row.purchase.user
    if not Dispute.objects.filter(purchase__user=user, is_freezing=True).exists():
        frozen.thaw(user)


def let_buy_again(user: User, *, reason: str, actor: User) -> bool:
    """Thaw a buyer by an administrator's decision; False if they were not frozen.

    What froze them so far does not freeze them again; a new dispute does.
    """
    with atomic():
        User.objects.locked(user.pk)
        if not frozen.thaw(user):
            return False
        Dispute.objects.filter(purchase__user=user, is_freezing=True).update(is_freezing=False)
        administrators_log.record(actor, Act.THAWED, user, f"Allowed to buy again: {reason}")
    return True


def _tell_operator(row: Dispute) -> None:
    if settings.SUPPORT_EMAIL:
        queue_mail(
            row.purchase.user,
            "credits/email/dispute_opened",
            to=settings.SUPPORT_EMAIL,
            language=settings.LANGUAGE_CODE,
            dispute=row,
            purchase=row.purchase,
        )


def _tell_buyer(row: Dispute) -> None:
    """Tell the buyer once that their bank has taken the payment back."""
    AccountAlert.objects.note(
        row.purchase.user,
        AccountAlert.Kind.PAYMENT,
        key=f"dispute:{row.stripe_id}",
        problem="dispute",
        purchase=row.purchase.public_id,
    )


def is_disputed(purchase: Purchase) -> bool:
    """True while a bank decides about this payment. An inquiry is no dispute yet."""
    return purchase.disputes.filter(kind=Dispute.Kind.DISPUTE, closed_at=None).exists()


def list_open() -> QuerySet[Dispute]:
    """Return what an operator has to look at, the earliest evidence date first."""
    waiting = Dispute.objects.filter(closed_at=None).select_related("purchase__user")
    return waiting.order_by("evidence_due_by", "pk")
