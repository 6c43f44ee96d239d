"""Paid invoices of subscriptions: each is a purchase that gives the credits of one period, once."""

from datetime import timedelta

from django.db.models import F, Q
from django.db.transaction import atomic

from accounts.models import User
from credits import ledger
from credits.models import (
    Purchase,
    Subscription,
    SubscriptionPeriod,
    SubscriptionPrice,
    Transaction,
)
from credits.models.purchases import PurchaseState
from credits.purchases.facts import Finding
from credits.purchases.prices import split
from credits.purchases.taxes import is_calculated_by_stripe
from credits.stripe_api import subscriptions as stripe
from credits.subscriptions.bills import Bill, find_problems, read_invoice

GRACE = timedelta(days=3)  # Stripe renews some hours late, and longer if the card is declined.
SECOND = "The plan is paid for by another subscription already."
_STATES = {
    "paid": PurchaseState.PAID,
    "void": PurchaseState.FAILED,
    "uncollectible": PurchaseState.FAILED,
}


def record(subscription: Subscription, bill: Bill) -> Purchase:
    """Return the purchase of a paid invoice; make it, with its period, if there is none yet."""
    with atomic():
        user = User.objects.locked(subscription.user_id)
        if purchase := Purchase.objects.filter(invoice=bill.invoice).first():
            return purchase
        price = find_agreed(subscription, bill)
        purchase = _write(user, subscription, bill, price)
        SubscriptionPeriod.objects.create(
            subscription=subscription,
            purchase=purchase,
            price=price,
            starts_at=bill.starts_at,
            ends_at=bill.ends_at,
        )
    return purchase


def find_agreed(subscription: Subscription, bill: Bill) -> SubscriptionPrice | None:
    """Return the agreed price that an invoice has; None if the buyer did not agree to its price."""
    if not bill.price:
        return None
    return subscription.prices.filter(stripe_price=bill.price).first()


def _write(
    user: User, subscription: Subscription, bill: Bill, price: SubscriptionPrice | None
) -> Purchase:
    """Write the purchase with what was agreed. Without an agreed price it is worth no credits."""
    total = price.amount if price and not is_calculated_by_stripe() else bill.total
    net, tax, percent = split(total, bill.paid_at or bill.starts_at)
    if is_calculated_by_stripe():
        net, tax = bill.subtotal, total - bill.subtotal
    return Purchase.objects.create(
        user=user,
        kind=Purchase.Kind.PLAN,
        state=PurchaseState.OPEN,
        name=(price.plan if price else subscription.plan).name,
        credits=price.credits if price else 0,
        currency=subscription.currency,
        net=net,
        tax=tax,
        total=total,
        tax_percent=percent,
        livemode=subscription.livemode,
        language=user.language,
        invoice=bill.invoice,
    )


def find_invoice(purchase: Purchase) -> Finding:
    """Ask Stripe about the invoice of a purchase. Raises StripeAway and StripeRefused."""
    period = purchase.subscription_period
    subscription = period.subscription
    bill = read_invoice(stripe.fetch_invoice(purchase.invoice))
    is_same = bill.subscription == subscription.stripe_id
    state = _STATES.get(bill.status, PurchaseState.OPEN)
    problems = find_problems(bill, find_agreed(subscription, bill)) if bill.is_paid else ()
    return Finding(
        state,
        payment_intent=bill.payment_intent,
        invoice=bill.invoice,
        total=bill.total,
        currency=bill.currency,
        livemode=bill.livemode,
        reference=purchase.public_id if is_same else bill.metadata.get("subscription", ""),
        method="card",
        paid_at=bill.paid_at,
        problem=" ".join(problems),
    )


def object_to(purchase: Purchase) -> str:
    """Return why the money of a paid invoice goes back; empty if the credits can be given.

    The row of the user is locked, so of two subscriptions that are paid at once one is the first.
    """
    period = purchase.subscription_period
    other = SubscriptionPeriod.objects.filter(
        subscription__user=purchase.user,
        subscription__livemode=purchase.livemode,
        subscription__status__in=Subscription.IN_FORCE,
        purchase__transaction__isnull=False,
        ends_at__gt=period.starts_at,
    ).exclude(subscription=period.subscription_id)
    return SECOND if other.exists() else ""


def give_credits(purchase: Purchase, finding: Finding) -> Transaction:
    """Give the credits of a paid invoice, and the plan. The row of the user is locked."""
    period = purchase.subscription_period
    assert period.price is not None  # noqa: S101 – without one, the purchase is in review
    transaction = ledger.add(
        user=purchase.user,
        amount=purchase.credits,
        type=Transaction.Type.SUBSCRIPTION,
        description=purchase.name,
        reference_id=purchase.invoice,
        idempotency_key=f"inv:{purchase.invoice}",
        metadata={"purchase": purchase.public_id},
        expires_at=period.ends_at + GRACE,
    )
    _begin_period(period, period.price)
    return transaction


def _begin_period(period: SubscriptionPeriod, price: SubscriptionPrice) -> None:
    """Set the plan and the terms of the latest period that is paid."""
    later = SubscriptionPeriod.objects.filter(
        subscription=period.subscription_id,
        purchase__transaction__isnull=False,
        ends_at__gt=period.ends_at,
    )
    if later.exists():
        return
    Subscription.objects.filter(pk=period.subscription_id).update(
        plan=price.plan, credits=price.credits, amount=price.amount
    )
    Subscription.objects.filter(Q(pk=period.subscription_id), next_plan=F("plan")).update(
        next_plan=None
    )
    User.objects.filter(pk=period.subscription.user_id, closed_at=None).update(plan=price.plan)
