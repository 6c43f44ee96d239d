"""What the clock does to subscriptions: renewals, dunning, ends."""

from typing import Any

from smartspec.local.fake_stripe.billing import collection, invoices, months, subscriptions
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events

Json = dict[str, Any]
DRAFT_SECONDS = 3600  # A renewal is a draft for an hour.


def renew(state: State, subscription: Entry) -> None:
    """Begin the next month: with a draft invoice, or with the end that was asked for."""
    obj = subscription.object
    if (
        obj["status"] not in subscriptions.LIVING
        or subscriptions.find_end(subscription) > state.now()
    ):
        return
    if obj["cancel_at_period_end"]:
        subscriptions.cancel(state, subscription, reason="cancellation_requested")
        return
    for item in subscriptions.list_items(subscription):
        item["current_period_start"], item["current_period_end"] = months.find_period(
            obj["billing_cycle_anchor"], state.now(), item["price"]["recurring"]
        )
    subscriptions.plan_renewal(state, subscription)
    if obj["status"] == "incomplete":
        return
    _invoice_month(state, subscription)
    events.emit(state, "customer.subscription.updated", subscription, previous={"items": None})


def _invoice_month(state: State, subscription: Entry) -> None:
    lines = subscriptions.make_lines(state, subscription, subscriptions.list_items(subscription))
    lines += subscription.hidden.pop("prorations", [])
    customer = state.get("customer", subscription.object["customer"])
    invoice = invoices.make_invoice(
        state,
        customer,
        lines,
        reason="subscription_cycle",
        subscription=subscription,
        auto_advance=subscription.object["status"] != "unpaid",
    )
    subscription.object["latest_invoice"] = invoice.id
    if invoice.object["auto_advance"]:
        invoice.object["automatically_finalizes_at"] = state.now() + DRAFT_SECONDS
        state.schedule(state.now() + DRAFT_SECONDS, "invoice.finalize", invoice.id)


def finalize_draft(state: State, invoice: Entry) -> None:
    """End the hour of a renewal's draft and collect it."""
    if invoice.object["status"] == "draft" and invoice.object["auto_advance"]:
        invoices.finalize(state, invoice)
        collect(state, invoice)


def retry(state: State, invoice: Entry) -> None:
    if invoice.object["status"] == "open" and invoice.object["auto_advance"]:
        collect(state, invoice)


def collect(state: State, invoice: Entry) -> None:
    """Try to pay a renewal, and let its subscription be what follows from the result."""
    method = collection.find_method(state, invoice)
    result = collection.attempt(state, invoice, method)
    if result.status == "succeeded":
        follow_payment(state, invoice)
        return
    subscription = find_subscription(state, invoice)
    more = collection.plan_retry(state, invoice)
    if subscription is None or subscription.object["status"] not in subscriptions.LIVING:
        return
    if more:
        set_status(state, subscription, "past_due")
    elif state.dunning_end == "cancel":
        subscriptions.cancel(state, subscription, reason="payment_failed")
    else:
        set_status(state, subscription, state.dunning_end)


def find_subscription(state: State, invoice: Entry) -> Entry | None:
    parent = invoice.object["parent"]
    details = parent and parent.get("subscription_details")
    return state.find("subscription", details["subscription"]) if details else None


def set_status(state: State, subscription: Entry, status: str) -> None:
    if subscription.object["status"] != status:
        events.change(state, subscription, "customer.subscription.updated", status=status)


def follow_payment(state: State, invoice: Entry) -> None:
    """A subscription whose latest invoice is paid is active again; a pending update applies."""
    subscription = find_subscription(state, invoice)
    if subscription is None:
        return
    obj = subscription.object
    if obj["pending_update"] and subscription.hidden.get("update_invoice") == invoice.id:
        apply_pending(state, subscription)
    elif obj["status"] in ("past_due", "unpaid", "incomplete") and (
        obj["latest_invoice"] == invoice.id
    ):
        set_status(state, subscription, "active")


def apply_pending(state: State, subscription: Entry) -> None:
    """Make a change whose invoice is paid."""
    pending = subscription.object["pending_update"]
    change_items(state, subscription, pending["subscription_items"])
    subscription.object["billing_cycle_anchor"] = pending["billing_cycle_anchor"]
    subscription.object["pending_update"] = None
    subscriptions.plan_renewal(state, subscription)
    events.emit(state, "customer.subscription.updated", subscription, previous={"items": None})
    events.emit(state, "customer.subscription.pending_update_applied", subscription)


def change_items(_state: State, subscription: Entry, items: list[Json]) -> None:
    subscription.object["items"]["data"] = items
    subscription.object["items"]["total_count"] = len(items)


def expire_pending(state: State, subscription: Entry) -> None:
    """Drop a change that was not paid in time, with its invoice."""
    pending = subscription.object["pending_update"]
    if not pending or pending["expires_at"] > state.now():
        return
    subscription.object["pending_update"] = None
    invoice = state.find("invoice", subscription.hidden.get("update_invoice"))
    if invoice and invoice.object["status"] == "open":
        invoices.void(state, invoice)
    events.emit(state, "customer.subscription.pending_update_expired", subscription)


def expire_incomplete(state: State, subscription: Entry) -> None:
    """End a subscription whose first invoice was never paid."""
    if subscription.object["status"] == "incomplete":
        subscription.object["ended_at"] = state.now()
        set_status(state, subscription, "incomplete_expired")
