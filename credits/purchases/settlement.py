"""Settles purchases: asks Stripe about a payment, and writes down what follows, once.

Everybody who wants to know calls `settle`: events, the return page, `tick`, the daily comparison
and the admin. Stripe is asked outside of transactions. Then the rows are locked, user before
purchase, and facts only move forward, so an answer that comes late or twice changes nothing.
"""

import logging
from collections.abc import Callable

from django.db.models import Q
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import User
from credits import ledger
from credits.exceptions import LedgerRefusal
from credits.models import Purchase, Transaction
from credits.models.purchases import STATE_FOLLOWS, PurchaseState
from credits.purchases import facts, returned, sessions
from credits.purchases.facts import Finding
from credits.stripe_api import checkout, payments
from credits.stripe_api.client import StripeRefused

logger = logging.getLogger(__name__)

Receiver = Callable[[Purchase], None]

# Called inside the transaction that changed the state: documents and mails are written there.
paid_receivers: list[Receiver] = []
waiting_receivers: list[Receiver] = []
ended_receivers: list[Receiver] = []
# Called by `check` after it, outside of transactions, so they may ask Stripe.
after_settle: list[Receiver] = []
RECEIVERS = {
    PurchaseState.PAID: paid_receivers,
    PurchaseState.PROCESSING: waiting_receivers,
    PurchaseState.FAILED: ended_receivers,
    PurchaseState.EXPIRED: ended_receivers,
}


def settle(purchase: Purchase) -> Purchase:
    """Ask Stripe about a purchase and apply the answer; return the row as it is then.

    Raises StripeAway and StripeRefused.
    """
    row = Purchase.objects.get(pk=purchase.pk)
    if row.state == PurchaseState.PAID:
        return row
    sessions.refuse_other_mode(row)
    if row.state != PurchaseState.RETURNED:
        row = apply(row, FINDERS[Purchase.Kind(row.kind)](row))
    if row.state == PurchaseState.RETURNED:
        returned.send_back(row)
    return row


def check(purchase: Purchase) -> Purchase:
    """Settle a purchase, and look for refunds and disputes of its payment, too."""
    row = settle(purchase)
    for receiver in after_settle:
        receiver(row)
    return Purchase.objects.get(pk=row.pk)


def apply(purchase: Purchase, finding: Finding) -> Purchase:
    """Write down what Stripe says about a purchase, and give the credits of a paid one."""
    with atomic():
        row = lock(purchase)
        row.checked_at = timezone.now()
        state, problem = _choose_state(row, finding)
        has_moved = state in STATE_FOLLOWS[PurchaseState(row.state)]
        if has_moved:
            _move(row, state, problem, finding)
        row.save()
        for receiver in RECEIVERS.get(PurchaseState(row.state), []) if has_moved else ():
            receiver(row)
    return row


def lock(purchase: Purchase) -> Purchase:
    """Lock the row of the user, then that of the purchase; return the purchase as stored now."""
    user = User.objects.locked(purchase.user_id)
    row = Purchase.objects.select_for_update(no_key=True, of=("self",)).get(pk=purchase.pk)
    row.user = user
    return row


def _choose_state(row: Purchase, finding: Finding) -> tuple[PurchaseState, str]:
    """Return the state that follows from what Stripe says, and the problem if there is one."""
    if finding.state != PurchaseState.PAID:
        return finding.state, finding.problem
    if row.decided_at is not None:  # An administrator has left it without credits.
        return PurchaseState.REVIEW, row.problem
    problem = " ".join(facts.find_differences(row, finding)) or find_other_use(row, finding)
    if problem:
        return PurchaseState.REVIEW, problem
    if row.user.closed_at is not None:
        return PurchaseState.RETURNED, returned.CLOSED
    if (object_to := OBJECTORS.get(Purchase.Kind(row.kind))) and (reason := object_to(row)):
        return PurchaseState.RETURNED, reason
    return PurchaseState.PAID, ""


