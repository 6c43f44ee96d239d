"""Changes of a subscription: other prices, another month, an end."""

import copy
from typing import Any

from smartspec.local.fake_stripe.billing import (
    collection,
    cycles,
    invoices,
    months,
    subscriptions,
)
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.objects.products import make_price
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct

Json = dict[str, Any]
PENDING_SECONDS = 23 * 3600
# What may stand beside payment_behavior=pending_if_incomplete.
WITH_PENDING = {
    "add_invoice_items",
    "billing_cycle_anchor",
    "expand",
    "items",
    "off_session",
    "payment_behavior",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "trial_from_plan",
}


def update_subscription(call: Call) -> Entry:
    """Change a subscription. Raises CardRefused with payment_behavior=error_if_incomplete."""
    subscription, given = call.get_named("subscription"), call.params
    _check_update(subscription, given)
    old = copy.deepcopy(subscription.object)
    if "items" in given or _is_reset(given):
        _change_prices(call, subscription)
    _change_rest(call, subscription)
    changed = {name: value for name, value in old.items() if subscription.object[name] != value}
    if changed:
        events.emit(call.state, "customer.subscription.updated", subscription, previous=changed)
    return subscription


def _check_update(subscription: Entry, given: Json) -> None:
    has_ended = subscription.object["status"] in ("canceled", "incomplete_expired")
    if has_ended and given.keys() - {"cancellation_details", "metadata", "expand"}:
        raise RefusedAct(
            "A canceled subscription can only update its cancellation_details and metadata."
        )
    if given.get("payment_behavior") == "pending_if_incomplete":
        for name in sorted(given.keys() - WITH_PENDING):
            raise InvalidRequest(
                f"`{name}` cannot be used with payment_behavior=pending_if_incomplete.", param=name
            )


def _is_reset(given: Json) -> bool:
    return (given.get("billing_cycle_anchor") or {}).get("type") == "now"


def _change_prices(call: Call, subscription: Entry) -> None:
    """Change the items; a new month, or prices of another interval, are invoiced at once."""
    given, now = call.params, call.state.now()
    items = _build_items(call, subscription)
    before = subscriptions.list_items(subscription)
    other = _intervals(items) != _intervals(before)
    mode = given.get("proration_behavior", "create_prorations")
    lines = [] if mode == "none" else _make_prorations(call, subscription, before, items)
    if _is_reset(given) or other:
        for item in items:
            item["current_period_start"], item["current_period_end"] = months.find_period(
                now, now, item["price"]["recurring"]
            )
        credit = [line for line in lines if line["amount"] < 0]
        lines = [*subscriptions.make_lines(call.state, subscription, items), *credit]
        _pay_change(call, subscription, items, lines, anchor=now)
        return
    cycles.change_items(call.state, subscription, items)
    if lines and mode == "always_invoice":
        _pay_change(
            call,
            subscription,
            items,
            lines,
            anchor=subscription.object["billing_cycle_anchor"],
        )
    elif lines:
        subscription.hidden.setdefault("prorations", []).extend(lines)


def _intervals(items: list[Json]) -> set[tuple[str, int]]:
    recurring = [item["price"]["recurring"] for item in items]
    return {(one["interval"], one["interval_count"]) for one in recurring}


def _build_items(call: Call, subscription: Entry) -> list[Json]:
    """Return the items after the change. One that is named without its id is a further one."""
    items = {item["id"]: item for item in copy.deepcopy(subscriptions.list_items(subscription))}
    for number, change in enumerate(call.params.get("items", [])):
        path = f"items[{number}]"
        old = items.get(change.get("id", ""))
        if "id" in change and old is None:
            raise call.refuse_unknown("subscription_item", change["id"], param=f"{path}[id]")
        if change.get("deleted") and old:
            del items[old["id"]]
            continue
        item = _build_item(call, subscription, change, old, path)
        items[item["id"]] = item
    if not items:
        raise InvalidRequest("A subscription needs at least one item.", param="items")
    return list(items.values())


def _build_item(call: Call, subscription: Entry, change: Json, old: Json | None, path: str) -> Json:
    price = _find_price(call, change, path) or (old and old["price"])
    if not price or price["recurring"] is None:
        raise InvalidRequest("The price has to recur.", param=f"{path}[price]")
    if price["currency"] != subscription.object["currency"]:
        raise InvalidRequest(
            "A subscription has one currency: that of its first price.", param=f"{path}[price]"
        )
    quantity: int = change.get("quantity") or (old["quantity"] if old else 1)
    item = subscriptions.make_item(
        call.state,
        subscription.id,
        price,
        quantity,
        subscription.object["billing_cycle_anchor"],
        call.state.now(),
    )
    if old is not None:
        item |= {"id": old["id"], "created": old["created"]}
    return item


