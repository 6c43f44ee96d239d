"""Payment methods: test cards, PromptPay and a bank debit, and whose they are."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.objects.cards import CARDS, Card, find_name, find_number
from smartspec.local.fake_stripe.wire.refusals import CardRefused, InvalidRequest, RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "payment_method"
# The methods of the account, and the only currencies of those that do not take all.
OFFERED: dict[str, tuple[str, ...] | None] = {
    "card": None,
    "promptpay": ("thb",),
    "bacs_debit": ("gbp",),
    "sepa_debit": ("eur",),
}
# Debits of a bank account, which take days: the parameter with the account's number, and Stripe's
# test accounts whose debits fail.
DEBITS = {"bacs_debit": "account_number", "sepa_debit": "iban"}
FAILING = ("33333335", "AT861904300235473202", "IT60X0542811101000000123456")
EXPIRY = {"exp_month": 12, "exp_year": 2034}


def create_method(call: Call) -> Entry:
    """Create a payment method from a test card's token or number, or of another type."""
    given = call.params
    type = given.get("type")
    if type is None:
        raise InvalidRequest(
            "Missing required param: type.", param="type", code="parameter_missing"
        )
    if type not in OFFERED:
        raise InvalidRequest(
            f"The payment method type provided: {type} is invalid. Please ensure the provided type"
            " is activated in your dashboard.",
            param="type",
        )
    billing = given.get("billing_details") or {}
    card = _read_card(given.get("card") or {}) if type == "card" else None
    method = make_method(
        call.state, type=type, card=card, livemode=call.livemode, billing_details=billing
    )
    method.object["metadata"] = merge_metadata({}, given.get("metadata"))
    if type in DEBITS:
        account = (given.get(type) or {}).get(DEBITS[type], "")
        method.hidden["settles"] = "failed" if account in FAILING else "succeeded"
    return method


def _read_card(given: Json) -> str:
    """Return the name of the test card. Raises CardRefused for any other number."""
    token, number = given.get("token", ""), given.get("number", "")
    name = find_name(token) if token else find_number(number)
    if name is None and token:
        raise RefusedAct(f"No such token: '{token}'", param="card[token]", code="resource_missing")
    if name is None:
        raise CardRefused("Your card number is incorrect.", code="incorrect_number", param="number")
    return name


def make_method(
    state: State,
    *,
    type: str,
    card: str | None = None,
    livemode: bool,
    billing_details: Json | None = None,
) -> Entry:
    given = billing_details or {}
    billing = {name: given.get(name) or None for name in ("address", "email", "name", "phone")}
    values: Json = {type: _describe_card(CARDS[card], state) if card else {}}
    return state.add(
        complete(
            stripe.PaymentMethod,
            {
                "id": state.make_id("pm"),
                "allow_redisplay": "unspecified",
                "billing_details": billing,
                "created": state.now(),
                "livemode": livemode,
                "metadata": {},
                "type": type,
                **values,
            },
        ),
        card=card,
    )


def _describe_card(card: Card, state: State) -> Json:
    return {
        "brand": card.brand,
        "checks": {"cvc_check": "pass"},
        "country": card.country,
        "display_brand": card.brand,
        "fingerprint": f"fp{card.number[-14:]}",
        "funding": card.funding,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand]},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
        **EXPIRY,
    }


def take_method(call: Call, object_id: str, *, param: str = "payment_method") -> Entry:
    """Return a payment method; a test card's name makes a new one."""
    name = find_name(object_id) if object_id.startswith("pm_card_") else None
    if name is None:
        return call.get(KIND, object_id, param=param)
    return make_method(call.state, type="card", card=name, livemode=call.livemode)


def find_card(method: Entry) -> Card | None:
    """Return the test card of a payment method; None if it is no card."""
    name = method.hidden.get("card")
    return CARDS[name] if name else None


def attach(state: State, method: Entry, customer: str) -> None:
    """Save a payment method for a customer."""
    if method.object["customer"] == customer:
        return
    events.change(state, method, "payment_method.attached", customer=customer)


def detach(state: State, method: Entry) -> None:
    """Forget whose a payment method is. It can never be used again."""
    owner = state.find("customer", method.object["customer"])
    settings = owner.object.get("invoice_settings") if owner else None
    if settings and settings["default_payment_method"] == method.id:
        settings["default_payment_method"] = None
    method.hidden["is_detached"] = True
    events.change(state, method, "payment_method.detached", customer=None)


def attach_method(call: Call) -> Entry:
    method = take_method(call, call.ids[0])
    customer = call.find_param("customer", "customer")
    if customer is None:
        raise InvalidRequest(
            "Missing required param: customer.", param="customer", code="parameter_missing"
        )
    if method.hidden.get("is_detached") or method.object["customer"] not in (None, customer.id):
        raise RefusedAct(
            "The payment method you provided has already been attached to a customer, or was"
            " used without one. It cannot be attached again."
        )
    attach(call.state, method, customer.id)
    return method


def detach_method(call: Call) -> Entry:
    method = call.get_named(KIND)
    if method.object["customer"] is None:
        raise RefusedAct(
            "The payment method you provided is not attached to a customer so detachment is"
            " impossible."
        )
    detach(call.state, method)
    return method


def retrieve_method(call: Call) -> Entry:
    return call.get_named(KIND)


def list_methods(call: Call) -> Json:
    """List the payment methods of a customer."""
    url = "/v1/payment_methods"
    owner = call.params.get("customer")
    if call.ids:
        owner, url = call.ids[0], f"/v1/customers/{call.ids[0]}/payment_methods"
    if not owner:
        raise InvalidRequest(
            "You must provide a customer.", param="customer", code="parameter_missing"
        )
    call.get("customer", owner, param="customer")
    return answers.list_objects(
        call,
        KIND,
        url,
        filters=("type",),
        keep=lambda one: one.object["customer"] == owner,
    )
