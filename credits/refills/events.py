"""What events about saved cards do, and how settlement learns of refills."""

from credits.models import PaymentEvent, Purchase
from credits.purchases import settlement
from credits.purchases.facts import Object
from credits.purchases.incoming_events import Ignored, handle
from credits.refills import card, charging, ends


@handle("checkout.session.completed")
def follow_setup(event: PaymentEvent, hint: Object) -> str:
    if hint.get("mode") != "setup":
        raise Ignored("No card is saved in this session.")
    saved = card.find_saved(event.object_id)
    refill = card.take_over(saved) if saved else None
    if refill is None:
        raise Ignored("The card belongs to no refill of this site.")
    return f"The card of user {refill.user_id} is {refill.card}."


@handle("payment_method.detached")
def forget_card(event: PaymentEvent, hint: Object) -> str:
    if not card.forget_card(event.object_id):
        raise Ignored("The card belongs to no refill of this site.")
    return "The card is forgotten."


def register() -> None:
    """Let settlement find, and tell about, refills. Again it has no further effect."""
    settlement.FINDERS[Purchase.Kind.REFILL] = charging.find_refill
    for receivers, receiver in (
        (settlement.paid_receivers, ends.note_paid),
        (settlement.ended_receivers, ends.note_failed),
    ):
        if receiver not in receivers:
            receivers.append(receiver)
