"""Customers."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State, make_token
from smartspec.local.fake_stripe.objects import events, payment_methods
from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "customer"
PLAIN = ("business_name", "description", "email", "individual_name", "name", "phone", "shipping")


def create_customer(call: Call) -> Entry:
    """Create a customer. The payment method, if one is given, becomes theirs."""
    given = call.params
    method = given.get("payment_method")
    attached = payment_methods.take_method(call, method) if method else None
    settings = given.get("invoice_settings") or {}
    if attached and settings.get("default_payment_method") == method:
        settings["default_payment_method"] = attached.id  # A test card's name made a new one.
    customer = make_customer(call.state, livemode=call.livemode, **_read_values(call, {}))
    if attached:
        payment_methods.attach(call.state, attached, customer.id)
    return customer


def make_customer(state: State, *, livemode: bool, **values: Any) -> Entry:
    settings = {"default_payment_method": None, **(values.pop("invoice_settings", None) or {})}
    customer = state.add(
        complete(
            stripe.Customer,
            {
                "id": state.make_id("cus", 14),
                "balance": 0,
                "created": state.now(),
                "delinquent": False,
                "invoice_prefix": make_token(8).upper(),
                "invoice_settings": settings,
                "livemode": livemode,
                "metadata": {},
                "next_invoice_sequence": 1,
                "preferred_locales": [],
                "tax_exempt": "none",
                **values,
            },
        )
    )
    events.emit(state, "customer.created", customer)
    return customer


def _read_values(call: Call, old: Json) -> Json:
    """Return the attributes that the parameters give; an empty string unsets one."""
    given = call.params
    values = {name: given[name] or None for name in PLAIN if name in given}
    if "address" in given:
        address = given["address"] or None
        names = ("city", "country", "line1", "line2", "postal_code", "state")
        values["address"] = address and {name: address.get(name) for name in names}
    if "preferred_locales" in given:
        values["preferred_locales"] = given["preferred_locales"]
    if "tax_exempt" in given:
        values["tax_exempt"] = given["tax_exempt"] or "none"
    if "invoice_settings" in given:
        method = given["invoice_settings"].get("default_payment_method")
        if method:
            _check_default(call, method, old.get("id"))
        values["invoice_settings"] = {
            **(old.get("invoice_settings") or {}),
            "default_payment_method": method or None,
        }
    values["metadata"] = merge_metadata(old.get("metadata", {}), given.get("metadata"))
    return values


def _check_default(call: Call, method: str, owner: str | None) -> None:
    """Raises UnknownObject or RefusedAct: only a saved payment method can be the default."""
    param = "invoice_settings[default_payment_method]"
    found = call.get("payment_method", method, param=param)
    if owner is not None and found.object["customer"] != owner:
        raise RefusedAct(
            f"The customer does not have a payment method with the ID {method}. The payment method"
            " must be attached to the customer.",
            param=param,
            code="resource_missing",
        )


def retrieve_customer(call: Call) -> Entry:
    return call.get_named(KIND)


def update_customer(call: Call) -> Entry:
    customer = get_living(call, call.ids[0])
    values = _read_values(call, customer.object)
    events.change(call.state, customer, "customer.updated", **values)
    return customer


def get_living(call: Call, object_id: str, *, param: str = "id") -> Entry:
    """Return a customer that was not deleted. Raises UnknownObject."""
    customer = call.get(KIND, object_id, param=param)
    if customer.object.get("deleted"):
        raise call.refuse_unknown(KIND, object_id, param=param)
    return customer


def delete_customer(call: Call) -> Entry:
    """Delete for good: payment methods are detached, and nothing can be sold any more."""
    customer = get_living(call, call.ids[0])
    events.emit(call.state, "customer.deleted", customer)
    for method in call.state.select("payment_method", customer=customer.id):
        payment_methods.detach(call.state, method)
    customer.hidden["livemode"] = call.livemode
    customer.object.clear()
    customer.object.update({"id": call.ids[0], "object": KIND, "deleted": True})
    return customer


def list_customers(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/customers", filters=("email",))
