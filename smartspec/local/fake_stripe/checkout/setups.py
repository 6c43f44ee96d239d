"""Checkout in setup mode: a card is saved, and nothing is paid."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events, payment_methods
from smartspec.local.fake_stripe.payments.tries import Result
from smartspec.local.fake_stripe.wire.refusals import CardRefused
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]


def retrieve_setup(call: Call) -> Entry:
    return call.get_named("setup_intent")


def save_card(state: State, session: Entry, method: Entry) -> Result:
    """Save the card for the customer of an open session, as if its bank had seen the buyer.

    A card that is declined at once is not saved.
    """
    card = payment_methods.find_card(method)
    if card is not None and card.code and method.hidden["card"] != "chargeCustomerFail":
        refusal = CardRefused("Your card was declined.", code=card.code)
        return Result("failed", refusal)
    payment_methods.attach(state, method, session.object["customer"])
    method.hidden["was_shown"] = True
    intent = _make_setup_intent(state, session, method)
    session.object["setup_intent"] = intent.id
    return Result("succeeded")


def _make_setup_intent(state: State, session: Entry, method: Entry) -> Entry:
    intent = state.add(
        complete(
            stripe.SetupIntent,
            {
                "id": state.make_id("seti"),
                "created": state.now(),
                "customer": session.object["customer"],
                "livemode": session.object["livemode"],
                "metadata": dict(session.hidden["setup_data"].get("metadata") or {}),
                "payment_method": method.id,
                "payment_method_types": list(session.object["payment_method_types"]),
                "status": "succeeded",
                "usage": "off_session",
            },
        )
    )
    events.emit(state, "setup_intent.succeeded", intent)
    return intent
