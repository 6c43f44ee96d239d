"""The API of subscriptions: create, retrieve, list, cancel."""

from typing import Any

from smartspec.local.fake_stripe.billing import (
    collection,
    cycles,
    invoices,
    subscriptions,
)
from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry
from smartspec.local.fake_stripe.objects import customers, events, payment_methods
from smartspec.local.fake_stripe.objects.products import make_price
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct

Json = dict[str, Any]
KIND = "subscription"


def create_subscription(call: Call) -> Entry:
    """Begin a subscription and try to pay its first invoice, off session.

    Raises CardRefused with payment_behavior=error_if_incomplete.
    """
    given, state = call.params, call.state
    customer = customers.get_living(call, given.get("customer", ""), param="customer")
    wanted = [
        (_find_price(call, item, f"items[{number}]"), item.get("quantity", 1))
        for number, item in enumerate(given.get("items") or [])
    ]
    if not wanted:
        raise InvalidRequest(
            "Missing required param: items.", param="items", code="parameter_missing"
        )
    subscription = subscriptions.make_subscription(
        state,
        customer,
        wanted,
        status="incomplete",
        default_payment_method=given.get("default_payment_method") or None,
        description=given.get("description"),
        metadata=merge_metadata({}, given.get("metadata")),
    )
    _begin(call, subscription, customer)
    return subscription


def _find_price(call: Call, item: Json, path: str) -> Json:
    if "price_data" in item:
        price = make_price(call, item["price_data"], path=f"{path}[price_data]", active=False)
    else:
        price = call.get("price", item.get("price", ""), param=f"{path}[price]")
    if price.object["recurring"] is None:
        raise InvalidRequest("The price has to recur.", param=f"{path}[price]")
    return price.object


def _begin(call: Call, subscription: Entry, customer: Entry) -> None:
    """Write the first invoice; unless its payment waits for the page, try to pay it."""
    state, behavior = call.state, call.params.get("payment_behavior", "allow_incomplete")
    items = subscriptions.list_items(subscription)
    invoice = invoices.make_invoice(
        state,
        customer,
        subscriptions.make_lines(state, subscription, items),
        reason="subscription_create",
        subscription=subscription,
    )
    subscription.object["latest_invoice"] = invoice.id
    invoices.finalize(state, invoice)
    expires = state.now() + subscriptions.INCOMPLETE_SECONDS
    state.schedule(expires, "subscription.expire_incomplete", subscription.id)
    if behavior == "default_incomplete":
        collection.find_or_make_intent(state, invoice)
    else:
        result = collection.attempt(state, invoice, collection.find_method(state, invoice))
        if result.status == "succeeded":
            subscription.object["status"] = "active"
        elif behavior == "error_if_incomplete":
            state.remove(subscription)
            raise result.refusal or RefusedAct("The payment needs an action of the customer.")
    events.emit(state, "customer.subscription.created", subscription)


def retrieve_subscription(call: Call) -> Entry:
    return call.get_named(KIND)


def cancel_subscription(call: Call) -> Entry:
    """End a subscription at once. One that has ended is not found, as with Stripe."""
    subscription = call.get_named(KIND)
    if subscription.object["status"] not in subscriptions.LIVING:
        raise call.refuse_unknown(KIND, subscription.id, param="id")
    details = call.params.get("cancellation_details")
    subscriptions.cancel(call.state, subscription, reason="cancellation_requested", details=details)
    return subscription


def list_subscriptions(call: Call) -> Json:
    """List subscriptions; without `status` not those that have ended."""
    status, price = call.params.get("status"), call.params.get("price")

    def fits(subscription: Entry) -> bool:
        obj = subscription.object
        ended = obj["status"] in ("canceled", "incomplete_expired")
        prices = [item["price"]["id"] for item in subscriptions.list_items(subscription)]
        if price and price not in prices:
            return False
        if status == "ended":
            return ended
        return not ended if status is None else status in ("all", obj["status"])

    return answers.list_objects(call, KIND, "/v1/subscriptions", filters=("customer",), keep=fits)


def delete_customer(call: Call) -> Entry:
    """Delete a customer. Their subscriptions end at once."""
    customer = customers.get_living(call, call.ids[0])
    for subscription in call.state.select(KIND, customer=customer.id):
        if subscription.object["status"] in subscriptions.LIVING:
            subscriptions.cancel(call.state, subscription, reason="cancellation_requested")
    return customers.delete_customer(call)


def pay_invoice(call: Call) -> Entry:
    """Pay an open invoice, or a draft, with this or the customer's payment method."""
    invoice, given = call.get_named("invoice"), call.params
    if invoice.object["status"] == "draft":
        invoices.finalize(call.state, invoice)
    if invoice.object["status"] != "open":
        raise RefusedAct(
            f"Invoice is already {invoice.object['status']}", code="invoice_not_editable"
        )
    if given.get("paid_out_of_band"):
        collection.settle(call.state, invoice, None)
        cycles.follow_payment(call.state, invoice)
        return invoice
    named = given.get("payment_method")
    method = (
        payment_methods.take_method(call, named)
        if named
        else collection.find_method(call.state, invoice)
    )
    result = collection.attempt(call.state, invoice, method)
    if result.refusal:
        raise result.refusal
    if result.status == "succeeded":
        cycles.follow_payment(call.state, invoice)
    return invoice
