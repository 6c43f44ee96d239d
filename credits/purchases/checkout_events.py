"""What events about payments of packages and refills do: they have the purchase settled."""

from credits.models import PaymentEvent, Purchase
from credits.purchases import limits, lookup, settlement
from credits.purchases.incoming_events import Ignored, Object, handle

NOT_OURS = "No purchase of this site belongs to it."


@handle(
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
def settle_session(event: PaymentEvent, hint: Object) -> str:
    if hint.get("mode", "payment") != "payment":
        raise Ignored("No payment is made in this session.")
    return _settle(event, lookup.find_purchase(session=event.object_id))


@handle("payment_intent.succeeded", "payment_intent.processing", "payment_intent.canceled")
def settle_payment(event: PaymentEvent, hint: Object) -> str:
    return _settle(event, lookup.find_purchase(payment_intent=event.object_id))


@handle("payment_intent.payment_failed")
def note_decline(event: PaymentEvent, hint: Object) -> str:
    """Settle the purchase, and close the shop for a buyer whose cards are declined repeatedly."""
    outcome = settle_payment(event, hint)
    if not limits.is_declined_card(hint):
        return outcome
    limits.note_decline(event)
    return f"{limits.DECLINED} {outcome}"


def _settle(event: PaymentEvent, purchase: Purchase | None) -> str:
    if purchase is None or purchase.kind not in settlement.FINDERS:
        raise Ignored(NOT_OURS)
    event.purchase = settlement.settle(purchase)
    return f"Purchase {purchase.public_id} is {event.purchase.get_state_display()}."
