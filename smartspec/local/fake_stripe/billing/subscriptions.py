"""Subscriptions: how they begin, what they are, and how they end."""

import copy
from typing import Any

import stripe

from smartspec.local.fake_stripe.billing import collection, invoices, months
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "subscription"
LIVING = ("active", "past_due", "unpaid", "incomplete", "trialing", "paused")
INCOMPLETE_SECONDS = 23 * 3600


def make_subscription(
    state: State,
    customer: Entry,
    wanted: list[tuple[Json, int]],
    *,
    status: str,
    **values: Any,
) -> Entry:
    """Write a subscription to prices, each with its quantity, whose first month begins now."""
    object_id, now = state.make_id("sub"), state.now()
    items = [make_item(state, object_id, price, quantity, now, now) for price, quantity in wanted]
    url = f"/v1/subscription_items?subscription={object_id}"
    subscription = state.add(
        complete(
            stripe.Subscription,
            {
                "id": object_id,
                "automatic_tax": {"enabled": False},
                "billing_cycle_anchor": now,
                "billing_mode": {
                    "type": "flexible",
                    "flexible": {"proration_discounts": "included"},
                },
                "cancel_at_period_end": False,
                "cancellation_details": {},
                "collection_method": "charge_automatically",
                "created": now,
                "currency": wanted[0][0]["currency"],
                "customer": customer.id,
                "default_tax_rates": [],
                "invoice_settings": {"issuer": {"type": "self"}},
                "items": wrap_items(items, url),
                "livemode": customer.livemode,
                "metadata": {},
                "payment_settings": {"save_default_payment_method": "off"},
                "start_date": now,
                "status": status,
                "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
                **values,
            },
        )
    )
    plan_renewal(state, subscription)
    return subscription


def wrap_items(items: list[Json], url: str) -> Json:
    return {
        "object": "list",
        "data": items,
        "has_more": False,
        "total_count": len(items),
        "url": url,
    }


def make_item(
    state: State, subscription: str, price: Json, quantity: int, anchor: int, at: int
) -> Json:
    start, end = months.find_period(anchor, at, price["recurring"])
    return complete(
        stripe.SubscriptionItem,
        {
            "id": state.make_id("si", 14),
            "created": state.now(),
            "current_period_end": end,
            "current_period_start": start,
            "metadata": {},
            "plan": _describe_plan(price),
            "price": copy.deepcopy(price),
            "quantity": quantity,
            "subscription": subscription,
            "tax_rates": [],
        },
    )


def _describe_plan(price: Json) -> Json:
    """Return the price in the form that it had before there were prices."""
    same = ("active", "billing_scheme", "created", "currency", "id", "livemode", "metadata")
    recurring = price["recurring"]
    return complete(
        stripe.Plan,
        {
            **{name: price[name] for name in same},
            "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"],
            "interval": recurring["interval"],
            "interval_count": recurring["interval_count"],
            "nickname": price["nickname"],
            "product": price["product"],
            "usage_type": recurring["usage_type"],
        },
    )


def list_items(subscription: Entry) -> list[Json]:
    items: list[Json] = subscription.object["items"]["data"]
    return items


def find_end(subscription: Entry) -> int:
    """Return when the current period ends."""
    return int(min(item["current_period_end"] for item in list_items(subscription)))


def plan_renewal(state: State, subscription: Entry) -> None:
    state.schedule(find_end(subscription), "subscription.renew", subscription.id)


def make_lines(state: State, subscription: Entry, items: list[Json]) -> list[Json]:
    """Return invoice lines for the whole period of the items."""
    return [
        invoices.make_line(
            state,
            amount=item["price"]["unit_amount"] * item["quantity"],
            currency=item["price"]["currency"],
            description=_describe_line(state, item),
            period=(item["current_period_start"], item["current_period_end"]),
            livemode=bool(subscription.livemode),
            parent=describe_parent(subscription, item, proration=False),
            price=item["price"],
            quantity=item["quantity"],
        )
        for item in items
    ]


def _describe_line(state: State, item: Json) -> str:
    product = state.get("product", item["price"]["product"]).object["name"]
    return f"{item['quantity']} × {product}"


def describe_parent(subscription: Entry, item: Json, *, proration: bool) -> Json:
    details = {
        "proration": proration,
        "subscription": subscription.id,
        "subscription_item": item["id"],
    }
    return {"type": "subscription_item_details", "subscription_item_details": details}


def start_paid(
    state: State,
    customer: Entry,
    wanted: list[tuple[Json, int]],
    once: list[Json],
    *,
    intent: Entry,
    **values: Any,
) -> Entry:
    """Begin a subscription whose first invoice this intent has paid; `once`: lines besides."""
    subscription = make_subscription(state, customer, wanted, status="active", **values)
    lines = [*make_lines(state, subscription, list_items(subscription)), *once]
    invoice = invoices.make_invoice(
        state, customer, lines, reason="subscription_create", subscription=subscription
    )
    subscription.object["latest_invoice"] = invoice.id
    events.emit(state, "customer.subscription.created", subscription)
    invoices.finalize(state, invoice)
    collection.join(state, invoice, intent)
    collection.settle(state, invoice, intent)
    return subscription


def cancel(state: State, subscription: Entry, *, reason: str, details: Json | None = None) -> None:
    """End a subscription now."""
    obj, now = subscription.object, state.now()
    obj.update(status="canceled", ended_at=now, canceled_at=obj["canceled_at"] or now)
    obj["cancellation_details"].update({"reason": reason, **(details or {})})
    obj["pending_update"] = None
    for invoice in state.select("invoice", customer=obj["customer"], status="open"):
        if belongs(invoice, subscription):
            invoice.object.update(auto_advance=False, next_payment_attempt=None)
    events.emit(state, "customer.subscription.deleted", subscription)


def belongs(invoice: Entry, subscription: Entry) -> bool:
    parent = invoice.object["parent"]
    details = parent and parent.get("subscription_details")
    return bool(details and details["subscription"] == subscription.id)
