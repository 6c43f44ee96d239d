"""Rows about money, by our own number or by that of Stripe (https://docs.stripe.com/api).

The beginning of a number of Stripe says what it is: pi_ a payment, ch_ and py_ a charge, cs_ a
checkout session, in_ an invoice, sub_ a subscription, re_ and pyr_ a refund, dp_ and du_ a dispute,
issfr_ a warning of fraud, txn_ a movement, cus_ a customer, evt_ an event.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from credits.models import (
    Customer,
    Dispute,
    Document,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    Refund,
    Subscription,
)
from credits.stripe_api.client import StripeAway, StripeRefused, is_configured
from credits.stripe_api.disputes import fetch_charge
from smartspec.admin.find.terms import Term

AT_STRIPE = re.compile(r"[a-z]{2,6}_\w+\Z", re.ASCII)
CHARGE = re.compile(r"(?:ch|py)_\w{16,}\Z", re.ASCII)
OUR_NUMBER = re.compile(r"[0-9a-f]{20}\Z")
MOST = 20


def _is_at_stripe(term: Term) -> bool:
    return AT_STRIPE.match(term.text) is not None


def find_purchases(term: Term) -> Iterable[Purchase]:
    rows = Purchase.objects.select_related("user")
    if OUR_NUMBER.match(term.text):
        return rows.filter(public_id=term.text)
    columns = {"pi_": "payment_intent", "cs_": "checkout_session", "in_": "invoice"}
    column = columns.get(term.text[:3])
    return rows.filter(**{column: term.text})[:MOST] if column else ()


def find_charged(term: Term) -> Iterable[Purchase]:
    """Return the purchase of a charge, which no row names: Stripe is asked for its payment."""
    if not (CHARGE.match(term.text) and is_configured()):
        return ()
    try:
        payment = fetch_charge(term.text).get("payment_intent")
    except (StripeAway, StripeRefused):
        return ()
    if not isinstance(payment, str):
        return ()
    return Purchase.objects.filter(payment_intent=payment).select_related("user")


def find_subscriptions(term: Term) -> Iterable[Subscription]:
    rows = Subscription.objects.select_related("user", "plan")
    if OUR_NUMBER.match(term.text):
        return rows.filter(public_id=term.text)
    columns = {"sub_": "stripe_id", "cs_": "checkout_session"}
    column = columns.get(f"{term.text.partition('_')[0]}_")
    return rows.filter(**{column: term.text})[:MOST] if column else ()


def find_refunds(term: Term) -> Iterable[Refund]:
    rows = Refund.objects.select_related("purchase__user")
    if OUR_NUMBER.match(term.text):
        return rows.filter(public_id=term.text)
    return rows.filter(stripe_id=term.text)[:MOST] if _is_at_stripe(term) else ()


def find_reversals(term: Term) -> Iterable[PaymentReversal]:
    rows = PaymentReversal.objects.select_related("purchase__user")
    return rows.filter(stripe_id=term.text) if _is_at_stripe(term) else ()


def find_disputes(term: Term) -> Iterable[Dispute]:
    rows = Dispute.objects.select_related("purchase__user")
    return rows.filter(stripe_id=term.text) if _is_at_stripe(term) else ()


def find_customers(term: Term) -> Iterable[Customer]:
    rows = Customer.objects.select_related("user")
    return rows.filter(stripe_customer=term.text) if term.text.startswith("cus_") else ()


def find_events(term: Term) -> Iterable[PaymentEvent]:
    """Return the event with this number, or the newest events about the object with it."""
    if not _is_at_stripe(term):
        return ()
    rows = PaymentEvent.objects.select_related("purchase__user")
    if term.text.startswith("evt_"):
        return rows.filter(stripe_id=term.text)
    keys = PaymentEvent.objects.filter(object_id=term.text).order_by()
    found = list(keys.values_list("pk", flat=True)[:200])
    return rows.filter(pk__in=found).order_by("-pk")[:MOST] if found else ()


def find_documents(term: Term) -> Iterable[Document]:
    rows = Document.objects.select_related("user")
    if OUR_NUMBER.match(term.text):
        return rows.filter(public_id=term.text)
    return rows.filter(number=term.text.upper()) if len(term.text) <= 40 else ()


FINDERS: tuple[tuple[type[Any], Callable[[Term], Iterable[Any]]], ...] = (
    (Purchase, find_purchases),
    (Purchase, find_charged),
    (Subscription, find_subscriptions),
    (Refund, find_refunds),
    (PaymentReversal, find_reversals),
    (Dispute, find_disputes),
    (Customer, find_customers),
    (Document, find_documents),
    (PaymentEvent, find_events),
)
