"""How a subscription stands: writes down what Stripe says about it, and what follows for the plan.

Stripe is not asked here. The row of the user is locked before that of the subscription.
"""

import logging
from datetime import datetime
from typing import Any

from django.db.transaction import atomic
from django.utils import timezone

from accounts.mails import queue_mail
from accounts.models import User
from credits.models import Subscription
from credits.purchases.facts import Object, as_object
from credits.subscriptions import closing, prices
from credits.subscriptions.bills import read_time

logger = logging.getLogger(__name__)

FREE = "free"  # The plan of users who pay for none.
UNKNOWN_PRICE = "The price at Stripe is none that the buyer agreed to."
SEVERAL_ITEMS = "The subscription has several items at Stripe."


def apply(row: Subscription, answer: Object, asked_at: datetime) -> Subscription:
    """Write down how a subscription stands, unless a later answer was written already."""
    with atomic():
        user = User.objects.locked(row.user_id)
        row = Subscription.objects.select_for_update(no_key=True, of=("self",)).get(pk=row.pk)
        is_late = row.checked_at is not None and row.checked_at > asked_at
        if is_late or row.ended_at is not None:
            return row
        _write(row, answer)
        row.checked_at = asked_at
        row.save()
        if row.status not in Subscription.IN_FORCE:
            _end_plan(user, row)
        if user.closed_at is not None and row.status in Subscription.RUNNING:
            closing.ask_to_forget(user)
        elif row.status in Subscription.ENDED and user.closed_at is None and prices.find_paid(row):
            queue_mail(user, "credits/email/plan_ended", subscription=row)
    return row


def _write(row: Subscription, answer: Object) -> None:
    items = answer["items"]["data"]
    item: dict[str, Any] = items[0] if items else {}
    row.status = answer["status"]
    row.stripe_item = item.get("id", "")
    row.stripe_price = as_object(item.get("price")).get("id", "")
    if item:
        row.period_start = read_time(item["current_period_start"])
        row.period_end = read_time(item["current_period_end"])
    row.cancels_at_end = bool(answer.get("cancel_at_period_end") or answer.get("cancel_at"))
    invoice = as_object(answer.get("latest_invoice"))
    is_due = invoice.get("status") == "open"
    row.invoice_url = (invoice.get("hosted_invoice_url") or "") if is_due else ""
    if answer.get("ended_at") or row.status in Subscription.ENDED:
        row.ended_at = read_time(answer["ended_at"]) if answer["ended_at"] else timezone.now()
        row.invoice_url = ""
    _write_price(row, has_several=len(items) > 1)


def _write_price(row: Subscription, *, has_several: bool) -> None:
    """Compare the price with those that were agreed: another one is paid from the next period."""
    agreed = row.prices.filter(stripe_price=row.stripe_price).first()
    paid = prices.find_paid(row)
    row.problem = SEVERAL_ITEMS if has_several else "" if agreed else UNKNOWN_PRICE
    row.next_plan = agreed.plan if agreed and paid and agreed.plan_id != paid.plan_id else None


def _end_plan(user: User, row: Subscription) -> None:
    """Set the free plan for a user whose plan is not paid for. Credits stay until they expire.

    A plan that an administrator has set meanwhile stays, too.
    """
    others = Subscription.objects.filter(user=user, status__in=Subscription.IN_FORCE)
    if prices.find_paid(row) is not None and not others.exclude(pk=row.pk).exists():
        User.objects.filter(pk=user.pk, plan=row.plan_id).update(plan=FREE)


def note_stripe_id(row: Subscription, stripe_id: str) -> None:
    """Write down which subscription at Stripe a row has, unless it is known already."""
    Subscription.objects.filter(pk=row.pk, stripe_id="").update(
        stripe_id=stripe_id, status="incomplete", ended_at=None
    )
    row.refresh_from_db()


def note_expiry(row: Subscription) -> Subscription:
    Subscription.objects.filter(pk=row.pk, stripe_id="").update(
        status="expired", ended_at=timezone.now()
    )
    row.refresh_from_db()
    return row


def note_unopened(row: Subscription) -> Subscription:
    """End a row whose page is not open yet; whoever opens it then ends the page, too."""
    Subscription.objects.filter(pk=row.pk, stripe_id="", checkout_session="").update(
        status="expired", ended_at=timezone.now()
    )
    row.refresh_from_db()
    return row


def note_unknown(row: Subscription) -> Subscription:
    Subscription.objects.filter(pk=row.pk).update(
        problem="Stripe does not know this subscription.", checked_at=timezone.now()
    )
    logger.error("Stripe does not know subscription %s", row.public_id)
    row.refresh_from_db()
    return row
