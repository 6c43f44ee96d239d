"""Checkout sessions: what is sold, and what they say while they are open and afterwards."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.checkout import line_items, session_rules
from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State, make_token
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.payments import intents
from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "checkout.session"
DEFAULT_SECONDS = 24 * 3600
AS_GIVEN = (
    "after_expiration",
    "allow_promotion_codes",
    "allowed_payment_method_types",
    "billing_address_collection",
    "branding_settings",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer",
    "customer_creation",
    "customer_email",
    "excluded_payment_method_types",
    "integration_identifier",
    "locale",
    "origin_context",
    "payment_method_collection",
    "success_url",
)


def create_session(call: Call) -> Entry:
    """Create a session. Raises InvalidRequest for what Stripe does not take together."""
    given = {**call.params, "mode": call.params.get("mode", "payment")}
    session_rules.check_session(call, given)
    items = line_items.make_items(call, given)
    currency = items[0]["currency"] if items else given.get("currency", "")
    if items:
        session_rules.check_total(sum(item["amount_subtotal"] for item in items), currency)
    if given["mode"] == "subscription" and given.get("customer"):
        session_rules.check_currency(call, given["customer"], currency)
    types = session_rules.choose_methods(given, currency)
    session = call.state.add(
        complete(
            stripe.checkout.Session,
            {
                **{name: given.get(name) for name in AS_GIVEN},
                **_describe_sale(items, currency),
                **_describe_page(call, given),
                "automatic_tax": _describe_tax(given),
                "metadata": merge_metadata({}, given.get("metadata")),
                "payment_method_options": _describe_options(given),
                "payment_method_types": types,
            },
        ),
        items=items,
        intent_data=given.get("payment_intent_data") or {},
        subscription_data=given.get("subscription_data") or {},
        setup_data=given.get("setup_intent_data") or {},
        page=call.state.make_id("ppage"),
    )
    _describe_methods(session.object, given)
    call.state.schedule(session.object["expires_at"], "session.expire", session.id)
    return session


def _describe_sale(items: list[Json], currency: str) -> Json:
    """Return the amounts; without lines nothing is to be paid."""
    subtotal = sum(item["amount_subtotal"] for item in items) if items else None
    return {
        "amount_subtotal": subtotal,
        "amount_total": subtotal,
        "currency": currency or None,
        "payment_status": "unpaid" if items else "no_payment_required",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }


def _describe_page(call: Call, given: Json) -> Json:
    object_id = f"cs_{'live' if call.livemode else 'test'}_a1{make_token(56)}"
    adaptive = (given.get("adaptive_pricing") or {}).get("enabled", True)
    created = call.state.now()
    return {
        "id": object_id,
        "adaptive_pricing": {"enabled": adaptive},
        "created": created,
        "custom_text": given.get("custom_text") or {},
        "expires_at": given.get("expires_at", created + DEFAULT_SECONDS),
        "livemode": call.livemode,
        "mode": given["mode"],
        "status": "open",
        "ui_mode": given.get("ui_mode", "hosted_page"),
        "url": f"{call.state.origin}/c/pay/{object_id}",
    }


def _describe_tax(given: Json) -> Json:
    enabled = bool((given.get("automatic_tax") or {}).get("enabled"))
    if not enabled:
        return {"enabled": False, "liability": None, "status": None}
    return {
        "enabled": True,
        "liability": {"type": "self"},
        "provider": "stripe",
        "status": "requires_location_inputs",
    }


def _describe_options(given: Json) -> Json:
    """Return the options of the methods; those of cards have a default."""
    options = dict(given.get("payment_method_options") or {})
    if "card" in options:
        options["card"] = {"request_three_d_secure": "automatic", **options["card"]}
    return options


def _describe_methods(session: Json, given: Json) -> None:
    details = {"id": "pmc_1FakeConfiguration", "parent": None}
    session["payment_method_configuration_details"] = details
    if given["mode"] == "subscription" and not given.get("payment_method_collection"):
        session["payment_method_collection"] = "always"
    if given["mode"] == "payment" and not given.get("customer"):
        session["customer_creation"] = given.get("customer_creation", "if_required")


def retrieve_session(call: Call) -> Entry:
    return call.get_named(KIND)


def update_session(call: Call) -> Entry:
    session = call.get_named(KIND)
    old = session.object["metadata"]
    session.object["metadata"] = merge_metadata(old, call.params.get("metadata"))
    return session


def list_sessions(call: Call) -> Json:
    return answers.list_objects(
        call,
        KIND,
        "/v1/checkout/sessions",
        filters=("customer", "payment_intent", "status", "subscription"),
    )


def list_line_items(call: Call) -> Json:
    session = call.get_named(KIND)
    url = f"/v1/checkout/sessions/{session.id}/line_items"
    return answers.take_page(call, "item", session.hidden["items"], url)


def expire_session(call: Call) -> Entry:
    session = call.get_named(KIND)
    if session.object["status"] != "open":
        raise RefusedAct(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
            f" Session has a status of {session.object['status']}."
        )
    expire(call.state, session)
    return session


def expire(state: State, session: Entry) -> None:
    """End an open session: nothing can be paid any more."""
    if intent := state.find("payment_intent", session.hidden.get("intent")):
        intents.cancel(state, intent, "expired")
    session.object.update(status="expired", url=None)
    events.emit(state, "checkout.session.expired", session)


def _include_items(state: State, session: Json) -> Json:
    items = state.get(KIND, session["id"]).hidden["items"]
    return answers.make_list(items, f"/v1/checkout/sessions/{session['id']}/line_items")


answers.INCLUDABLE[KIND, "line_items"] = _include_items
