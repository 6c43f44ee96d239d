"""Finds the purchase to which a charge, refund, dispute or fraud warning belongs."""

from typing import Any

from credits.models import Purchase
from credits.purchases import lookup
from credits.stripe_api import disputes as stripe_disputes
from credits.stripe_api.client import StripeRefused

Object = dict[str, Any]


def find_of(stripe_object: Object) -> Purchase | None:
    """Return the purchase; None if the object belongs to none of this site.

    Raises StripeAway, and lookup.Unusable.
    """
    payment_intent = _read_id(stripe_object.get("payment_intent"))
    if not payment_intent:
        payment_intent = _ask_charge(_read_id(stripe_object.get("charge")))
    return find_paid_by(payment_intent) if payment_intent else None


def find_paid_by(payment_intent: str) -> Purchase | None:
    """Return the purchase of a payment, that of an invoice included.

    A plan that does not know yet what has paid it is told.
    """
    purchase = lookup.find_purchase(payment_intent=payment_intent)
    purchase = purchase or _find_by_invoice(payment_intent)
    if purchase is None or purchase.payment_intent or purchase.state != Purchase.State.PAID:
        return purchase
    unknown = Purchase.objects.filter(pk=purchase.pk, payment_intent="")
    unknown.update(payment_intent=payment_intent)
    return Purchase.objects.get(pk=purchase.pk)


def _find_by_invoice(payment_intent: str) -> Purchase | None:
    """Find a plan by its invoice: an invoice does not name its payment, nor the other way round."""
    try:
        paid = list(stripe_disputes.list_invoices_paid_by(payment_intent))
    except StripeRefused:
        return None
    invoices = [_read_id(payment.get("invoice")) for payment in paid]
    return next(
        (found for name in invoices if name and (found := lookup.find_known("", invoice=name))),
        None,
    )


def _ask_charge(charge: str) -> str:
    """Return the PaymentIntent of a charge: objects of older versions do not name it."""
    if not charge:
        return ""
    try:
        return _read_id(stripe_disputes.fetch_charge(charge).get("payment_intent"))
    except StripeRefused:
        return ""


def _read_id(value: Any) -> str:
    """Return an id, which may be expanded; empty if there is none."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else ""