def _find_price(call: Call, change: Json, path: str) -> Json | None:
    if "price_data" in change:
        data = change["price_data"]
        return make_price(call, data, path=f"{path}[price_data]", active=False).object
    if "price" in change:
        return call.get("price", change["price"], param=f"{path}[price]").object
    return None


def _make_prorations(
    call: Call, subscription: Entry, before: list[Json], after: list[Json]
) -> list[Json]:
    """Return lines for the rest of the month: the old prices back, the new ones to pay."""
    now, lines = call.state.now(), []
    for sign, items in ((-1, before), (1, after)):
        for item in items:
            start, end = before[0]["current_period_start"], before[0]["current_period_end"]
            whole = item["price"]["unit_amount"] * item["quantity"]
            part = round(whole * (end - now) / (end - start))
            lines.append(
                invoices.make_line(
                    call.state,
                    amount=sign * part,
                    currency=item["price"]["currency"],
                    description="Unused time" if sign < 0 else "Remaining time",
                    period=(now, end),
                    livemode=call.livemode,
                    parent=subscriptions.describe_parent(subscription, item, proration=True),
                    price=item["price"],
                    quantity=item["quantity"],
                )
            )
    return lines


def _pay_change(
    call: Call, subscription: Entry, items: list[Json], lines: list[Json], *, anchor: int
) -> None:
    """Invoice a change at once; what an unpaid invoice means, `payment_behavior` says."""
    state, given = call.state, call.params
    behavior = given.get("payment_behavior", "allow_incomplete")
    customer = state.get("customer", subscription.object["customer"])
    invoice = invoices.make_invoice(
        state, customer, lines, reason="subscription_update", subscription=subscription
    )
    invoices.finalize(state, invoice)
    result = collection.attempt(state, invoice, collection.find_method(state, invoice))
    if result.status != "succeeded" and behavior == "error_if_incomplete":
        invoices.void(state, invoice)
        raise result.refusal or RefusedAct("The payment needs an action of the customer.")
    subscription.object["latest_invoice"] = invoice.id
    if result.status != "succeeded" and behavior == "pending_if_incomplete":
        _keep_pending(call, subscription, items, invoice, anchor)
        return
    cycles.change_items(state, subscription, items)
    subscription.object["billing_cycle_anchor"] = anchor
    subscriptions.plan_renewal(state, subscription)
    if result.status != "succeeded":
        subscription.object["status"] = "past_due"
        collection.plan_retry(state, invoice)


def _keep_pending(
    call: Call, subscription: Entry, items: list[Json], invoice: Entry, anchor: int
) -> None:
    expires = call.state.now() + PENDING_SECONDS
    subscription.object["pending_update"] = {
        "billing_cycle_anchor": anchor,
        "expires_at": expires,
        "subscription_items": items,
        "trial_end": None,
        "trial_from_plan": None,
    }
    subscription.hidden["update_invoice"] = invoice.id
    call.state.schedule(expires, "subscription.expire_pending", subscription.id)


def _change_rest(call: Call, subscription: Entry) -> None:
    obj, given = subscription.object, call.params
    obj["metadata"] = merge_metadata(obj["metadata"], given.get("metadata"))
    if method := given.get("default_payment_method"):
        call.get("payment_method", method, param="default_payment_method")
        obj["default_payment_method"] = method
    if "description" in given:
        obj["description"] = given["description"] or None
    if details := given.get("cancellation_details"):
        obj["cancellation_details"].update(details)
    if "cancel_at_period_end" in given:
        plan_end(call, subscription, at_end=given["cancel_at_period_end"])


def plan_end(call: Call, subscription: Entry, *, at_end: bool) -> None:
    """Let a subscription end with its month, or let it go on after all."""
    obj = subscription.object
    obj["cancel_at_period_end"] = at_end
    obj["cancel_at"] = subscriptions.find_end(subscription) if at_end else None
    obj["canceled_at"] = call.state.now() if at_end else None
    obj["cancellation_details"]["reason"] = "cancellation_requested" if at_end else None