def find_other_use(row: Purchase, finding: Finding) -> str:
    """Say which other purchase has the payment or invoice already; empty if none has."""
    same = Q(payment_intent=finding.payment_intent) & ~Q(payment_intent="")
    same |= Q(invoice=finding.invoice) & ~Q(invoice="")
    other = Purchase.objects.filter(same).exclude(pk=row.pk).first()
    return f"The payment belongs to purchase {other} already." if other else ""


def _move(row: Purchase, state: PurchaseState, problem: str, finding: Finding) -> None:
    """Change the state and what belongs to it. The rows are locked."""
    row.state, row.problem = state, problem
    row.method = finding.method or row.method
    if not find_other_use(row, finding):
        row.payment_intent = finding.payment_intent or row.payment_intent
        row.invoice = finding.invoice or row.invoice
    if finding.state == PurchaseState.PAID:
        row.paid_at = finding.paid_at or row.checked_at
    if state in (PurchaseState.PAID, PurchaseState.RETURNED):
        row.tax, row.total = row.tax + finding.tax, row.total + finding.tax
    if state == PurchaseState.PAID:
        _give_credits(row, finding)
    elif state == PurchaseState.RETURNED:
        returned.ask_refund(row)
    elif state == PurchaseState.REVIEW and finding.state == PurchaseState.PAID:
        row.received, row.received_currency = finding.total, finding.currency
    if row.state == PurchaseState.REVIEW:
        logger.error("purchase %s needs a review: %s", row.public_id, row.problem)


def _give_credits(row: Purchase, finding: Finding) -> None:
    """Give the credits. A payment that the ledger does not take is put in review."""
    try:
        with atomic():
            row.transaction = GIVERS[Purchase.Kind(row.kind)](row, finding)
    except LedgerRefusal as refusal:
        row.state, row.problem = PurchaseState.REVIEW, refusal.message


def find_checkout(purchase: Purchase) -> Finding:
    """Ask Stripe about a payment on its page. Opens the session of a new purchase.

    A row that was made again from a PaymentIntent has no session, and needs none. A purchase that
    ended before it had a session stays as it is.
    """
    if purchase.payment_intent and not purchase.checkout_session:
        return facts.read_intent(payments.fetch_intent(purchase.payment_intent))
    if not purchase.checkout_session and purchase.state != PurchaseState.NEW:
        return Finding(PurchaseState(purchase.state), problem=purchase.problem)
    try:
        row = purchase if purchase.checkout_session else sessions.open_session(purchase)
        return facts.read_session(checkout.fetch_session(row.checkout_session))
    except StripeRefused as refusal:
        if not _has_no_session(purchase, refusal):
            raise
        return Finding(PurchaseState.EXPIRED, problem=str(refusal))


def _has_no_session(purchase: Purchase, refusal: StripeRefused) -> bool:
    """True if nothing can be paid: Stripe knows no session, and it is too late to open one."""
    if purchase.checkout_session:
        is_over = purchase.expires_at is None or purchase.expires_at < timezone.now()
        return is_over and refusal.status == 404
    return refusal.status == 400


def give_purchase(purchase: Purchase, finding: Finding) -> Transaction:
    """Give the credits of a package or refill, once per PaymentIntent."""
    return ledger.add(
        user=purchase.user,
        amount=purchase.credits,
        type=Transaction.Type.PURCHASE,
        description=purchase.name,
        reference_id=finding.payment_intent,
        idempotency_key=f"pay:{finding.payment_intent}",
        metadata={"purchase": purchase.public_id},
    )


FINDERS: dict[Purchase.Kind, Callable[[Purchase], Finding]] = {Purchase.Kind.PACKAGE: find_checkout}
GIVERS: dict[Purchase.Kind, Callable[[Purchase, Finding], Transaction]] = {
    Purchase.Kind.PACKAGE: give_purchase,
    Purchase.Kind.REFILL: give_purchase,
}
# Called with the rows locked: why the money of a paid payment goes back, empty if it need not.
OBJECTORS: dict[Purchase.Kind, Callable[[Purchase], str]] = {}
