"""Plans that end at once, because of one of their payments.

If the bank reports a payment as fraud, or takes it back by a dispute, the plan has to end, because
each renewal would be charged to the same card. A refund ends the plan if the administrator chose
so. The transaction that records the cause also notes that the plan has to end. Stripe is called
after the commit; `sync_subscriptions` calls again until the plan has ended.
"""

import logging

from django.db.models import QuerySet
from django.utils import timezone

from credits.models import Dispute, Purchase, Refund, Subscription
from credits.reversals import records
from credits.stripe_api.client import StripeAway, StripeRefused, is_live
from credits.subscriptions import following

logger = logging.getLogger(__name__)

LOST = ("lost", "prevented")


def note_reason(purchase: Purchase) -> None:
    """Note that a plan has to end, in the transaction that records the cause. It is noted once."""
    if purchase.kind == Purchase.Kind.PLAN and (reason := _find_reason(purchase)):
        Subscription.objects.filter(
            periods__purchase=purchase, ended_at=None, end_asked_at=None
        ).update(end_asked_at=timezone.now(), end_because=reason[:200])


def _find_reason(purchase: Purchase) -> str:
    """Return why the plan of a payment has to end; empty if it continues."""
    for dispute in purchase.disputes.order_by("pk"):
        if dispute.kind == Dispute.Kind.WARNING:
            return f"Fraud warning {dispute.stripe_id}"
        if dispute.status in LOST:
            return f"Dispute {dispute.stripe_id} is {dispute.status}"
    chosen = purchase.refunds.filter(ends_plan=True, state=Refund.State.ACCEPTED).first()
    return f"Refund {chosen}: {chosen.reason}" if chosen else ""


def ask(row: Subscription, *, reason: str) -> bool:
    """Note that a plan has to end, for an administrator. False if that was noted, or it ended."""
    running = Subscription.objects.filter(pk=row.pk, ended_at=None, end_asked_at=None)
    return bool(running.update(end_asked_at=timezone.now(), end_because=reason[:200]))


def end_asked(row: Subscription) -> bool:
    """End a plan whose end was noted. False if Stripe failed; `tick` tries again."""
    return all(_end(waiting) for waiting in list_waiting().filter(pk=row.pk))


def end_of(purchase: Purchase) -> None:
    """End the plan of a payment if that was noted. If Stripe fails, `tick` tries again."""
    if purchase.kind == Purchase.Kind.PLAN:
        for row in list_waiting().filter(periods__purchase=purchase):
            _end(row)


def end_due(limit: int = 100) -> int:
    """End up to `limit` plans that have to end; return how many have."""
    return sum(_end(row) for row in list_waiting()[:limit])


def list_waiting() -> QuerySet[Subscription]:
    """Return the plans that have to end and have not, those that wait longest first."""
    rows = Subscription.objects.filter(
        end_asked_at__isnull=False, ended_at=None, livemode=is_live()
    ).exclude(stripe_id="")
    return rows.order_by("end_asked_at", "pk")


def _end(row: Subscription) -> bool:
    try:
        following.end_at_stripe(row)
    except (StripeAway, StripeRefused) as error:
        logger.warning("subscription %s has not ended yet: %s", row.public_id, error)
        return False
    logger.info("subscription %s is ended: %s", row.public_id, row.end_because)
    return True


def register() -> None:
    """Learn of reversals. Registering again has no further effect."""
    for receivers, receiver in (
        (records.recorded_receivers, note_reason),
        (records.committed_receivers, end_of),
    ):
        if receiver not in receivers:
            receivers.append(receiver)
