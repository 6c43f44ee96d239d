"""What events about plans do: they have the subscription asked about, and its invoice settled."""

from accounts.access import account_deletion
from credits.models import PaymentEvent, Purchase
from credits.purchases import comparison as payment_comparison
from credits.purchases import lookup as payments
from credits.purchases import settlement
from credits.purchases.facts import Object
from credits.purchases.incoming_events import Ignored, handle
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused
from credits.subscriptions import closing, comparison, following, invoices, lookup
from credits.subscriptions.bills import read_invoice

NOT_OURS = "No subscription of this site belongs to it."


@handle("checkout.session.completed", "checkout.session.expired")
def follow_session(event: PaymentEvent, hint: Object) -> str:
    if hint.get("mode") != "subscription":
        raise Ignored("No plan is begun in this session.")
    row = lookup.find_by_session(event.object_id)
    if row is None:
        raise Ignored(NOT_OURS)
    row = following.refresh(row)
    return f"Subscription {row.public_id} is {row.status}."


@handle(
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
)
def follow_subscription(event: PaymentEvent, hint: Object) -> str:
    row = lookup.find_subscription(event.object_id)
    if row is None:
        raise Ignored(NOT_OURS)
    row = following.refresh(row)
    return f"Subscription {row.public_id} is {row.status}."


@handle(
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.marked_uncollectible",
    "invoice.voided",
)
def follow_invoice(event: PaymentEvent, hint: Object) -> str:
    """Settle the invoice that the event names; the latest one of its subscription may be newer."""
    try:
        bill = read_invoice(stripe.fetch_invoice(event.object_id))
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
        raise Ignored("Stripe does not know this invoice.") from None
    row = lookup.find_subscription(bill.subscription)
    if row is None:
        raise Ignored(NOT_OURS)
    event.purchase = following.follow_invoice(row, bill)
    row = following.refresh(row)
    return f"Invoice of subscription {row.public_id}, which is {row.status}."


def find_by_payment(payment_intent: str) -> Purchase | None:
    """Return the purchase of the invoice that a payment paid, settled; None if it is not ours.

    Raises StripeAway and StripeRefused.
    """
    for invoice in stripe.list_invoices_of(payment_intent):
        bill = read_invoice(stripe.fetch_invoice(invoice))
        row = lookup.find_subscription(bill.subscription)
        if row is not None and (purchase := following.follow_invoice(row, bill)):
            return purchase
    return None


def register() -> None:
    """Let settlement know paid invoices, and the end of an account what Stripe has to forget.

    Registering again has no further effect.
    """
    settlement.FINDERS[Purchase.Kind.PLAN] = invoices.find_invoice
    settlement.GIVERS[Purchase.Kind.PLAN] = invoices.give_credits
    settlement.OBJECTORS[Purchase.Kind.PLAN] = invoices.object_to
    account_deletion.register_forgetter(closing.ask_to_forget)
    if comparison.find_problems not in payment_comparison.problem_finders:
        payment_comparison.problem_finders.append(comparison.find_problems)
    if find_by_payment not in payments.payment_finders:
        payments.payment_finders.append(find_by_payment)
