"""Early fraud warnings: a bank says that its customer calls a payment fraud."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "radar.early_fraud_warning"


def make_warning(state: State, charge: Entry) -> Entry:
    """Warn about a charge. There is nothing to do if it is refunded or disputed already."""
    obj = charge.object
    warning = state.add(
        complete(
            stripe.radar.EarlyFraudWarning,
            {
                "id": state.make_id("issfr"),
                "actionable": not obj["refunded"] and not obj["disputed"],
                "charge": charge.id,
                "created": state.now(),
                "fraud_type": "unauthorized_use_of_card",
                "livemode": obj["livemode"],
                "payment_intent": obj["payment_intent"],
            },
        )
    )
    events.emit(state, "radar.early_fraud_warning.created", warning)
    return warning


def forget_warnings(state: State, charge: Entry) -> None:
    """Note that nothing can be done any more: the charge is refunded or disputed."""
    if not (charge.object["refunded"] or charge.object["disputed"]):
        return
    for warning in state.select(KIND, charge=charge.id, actionable=True):
        events.change(state, warning, "radar.early_fraud_warning.updated", actionable=False)


def retrieve_warning(call: Call) -> Entry:
    return call.get_named(KIND)


def list_warnings(call: Call) -> Json:
    return answers.list_objects(
        call, KIND, "/v1/radar/early_fraud_warnings", filters=("charge", "payment_intent")
    )
