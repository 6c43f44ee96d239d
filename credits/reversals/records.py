"""Writing down what Stripe says about money that went back, and moving the credits with it."""

from collections.abc import Callable

from django.conf import settings
from django.db.transaction import atomic

from accounts.mails import queue_mail
from accounts.models import AccountAlert
from credits import ledger
from credits.currencies import format_amount
from credits.models import PaymentReversal, Purchase, Refund
from credits.reversals import disputes
from credits.reversals.facts import Facts, RefundFact
from credits.reversals.postings import move_credits

# Called in the transaction in which a reversal came into force, changed its amount, or ended.
reversed_receivers: list[Callable[[PaymentReversal], None]] = []
# Called at the end of `record`, in its transaction: a dispute may be decided, without moving money.
recorded_receivers: list[Callable[[Purchase], None]] = []
# Called after its commit, so they may ask Stripe. They raise nothing.
committed_receivers: list[Callable[[Purchase], None]] = []


def lock(purchase: Purchase) -> Purchase:
    """Lock the user's row, then the purchase's row; return the purchase as stored now."""
    ledger.lock(purchase.user)
    chosen = Purchase.objects.select_for_update(no_key=True, of=("self",))
    return chosen.select_related("user", "transaction").get(pk=purchase.pk)


def record(purchase: Purchase, facts: Facts) -> None:
    """Apply what is new. Facts that are repeated, stale or out of order change nothing."""
    with atomic():
        purchase = lock(purchase)
        _note_facts(purchase, facts)
        if purchase.transaction is not None:
            # What was noted before the credits were given takes its share now.
            move_credits(purchase)
        for receiver in recorded_receivers:
            receiver(purchase)
    for receiver in committed_receivers:
        receiver(purchase)


def _note_facts(purchase: Purchase, facts: Facts) -> None:
    for refund in facts.refunds:
        if (row := _note_refund(purchase, refund)) is not None:
            move_credits(purchase)
            _finish(row)
    for dispute in facts.disputes:
        for row in disputes.note_dispute(purchase, dispute):
            move_credits(purchase, reinstated_by=dispute.reinstated_by)
            _finish(row)
    for warning in facts.warnings:
        disputes.note_warning(purchase, warning)


def _finish(row: PaymentReversal) -> None:
    row.refresh_from_db()
    for receiver in reversed_receivers:
        receiver(row)


def _note_refund(purchase: Purchase, fact: RefundFact) -> PaymentReversal | None:
    """Return the row if it is new, or if the refund has failed since then; else None."""
    row = PaymentReversal.objects.filter(stripe_id=fact.id).first()
    if row is None:
        row = _make_row(purchase, fact)
        if row.refund is not None and not row.is_in_force:
            _note_failure(row, fact)
        return row
    if row.status == fact.status or not fact.follows(row.status):
        return None
    has_failed = row.is_in_force and not fact.is_in_force
    row.status, row.is_in_force = fact.status, fact.is_in_force
    row.save(update_fields=["status", "is_in_force"])
    if has_failed:
        _note_failure(row, fact)
    return row if has_failed else None


def _make_row(purchase: Purchase, fact: RefundFact) -> PaymentReversal:
    """Make the row of a refund. Our own request for it has taken the credits already."""
    row = PaymentReversal(
        stripe_id=fact.id,
        purchase=purchase,
        kind=PaymentReversal.Kind.REFUND,
        status=fact.status,
        amount=fact.amount,
        is_in_force=fact.is_in_force,
    )
    request = purchase.refunds.filter(public_id=fact.request, reversal=None).first()
    if request is not None:
        row.refund = request
        if request.state != Refund.State.REFUSED and request.transaction is not None:
            row.taken, row.credits = request.transaction, request.credits
        request.state, request.stripe_id, request.problem = Refund.State.ACCEPTED, fact.id, ""
        request.next_try_at = None
        request.save(update_fields=["state", "stripe_id", "problem", "next_try_at"])
    row.save()
    return row


def _note_failure(row: PaymentReversal, fact: RefundFact) -> None:
    """The money comes back to us after all: the buyer is told, and gets the credits again."""
    if row.refund is not None:
        row.refund.state, row.refund.problem = Refund.State.REFUSED, fact.failure or fact.status
        row.refund.save(update_fields=["state", "problem"])
    purchase = row.purchase
    language = purchase.user.language or purchase.language or settings.LANGUAGE_CODE
    queue_mail(
        purchase.user,
        "credits/email/not_refunded",
        language=language,
        purchase=purchase,
        reversal=row,
        amount=format_amount(row.amount, purchase.paid_currency, language),
    )
    if purchase.user.closed_at is None:
        AccountAlert.objects.note_payment_problem(
            purchase.user, "refund_failed", purchase=purchase.public_id
        )
