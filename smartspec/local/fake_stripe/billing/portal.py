"""The billing portal: what customers may change by themselves, and links to its page."""

import copy
from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import customers, events
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, UnknownObject
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "billing_portal.configuration"
SESSION = "billing_portal.session"
LINK_SECONDS = 5 * 60  # Within which a link has to be opened.
FEATURES: Json = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {
        "duration": {"interval_options": [], "type": "indefinite"},
        "enabled": False,
    },
    "subscription_update": {
        "default_allowed_updates": [],
        "enabled": False,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
DEFAULT = {
    name: {"enabled": True}
    for name in ("invoice_history", "payment_method_update", "subscription_cancel")
}


def create_configuration(call: Call) -> Entry:
    made = make_configuration(call.state, call.params, livemode=call.livemode)
    events.emit(call.state, "billing_portal.configuration.created", made)
    return made


def make_configuration(
    state: State, given: Json, *, livemode: bool, is_default: bool = False
) -> Entry:
    profile = given.get("business_profile") or {}
    return state.add(
        complete(
            stripe.billing_portal.Configuration,
            {
                "id": state.make_id("bpc"),
                "active": True,
                "business_profile": {name: value or None for name, value in profile.items()},
                "created": state.now(),
                "default_return_url": given.get("default_return_url") or None,
                "features": _merge_features(FEATURES, given.get("features") or {}),
                "is_default": is_default,
                "livemode": livemode,
                "login_page": {"enabled": False},
                "metadata": merge_metadata({}, given.get("metadata")),
                "name": given.get("name") or None,
                "updated": state.now(),
            },
        )
    )


def _merge_features(old: Json, given: Json) -> Json:
    features: Json = copy.deepcopy(old)
    for name, values in given.items():
        features[name].update({key: value or [] for key, value in values.items() if value != ""})
    for product in features["subscription_update"].get("products") or []:
        product.setdefault("adjustable_quantity", {"enabled": False, "minimum": 1})
    for feature in features.values():
        feature["enabled"] = bool(feature["enabled"])
    return features


def retrieve_configuration(call: Call) -> Entry:
    return call.get_named(KIND)


def update_configuration(call: Call) -> Entry:
    configuration, given = call.get_named(KIND), call.params
    obj = configuration.object
    obj["features"] = _merge_features(obj["features"], given.get("features") or {})
    if "active" in given:
        obj["active"] = given["active"]
    if "default_return_url" in given:
        obj["default_return_url"] = given["default_return_url"] or None
    obj["metadata"] = merge_metadata(obj["metadata"], given.get("metadata"))
    obj["updated"] = call.state.now()
    events.emit(call.state, "billing_portal.configuration.updated", configuration, previous={})
    return configuration


def list_configurations(call: Call) -> Json:
    url = "/v1/billing_portal/configurations"
    return answers.list_objects(call, KIND, url, filters=("active", "is_default"))


def create_session(call: Call) -> Entry:
    """Make a link to the portal for one customer. Raises InvalidRequest without a return."""
    given, state = call.params, call.state
    customer = customers.get_living(call, given.get("customer", ""), param="customer")
    named = call.find_param(KIND, "configuration")
    configuration = named or find_default(state, livemode=call.livemode)
    back = given.get("return_url") or configuration.object["default_return_url"]
    if back is not None and not back.startswith(("http://", "https://")):
        raise InvalidRequest("Not a valid URL", param="return_url", code="url_invalid")
    object_id = state.make_id("bps")
    session = state.add(
        complete(
            stripe.billing_portal.Session,
            {
                "id": object_id,
                "configuration": configuration.id,
                "created": state.now(),
                "customer": customer.id,
                "livemode": call.livemode,
                "locale": given.get("locale"),
                "return_url": back,
                "url": f"{state.origin}/p/session/{object_id}",
            },
        )
    )
    events.emit(state, "billing_portal.session.created", session)
    return session


def find_default(state: State, *, livemode: bool) -> Entry:
    """Return the account's own configuration: card, invoices, cancel; no change of plans."""
    for entry in state.select(KIND, is_default=True, livemode=livemode):
        return entry
    return make_configuration(state, {"features": DEFAULT}, livemode=livemode, is_default=True)


def open_link(state: State, object_id: str) -> Entry:
    """Return the session of a link. It has to be opened within five minutes, once it works on."""
    session = state.get(SESSION, object_id)
    if not session.hidden.get("opened"):
        if session.object["created"] + LINK_SECONDS < state.now():
            raise UnknownObject("This link has expired.")
        session.hidden["opened"] = True
    return session
