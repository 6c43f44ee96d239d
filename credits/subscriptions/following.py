"""Follows a subscription at Stripe: asks how it stands, and writes down what follows.

Events, the return page, `sync_subscriptions` and the admin call `refresh`. Stripe is asked outside
of transactions. An answer is applied only if no later one was.
"""

import logging
from datetime import datetime

from django.db.models import Q, QuerySet
from django.db.transaction import atomic
from django.utils import timezone

from accounts.mails import queue_mail
from accounts.models import AccountAlert, User
from credits.models import Purchase, Subscription
from credits.models.purchases import PurchaseState
from credits.purchases import settlement
from credits.purchases.facts import Object, as_object
from credits.stripe_api import checkout
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused, is_live
from credits.subscriptions import invoices, prices, states
from credits.subscriptions.bills import Bill, read_invoice

logger = logging.getLogger(__name__)


def refresh(subscription: Subscription) -> Subscription:
    """Ask Stripe about a subscription and apply the answer; return the row as it is then.

    Its latest invoice is settled, and while it runs, no other page can begin a plan. Raises
    StripeAway and StripeRefused.
    """
    row = _follow_session(Subscription.objects.get(pk=subscription.pk))
    if not row.stripe_id:
        return row
    asked_at = timezone.now()
    try:
        answer = stripe.fetch(row.stripe_id)
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
        return states.note_unknown(row)
    return follow(row, answer, asked_at)


def follow(row: Subscription, answer: Object, asked_at: datetime) -> Subscription:
    """Apply what Stripe says about a subscription, and settle its latest invoice."""
    for item in answer["items"]["data"]:
        prices.learn(row, as_object(item.get("price")).get("id", ""))
    row = states.apply(row, answer, asked_at)
    invoice = answer.get("latest_invoice")
    if isinstance(invoice, dict):
        follow_invoice(row, read_invoice(invoice))
    row.refresh_from_db()
    if row.status in Subscription.RUNNING:
        _close_other_pages(row)
    return row


def list_open(user: User) -> QuerySet[Subscription]:
    """Return what can be paid on a page of Stripe to begin a plan, the newest first."""
    rows = Subscription.objects.filter(
        user=user, stripe_id="", ended_at=None, livemode=is_live(), expires_at__gt=timezone.now()
    )
    return rows.order_by("-pk")


def give_up(row: Subscription) -> Subscription:
    """End an open page, so that nobody can pay it; return the row as it is then.

    If it was paid meanwhile, the plan begins. A page that Stripe is just asked for is ended by
    whoever gets the answer. Raises StripeAway and StripeRefused.
    """
    row = states.note_unopened(row)
    if row.checkout_session and not row.stripe_id:
        try:
            checkout.expire_session(row.checkout_session)
        except StripeRefused as refusal:  # It has ended before: the next line tells how.
            logger.info("the page of subscription %s stays: %s", row.public_id, refusal)
    return refresh(row)


def _close_other_pages(row: Subscription) -> None:
    """End the pages of other tabs, so that a second plan is not paid and then sent back."""
    for other in list_open(row.user).exclude(pk=row.pk):
        try:
            give_up(other)
        except StripeRefused as refusal:
            logger.warning("the page of subscription %s stays: %s", other.public_id, refusal)


def _follow_session(row: Subscription) -> Subscription:
    """Find the subscription that a session has begun, or note that it has ended without one."""
    if row.stripe_id or row.status in Subscription.ENDED:
        return row
    is_over = row.expires_at is not None and row.expires_at < timezone.now()
    if not row.checkout_session:
        return states.note_expiry(row) if is_over else row
    try:
        session = checkout.fetch_session(row.checkout_session)
    except StripeRefused as refusal:
        if refusal.status != 404 or not is_over:
            raise
        return states.note_expiry(row)
    if session["status"] == "expired":
        return states.note_expiry(row)
    if found := as_object(session.get("subscription")).get("id", ""):
        states.note_stripe_id(row, found)
    else:
        Subscription.objects.filter(pk=row.pk).update(checked_at=timezone.now())
    return row


def follow_invoice(row: Subscription, bill: Bill) -> Purchase | None:
    """Settle a paid invoice and return its purchase; tell the buyer about one that is not paid."""
    if not bill.is_paid:
        _tell_about_unpaid(row, bill)
        return None
    if not bill.total:
        Subscription.objects.filter(pk=row.pk).update(
            problem=f"Invoice {bill.invoice} is over nothing, so it gave no credits."
        )
        return None
    prices.learn(row, bill.price)
    purchase = settlement.settle(invoices.record(row, bill))
    if purchase.state == PurchaseState.RETURNED:
        end_at_stripe(row)
    return purchase


def end_at_stripe(row: Subscription) -> None:
    """End a subscription at once. One that has ended already is left alone. Raises StripeAway."""
    asked_at = timezone.now()
    try:
        answer = stripe.cancel_now(row.stripe_id)
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
        answer = stripe.fetch(row.stripe_id)
    states.apply(row, answer, asked_at)


def _tell_about_unpaid(row: Subscription, bill: Bill) -> None:
    """Mail Stripe's page of an invoice that could not be collected, once for each attempt."""
    if bill.status != "open" or bill.reason != "subscription_cycle" or not bill.attempts:
        return
    attempt = f"{bill.invoice}:{bill.attempts}"
    with atomic():
        told = Subscription.objects.filter(~Q(reminded=attempt), pk=row.pk, ended_at=None)
        if told.update(reminded=attempt, invoice_url=bill.url):
            user = User.objects.get(pk=row.user_id)
            queue_mail(
                user,
                "credits/email/plan_past_due",
                subscription=row,
                url=bill.url,
            )
            AccountAlert.objects.note_payment_problem(user, "plan_past_due")
