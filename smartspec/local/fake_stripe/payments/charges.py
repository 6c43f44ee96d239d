"""Charges: one try to take money from a payment method."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import balance, events
from smartspec.local.fake_stripe.objects.cards import Card
from smartspec.local.fake_stripe.objects.payment_methods import find_card
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "charge"
MESSAGES = {
    "authentication_required": (
        "Your card was declined. This transaction requires authentication."
    ),
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "insufficient_funds": "Your card has insufficient funds.",
    "processing_error": (
        "An error occurred while processing your card. Try again in a little bit."
    ),
}


def make_charge(
    state: State, intent: Json, method: Entry, *, refusal: Card | None, authenticated: bool
) -> Entry:
    """Write a charge that succeeded, or failed as the card `refusal` says, and its events."""
    failed = refusal is not None
    values: Json = {
        "id": state.make_id("ch"),
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        "billing_details": method.object["billing_details"],
        "captured": not failed,
        "created": state.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": intent["livemode"],
        "metadata": dict(intent["metadata"]),
        "outcome": _describe_outcome(refusal),
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": method.id,
        "payment_method_details": _describe_method(method, authenticated=authenticated),
        "refunded": False,
        "shipping": intent["shipping"],
        "status": "failed" if failed else "succeeded",
    }
    if refusal is not None:
        values["failure_code"] = refusal.code
        values["failure_message"] = find_message(refusal)
    charge = state.add(complete(stripe.Charge, values))
    if failed:
        events.emit(state, "charge.failed", charge)
        return charge
    charge.object["receipt_url"] = f"{state.origin}/receipts/{charge.id}"
    charge.object["balance_transaction"] = balance.move_money(
        state,
        amount=intent["amount"],
        currency=intent["currency"],
        type="charge" if method.object["type"] == "card" else "payment",
        source=charge.id,
        fee=balance.compute_fee(intent["amount"]),
    ).id
    events.emit(state, "charge.succeeded", charge)
    return charge


def find_message(card: Card) -> str:
    default = "Your card was declined."
    return MESSAGES.get(card.decline_code or "", MESSAGES.get(card.code or "", default))


def _describe_outcome(refusal: Card | None) -> Json:
    if refusal is None:
        return {
            "network_status": "approved_by_network",
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "network_status": "declined_by_network",
        "reason": refusal.decline_code,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _describe_method(method: Entry, *, authenticated: bool) -> Json:
    type, card = method.object["type"], find_card(method)
    if card is None:
        return {"type": type, type: {}}
    names = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    shown = {name: method.object["card"][name] for name in names}
    shown |= {"checks": {"cvc_check": "pass"}, "network": card.brand, "three_d_secure": None}
    if authenticated:
        shown["three_d_secure"] = {
            "authentication_flow": "challenge",
            "electronic_commerce_indicator": "05",
            "result": "authenticated",
            "version": "2.2.0",
        }
    return {"type": "card", "card": shown}


def retrieve_charge(call: Call) -> Entry:
    return call.get_named(KIND)


def list_charges(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/charges", filters=("customer", "payment_intent"))


def _include_refunds(state: State, charge: Json) -> Json:
    refunds = state.select("refund", charge=charge["id"])
    return answers.list_inside(refunds, f"/v1/charges/{charge['id']}/refunds")


answers.INCLUDABLE[KIND, "refunds"] = _include_refunds
