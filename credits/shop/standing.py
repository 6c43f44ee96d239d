"""How a purchase stands, in words for its buyer: what happened, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from credits.models import Dispute, PaymentReversal, Purchase, Refund

State = Purchase.State
GOOD, WAITING, BAD, QUIET = "good", "waiting", "bad", "quiet"
Words = str | Promise


@dataclass(frozen=True, slots=True)
class Standing:
    """`tone` colours `word`, the short name of the state; `text` says what to do next."""

    name: str
    tone: str
    word: Words
    title: Words
    text: Words


NEW = Standing(
    "new",
    WAITING,
    _("Not opened"),
    _("The payment page did not open"),
    _("Nothing was charged. Try again."),
)
OPEN = Standing(
    "open",
    WAITING,
    _("Open"),
    _("A payment is open"),
    _("You have not paid yet. Continue on the payment page, or cancel."),
)
PROCESSING = Standing(
    "processing",
    WAITING,
    _("Waiting for the bank"),
    _("Waiting for your bank"),
    _(
        "As soon as your bank confirms the payment, you get the credits and an email. You can close"
        " this page."
    ),
)
PAID = Standing(
    "paid",
    GOOD,
    _("Paid"),
    _("Paid. Thank you!"),
    _("The credits are in your balance."),
)
FAILED = Standing(
    "failed",
    BAD,
    _("Failed"),
    _("The payment failed"),
    _("You were not charged. Try again, or pay in another way."),
)
EXPIRED = Standing(
    "expired",
    QUIET,
    _("Not paid"),
    _("This payment has ended"),
    _("It was cancelled, or not paid in time. You were not charged."),
)
REVIEW = Standing(
    "review",
    WAITING,
    _("In review"),
    _("We are checking your payment"),
    _(
        "The payment is not what was agreed, so no credits were added yet. We were told and will"
        " write to you. Do not pay again."
    ),
)
RETURNED = Standing(
    "returned",
    QUIET,
    _("Sent back"),
    _("Your payment is sent back"),
    _("No credits were added for it. You get all of the money back within a few days."),
)
SENT_BACK = Standing(
    "sent_back",
    QUIET,
    _("Sent back"),
    _("Your payment is sent back"),
    _(
        "The payment differed from what was agreed. You get all of the money back within a few "
        "days."
    ),
)
LEFT = Standing(
    "left",
    QUIET,
    _("Closed"),
    _("We have looked at your payment"),
    _("No credits were added for it. If you have a question, write to us."),
)
DISPUTED = Standing(
    "disputed",
    BAD,
    _("Disputed"),
    _("This payment is disputed"),
    _(
        "Your bank asked for the money back. Until it decides, you cannot buy. If you did not ask"
        " for this, tell your bank, and write to us."
    ),
)
INQUIRY = Standing(
    "inquiry",
    WAITING,
    _("Questioned"),
    _("Your bank has a question about this payment"),
    _("Until it is answered, you cannot buy. Your credits stay."),
)
DISPUTE_LOST = Standing(
    "dispute_lost",
    QUIET,
    _("Disputed"),
    _("Your bank returned this payment to you"),
    _("The credits of this payment were taken back. Write to us if you want to buy again."),
)
REFUND_NEEDS_BUYER = Standing(
    "refund_waiting",
    WAITING,
    _("Refund waits for you"),
    _("Your refund needs a bank account"),
    _(
        "Our payment service Stripe has sent you an email. Follow its link and enter the bank"
        " account that the money shall go to."
    ),
)
REFUND_PENDING = Standing(
    "refunding",
    WAITING,
    _("Refund under way"),
    _("Your refund is under way"),
    _("The credits are taken back. The money takes some days, up to ten with some banks."),
)
REFUNDED = Standing(
    "refunded",
    QUIET,
    _("Refunded"),
    _("You got the money back"),
    _("All of the money was sent back, and the credits of this payment were taken back."),
)
PARTLY_REFUNDED = Standing(
    "partly_refunded",
    GOOD,
    _("Partly refunded"),
    _("A part of the money was sent back"),
    _("The rest of the credits is in your balance."),
)
BY_STATE: Mapping[str, Standing] = {
    State.NEW: NEW,
    State.OPEN: OPEN,
    State.PROCESSING: PROCESSING,
    State.PAID: PAID,
    State.FAILED: FAILED,
    State.EXPIRED: EXPIRED,
    State.REVIEW: REVIEW,
    State.RETURNED: RETURNED,
}
RELATED = ("disputes", "reversals", "refunds")
# Why a card was declined, as Stripe names it, and what the buyer can do about it.
DECLINES: Mapping[str, Words] = {
    "insufficient_funds": _("Your card has too little money on it."),
    "expired_card": _("Your card has expired."),
    "incorrect_cvc": _("The security code of the card was wrong."),
    "incorrect_number": _("The number of the card was wrong."),
    "authentication_required": _("Your bank asked you to confirm the payment, and got no answer."),
    "payment_intent_authentication_failure": _("Your bank could not confirm that it was you."),
    "processing_error": _("There was an error at your bank."),
    "card_declined": _("Your bank declined the card."),
    "generic_decline": _("Your bank declined the card."),
}


def describe_standing(purchase: Purchase) -> Standing:
    """Return how a purchase stands. It reads refunds and disputes of a paid purchase.

    A list of purchases loads them before, with `prefetch_related(*RELATED)`.
    """
    if purchase.state == State.REVIEW:
        return _describe_review(purchase)
    if purchase.state != State.PAID:
        return BY_STATE[purchase.state]
    return _describe_dispute(purchase) or _describe_refund(purchase) or PAID


def explain_failure(purchase: Purchase) -> Words:
    """Return why a payment failed, for its buyer; empty if nothing useful is known."""
    return DECLINES.get(purchase.problem, "") if purchase.state == State.FAILED else ""


def _describe_review(purchase: Purchase) -> Standing:
    """Return how a payment that is not what was agreed stands: waiting, sent back, or closed."""
    refund = _describe_refund(purchase)
    if refund is REFUNDED:
        return SENT_BACK
    return refund or (REVIEW if purchase.decided_at is None else LEFT)


def _describe_dispute(purchase: Purchase) -> Standing | None:
    disputes = [one for one in purchase.disputes.all() if one.kind != Dispute.Kind.WARNING]
    running = [one for one in disputes if one.closed_at is None]
    if running:
        is_inquiry = all(one.kind == Dispute.Kind.INQUIRY for one in running)
        return INQUIRY if is_inquiry else DISPUTED
    return DISPUTE_LOST if any(one.status == "lost" for one in disputes) else None


def _describe_refund(purchase: Purchase) -> Standing | None:
    refund = PaymentReversal.Kind.REFUND
    back = [one for one in purchase.reversals.all() if one.is_in_force and one.kind == refund]
    statuses = {one.status for one in back}
    if "requires_action" in statuses:
        return REFUND_NEEDS_BUYER
    unanswered = (Refund.State.TAKEN, Refund.State.SENT)
    if "pending" in statuses or any(one.state in unanswered for one in purchase.refunds.all()):
        return REFUND_PENDING
    if not (amount := sum(one.amount for one in back)):
        return None
    return REFUNDED if amount >= purchase.paid_total else PARTLY_REFUNDED
