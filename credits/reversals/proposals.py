"""How much of a payment can go back, and which credits go with it. Nothing is changed here."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from credits import ledger
from credits.models import Grant, Purchase
from credits.reversals import disputes
from credits.reversals.amounts import Payment, compute_target
from credits.reversals.postings import count_credits, read_payment, sum_in_force
from credits.reversals.refusals import (
    CreditsChanged,
    NothingUnspent,
    NotPaidOnline,
    PaymentDisputed,
    TooLateToReturn,
    TooMuchMoney,
)
from credits.stripe_api.client import is_configured, is_live

RETURNABLE = (Purchase.Kind.PACKAGE, Purchase.Kind.REFILL)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A refund of the part that is not spent: `amount` minor units, which take `credits`.

    At most `most_amount` can be refunded, whatever was spent.
    """

    amount: int
    credits: int
    most_amount: int


def propose(purchase: Purchase) -> Proposal:
    """Return the refund of what is unspent: what is left in the grant of this purchase.

    Bonus credits are burned before paid ones, so they have gone first, and no package comes with
    any. What the user owes is set off.
    """
    reversed_amount = sum_in_force(purchase)
    most = max(purchase.paid_total - reversed_amount, 0)
    if purchase.transaction is None:  # In review, it gave nothing that could be spent.
        return Proposal(most, 0, most)
    payment, taken = read_payment(purchase)
    target = min(taken + _count_unspent(purchase), payment.credits)
    amount = min(max(_find_amount(payment, target) - reversed_amount, 0), most)
    return Proposal(amount, count_credits(purchase, amount), most)


def _count_unspent(purchase: Purchase) -> int:
    if purchase.transaction is None:
        return 0
    grant = Grant.objects.filter(
        user_id=purchase.user_id, transaction=purchase.transaction, is_live=True
    ).first()
    balance = ledger.balance(purchase.user)
    in_grant = grant.remaining - grant.pinned if grant else 0
    return max(min(in_grant, balance.available - balance.debt), 0)


def _find_amount(payment: Payment, credits: int) -> int:
    """Return the smallest amount that takes exactly these credits.

    If a minor unit buys more than one credit, there may be none: then the largest that takes fewer.
    """
    if payment.credits <= 0:
        return 0
    exact = -(-payment.amount * credits // payment.credits)
    if compute_target(payment, exact) == credits:
        return exact
    return payment.amount * credits // payment.credits


def require_refundable(purchase: Purchase, amount: int) -> None:
    """Raise NotPaidOnline, PaymentDisputed, or TooMuchMoney."""
    is_known = is_configured() and purchase.livemode == is_live()
    if not can_be_refunded(purchase) or not is_known:
        raise NotPaidOnline
    if disputes.is_disputed(purchase):
        raise PaymentDisputed
    most = max(purchase.paid_total - sum_in_force(purchase), 0)
    if not 1 <= amount <= most:
        raise TooMuchMoney(most=most)


def count_refund(purchase: Purchase, amount: int, shown: int | None) -> int:
    """Return the credits that a refund takes: what a page has shown, if it is still so.

    Raises CreditsChanged.
    """
    credits = count_credits(purchase, amount)
    if shown is not None and shown != credits:
        raise CreditsChanged(credits=credits)
    return credits


def can_be_refunded(purchase: Purchase) -> bool:
    """True for a payment at Stripe, also for one in review, which gave no credits."""
    is_paid = purchase.state in (Purchase.State.PAID, Purchase.State.REVIEW)
    return is_paid and purchase.payment_intent != ""


def can_be_given_back(purchase: Purchase) -> bool:
    """True if the buyer may return the unspent part of this purchase without asking anybody."""
    try:
        require_returnable(purchase)
        proposal = propose(purchase)
        require_refundable(purchase, proposal.amount)
    except (TooLateToReturn, NotPaidOnline, PaymentDisputed, TooMuchMoney):
        return False
    return proposal.credits > 0


def require_returnable(purchase: Purchase) -> None:
    """Raise TooLateToReturn, also where buyers return nothing by themselves, or for a plan."""
    days = settings.SELF_REFUND_DAYS
    is_late = purchase.paid_at is None or timezone.now() - purchase.paid_at > timedelta(days=days)
    if purchase.kind not in RETURNABLE or days <= 0 or is_late:
        raise TooLateToReturn


def require_unspent(proposal: Proposal) -> None:
    """Raise NothingUnspent."""
    if proposal.amount <= 0 or proposal.credits <= 0:
        raise NothingUnspent
