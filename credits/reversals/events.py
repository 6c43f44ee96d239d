"""What events about refunds, disputes and fraud warnings do: their payment is compared anew."""

from credits.models import PaymentEvent, Purchase
from credits.purchases import settlement
from credits.purchases.incoming_events import Ignored, Object, handle
from credits.reversals import payments
from credits.reversals.apply import refresh
from credits.reversals.postings import move_credits

UNFINISHED = (
    Purchase.State.NEW,
    Purchase.State.OPEN,
    Purchase.State.PROCESSING,
    Purchase.State.EXPIRED,
    Purchase.State.FAILED,
)


@handle(
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "radar.early_fraud_warning.created",
    "radar.early_fraud_warning.updated",
)
def refresh_payment(event: PaymentEvent, hint: Object) -> str:
    """Compare the payment that the object belongs to.

    An event can come before that of the payment itself, so the purchase is settled first.
    """
    purchase = payments.find_of(hint)
    if purchase is None:
        raise Ignored("It belongs to no purchase of this site.")
    event.purchase = purchase
    if purchase.state in UNFINISHED:
        purchase = settlement.settle(purchase)
    refresh(purchase)
    in_force = purchase.reversals.filter(is_in_force=True).count()
    return f"Purchase {purchase.public_id} has {in_force} reversals in force."


def refresh_checked(purchase: Purchase) -> None:
    """Compare a purchase that was settled because somebody asked for a check."""
    refresh(purchase)


def take_noted(purchase: Purchase) -> None:
    """Take the share of what had gone back before the credits were given, as after a review."""
    move_credits(purchase)


for receivers, receiver in (
    (settlement.after_settle, refresh_checked),
    (settlement.paid_receivers, take_noted),
):
    if receiver not in receivers:
        receivers.append(receiver)
