"""Compares a purchase with what Stripe says about money that went back."""

import logging

from django.conf import settings

from credits.exceptions import LedgerRefusal
from credits.models import Purchase
from credits.reversals import facts, proposals, records, refund_acts
from credits.reversals.facts import Facts
from credits.reversals.records import reversed_receivers

__all__ = ["refresh", "reversed_receivers"]

logger = logging.getLogger(__name__)


def refresh(purchase: Purchase) -> Purchase:
    """Fetch refunds, disputes and fraud warnings of a payment, and apply what is new.

    Returns the purchase as it is then. Raises StripeAway, StripeRefused.
    """
    if purchase.payment_intent:
        known = facts.fetch(purchase.payment_intent)
        records.record(purchase, known)
        if settings.REFUND_FRAUD_WARNINGS:
            _refund_warned(purchase, known)
    return Purchase.objects.get(pk=purchase.pk)


def _refund_warned(purchase: Purchase, known: Facts) -> None:
    """Refund a payment that was reported as fraud in full: that costs less than a dispute."""
    for warning in known.warnings:
        if warning.is_actionable:
            _refund_rest(purchase, f"warning:{warning.id}")


def _refund_rest(purchase: Purchase, key: str) -> None:
    purchase = Purchase.objects.select_related("user", "transaction").get(pk=purchase.pk)
    most = proposals.propose(purchase).most_amount
    if not proposals.can_be_refunded(purchase) or most == 0:
        return
    try:
        refund_acts.refund(
            purchase, most, None, "Reported as fraud by the bank", None, key, as_debt=True
        )
    except LedgerRefusal as refusal:
        logger.warning("purchase %s is not refunded: %s", purchase.public_id, refusal.message)
