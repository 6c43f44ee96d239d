"""Payment intents: a payment from its first try to its end."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State, make_token
from smartspec.local.fake_stripe.objects import events, payment_methods
from smartspec.local.fake_stripe.objects.customers import get_living
from smartspec.local.fake_stripe.payments import tries
from smartspec.local.fake_stripe.wire.money import check_amount
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "payment_intent"
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
PLAIN = (
    "capture_method",
    "confirmation_method",
    "description",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
)


def create_intent(call: Call) -> Entry:
    """Create an intent, and pay it if `confirm` is given. Raises CardRefused if declined."""
    given = call.params
    check_amount(given["amount"], given["currency"])
    if given.get("off_session") and not given.get("confirm"):
        raise InvalidRequest("You can only use off_session with confirm.", param="off_session")
    if given.get("capture_method") == "manual":
        raise InvalidRequest("The fake Stripe does not know it.", param="capture_method")
    customer = given.get("customer")
    if customer:
        get_living(call, customer, param="customer")
    intent = make_intent(call.state, livemode=call.livemode, **_read_values(call))
    if method := given.get("payment_method"):
        put_method(call, intent, payment_methods.take_method(call, method))
    if given.get("confirm"):
        confirm(call, intent)
    return intent


def _read_values(call: Call) -> Json:
    given = call.params
    allowed = given.get("allowed_payment_method_types")
    automatic = given.get("automatic_payment_methods") or {"enabled": True}
    values: Json = {name: given[name] for name in PLAIN if name in given}
    return values | {
        "amount": given["amount"],
        "allowed_payment_method_types": allowed,
        "automatic_payment_methods": automatic,
        "currency": given["currency"].lower(),
        "customer": given.get("customer"),
        "metadata": merge_metadata({}, given.get("metadata")),
        "payment_method_types": _choose_types(allowed, given["currency"].lower()),
    }


def _choose_types(allowed: list[str] | None, currency: str) -> list[str]:
    """Return the methods that fit; without a filter cards only, as an account begins."""
    return [
        type
        for type, currencies in payment_methods.OFFERED.items()
        if type in (allowed or ["card"]) and (currencies is None or currency in currencies)
    ]


def make_intent(state: State, *, livemode: bool, **values: Any) -> Entry:
    object_id = state.make_id("pi")
    intent = state.add(
        complete(
            stripe.PaymentIntent,
            {
                "id": object_id,
                "amount_capturable": 0,
                "amount_received": 0,
                "capture_method": "automatic_async",
                "client_secret": f"{object_id}_secret_{make_token(24)}",
                "confirmation_method": "automatic",
                "created": state.now(),
                "livemode": livemode,
                "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
                "status": "requires_payment_method",
                **values,
            },
        )
    )
    events.emit(state, "payment_intent.created", intent)
    return intent


def put_method(call: Call, intent: Entry, method: Entry) -> None:
    """Set the payment method of an intent. It has to belong to the intent's customer."""
    owner = method.object["customer"]
    if method.hidden.get("is_detached"):
        raise RefusedAct(
            f"The provided PaymentMethod was previously used or detached: {method.id}.",
            param="payment_method",
        )
    if owner and owner != intent.object["customer"]:
        raise RefusedAct(
            "The payment method belongs to a customer; include this customer in the"
            " `customer` parameter of the PaymentIntent.",
            param="payment_method",
        )
    if method.object["type"] not in intent.object["payment_method_types"]:
        raise RefusedAct(
            f"The PaymentMethod provided ({method.object['type']}) is not allowed for this"
            " PaymentIntent.",
            param="payment_method",
        )
    intent.object["payment_method"] = method.id
    intent.object["status"] = "requires_confirmation"


def confirm(call: Call, intent: Entry) -> None:
    """Pay an intent with its payment method. Raises CardRefused if the card is declined."""
    if intent.object["status"] != "requires_confirmation":
        raise RefusedAct(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You"
            " can either update the PaymentIntent with a payment method and then confirm it"
            " again, or confirm it again directly with a payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    method = call.state.get("payment_method", intent.object["payment_method"])
    result = tries.pay(
        call.state,
        intent,
        method,
        off_session=bool(call.params.get("off_session")),
        refuse_action=bool(call.params.get("error_on_requires_action")),
    )
    if result.refusal:
        raise result.refusal


def confirm_intent(call: Call) -> Entry:
    intent = call.get_named(KIND)
    if intent.object["status"] not in OPEN:
        raise _refuse_state(intent, "confirm")
    if method := call.params.get("payment_method"):
        put_method(call, intent, payment_methods.take_method(call, method))
    confirm(call, intent)
    return intent


def retrieve_intent(call: Call) -> Entry:
    return call.get_named(KIND)


def update_intent(call: Call) -> Entry:
    """Change what an intent says; the amount only while it is open."""
    intent, given = call.get_named(KIND), call.params
    if "amount" in given and intent.object["status"] not in OPEN:
        raise _refuse_state(intent, "update")
    values = {name: given[name] or None for name in ("amount", *PLAIN) if name in given}
    values["metadata"] = merge_metadata(intent.object["metadata"], given.get("metadata"))
    intent.object.update(values)
    return intent


def cancel_intent(call: Call) -> Entry:
    intent = call.get_named(KIND)
    if intent.object["status"] not in OPEN:
        raise _refuse_state(intent, "cancel")
    cancel(call.state, intent, call.params.get("cancellation_reason"))
    return intent


def cancel(state: State, intent: Entry, reason: str | None) -> None:
    events.change(
        state,
        intent,
        "payment_intent.canceled",
        status="canceled",
        canceled_at=state.now(),
        cancellation_reason=reason,
        next_action=None,
    )


def _refuse_state(intent: Entry, act: str) -> RefusedAct:
    return RefusedAct(
        f"You cannot {act} this PaymentIntent because it has a status of"
        f" {intent.object['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent.object,
    )


def list_intents(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/payment_intents", filters=("customer",))
