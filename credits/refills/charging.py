"""Charges the card of a claimed refill, once.

The key of the request is that of its purchase, so a request without an answer is repeated without
a second charge, within 23 hours: Stripe forgets keys after 24. Later the payment is looked for by
its metadata, and never asked for again.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from credits.models import Customer, Purchase, RefillAttempt
from credits.models.purchases import PurchaseState
from credits.purchases import facts, limits, lookup, sessions, settlement
from credits.purchases.facts import Finding, Object
from credits.purchases.refusals import ShopClosed
from credits.refills import claims, ends
from credits.stripe_api import cards, payments
from credits.stripe_api.client import StripeAway, StripeRefused

logger = logging.getLogger(__name__)

REPEATED = timedelta(hours=23)  # A request may be repeated for so long.
SOON = timedelta(minutes=1)
LOST = timedelta(days=3)  # How old a restored database may be.
CLOCKS = timedelta(hours=1)  # How far Stripe's clock and ours may differ.
OPERATORS_FAULT = (401, 403)  # The key is wrong, which is no failure of the card.


def run_due(limit: int = 100) -> int:
    """Claim due refills, charge them, and ask again about those without an answer.

    Returns how many attempts were worked on. If Stripe gives no answer to one, the others wait for
    the next run, because each of them would wait for Stripe, too.
    """
    claims.claim_due(limit)
    done = 0
    for attempt in _find_due(limit):
        if not _work_on(attempt):
            break
        done += 1
    return done


def _find_due(limit: int) -> list[RefillAttempt]:
    is_due = Q(next_try_at=None) | Q(next_try_at__lte=timezone.now())
    under_way = RefillAttempt.objects.filter(is_due, state=RefillAttempt.State.CLAIMED)
    return list(under_way.select_related("refill", "purchase__user").order_by("pk")[:limit])


def _work_on(attempt: RefillAttempt) -> bool:
    """Charge an attempt or ask about it; False if Stripe gave no answer: it is due again later."""
    now = timezone.now()
    RefillAttempt.objects.filter(pk=attempt.pk).update(
        next_try_at=now + max(SOON, now - attempt.claimed_at)
    )
    try:
        charge(attempt)
    except StripeAway as error:
        logger.warning("refill %s got no answer: %s", attempt.purchase.public_id, error)
        return False
    except StripeRefused as refusal:
        logger.error("refill %s cannot be asked about: %s", attempt.purchase.public_id, refusal)  # noqa: TRY400
    return True


def charge(attempt: RefillAttempt) -> Purchase:
    """Charge the card of an attempt, or find out what became of the charge; return the purchase.

    Raises StripeAway, and StripeRefused if the fault is the operator's.
    """
    purchase = Purchase.objects.get(pk=attempt.purchase_id)
    sessions.refuse_other_mode(purchase)
    if purchase.payment_intent:
        return _settle(purchase)
    is_wanted = ends.is_running(attempt.refill) and _may_buy(purchase)
    if attempt.first_sent_at is None:
        if not is_wanted or _catch_up(purchase):
            return _fail(purchase, ends.NOT_SENT)
        attempt.first_sent_at = timezone.now()
        attempt.save(update_fields=["first_sent_at"])
    elif not is_wanted or attempt.first_sent_at < timezone.now() - REPEATED:
        return _look_for(attempt, purchase)
    return _send(attempt, purchase)


def _may_buy(purchase: Purchase) -> bool:
    try:
        limits.refuse_closed(purchase.user)
    except ShopClosed:
        return False
    return True


def _send(attempt: RefillAttempt, purchase: Purchase) -> Purchase:
    try:
        intent = cards.charge(
            customer=Customer.objects.get(user=purchase.user_id).stripe_customer,
            payment_method=attempt.payment_method,
            amount=purchase.total,
            currency=purchase.currency,
            description=purchase.name,
            metadata={**sessions.describe(purchase), "kind": purchase.kind},
            key=f"refill:{purchase.public_id}",
        )
    except StripeRefused as refusal:
        if refusal.status in OPERATORS_FAULT:
            raise
        return _note_refusal(purchase, refusal)
    return _settle(_note_intent(purchase, intent["id"]))


def _catch_up(purchase: Purchase) -> bool:
    """Settle refills of this buyer that a restored database has lost; return whether there are any.

    Without this, the balance of yesterday would be refilled a second time.
    """
    lost = [
        found
        for intent in _list_payments(purchase, since=timezone.now() - LOST)
        if intent["status"] == "succeeded"
        and (intent.get("metadata") or {}).get("kind") == Purchase.Kind.REFILL
        and not Purchase.objects.filter(payment_intent=intent["id"]).exists()
        and (found := lookup.read_intent(intent)) is not None
    ]
    for each in lost:
        settlement.settle(each)
    return bool(lost)


def _note_refusal(purchase: Purchase, refusal: StripeRefused) -> Purchase:
    """Settle a declined payment. Without a payment, Stripe refused the card or our parameters."""
    if intent := refusal.payment_intent.get("id"):
        return _settle(_note_intent(purchase, intent))
    logger.warning("refill %s is refused: %s", purchase.public_id, refusal)
    return _fail(purchase, refusal.decline_code or refusal.code or str(refusal))


def _look_for(attempt: RefillAttempt, purchase: Purchase) -> Purchase:
    """Look for a payment by its metadata; end the attempt if Stripe has none and will have none."""
    if intent := find_payment(purchase):
        return _settle(_note_intent(purchase, intent["id"]))
    sent_at: datetime = attempt.first_sent_at or attempt.claimed_at
    if sent_at < timezone.now() - REPEATED:
        return _fail(purchase, ends.NEVER_ARRIVED)
    return purchase


def _settle(purchase: Purchase) -> Purchase:
    """Settle an attempt, and cancel what was not paid, so that nobody can complete it any more."""
    purchase = settlement.settle(purchase)
    if purchase.state == PurchaseState.RETURNED:
        ends.note_returned(purchase)
    if purchase.state == PurchaseState.FAILED and purchase.payment_intent:
        try:
            cards.cancel(purchase.payment_intent)
        except StripeRefused as refusal:  # It is canceled, or was paid: an event will tell.
            logger.info("payment %s stays: %s", purchase.payment_intent, refusal)
    return purchase


def _fail(purchase: Purchase, problem: str) -> Purchase:
    return settlement.apply(purchase, Finding(PurchaseState.FAILED, problem=problem))


def _note_intent(purchase: Purchase, intent: str) -> Purchase:
    Purchase.objects.filter(pk=purchase.pk, payment_intent="").update(payment_intent=intent)
    purchase.refresh_from_db()
    return purchase


def find_refill(purchase: Purchase) -> Finding:
    """Ask Stripe about the payment of a refill. Raises StripeAway and StripeRefused."""
    if purchase.payment_intent:
        return facts.read_intent(payments.fetch_intent(purchase.payment_intent))
    intent = find_payment(purchase)
    return facts.read_intent(intent) if intent else Finding(PurchaseState.NEW)


def find_payment(purchase: Purchase) -> Object | None:
    """Return the PaymentIntent whose metadata name this purchase; None if Stripe has none."""
    for intent in _list_payments(purchase, since=purchase.created_at - CLOCKS):
        if (intent.get("metadata") or {}).get("purchase") == purchase.public_id:
            return intent
    return None


def _list_payments(purchase: Purchase, *, since: datetime) -> Iterator[Object]:
    """Yield the payments of the buyer at Stripe, the newest first."""
    customer = Customer.objects.filter(user=purchase.user_id).first()
    if customer is not None and customer.stripe_customer:
        yield from cards.list_payments(customer.stripe_customer, since=since)
