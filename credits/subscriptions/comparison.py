"""Compares subscriptions with Stripe, so that a lost event, or a restored database, loses nothing.

Each row that has not ended is asked about once a day. Once a day all subscriptions at Stripe and
the paid invoices of the last two weeks are read, and rows that are missing here are made.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import jobs
from credits.models import Purchase, Subscription
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused, is_live
from credits.subscriptions import following, lookup
from credits.subscriptions.bills import Bill, read_invoice

logger = logging.getLogger(__name__)

JOB = "compare_subscriptions"  # of the diary of jobs
DAY = timedelta(days=1)
OPEN = timedelta(minutes=10)  # An open page is asked about so often, in case its event was lost.
INVOICES = timedelta(days=14)


def refresh_due(limit: int = 100) -> int:
    """Ask about up to `limit` rows that were not asked about for long; return their number.

    Raises StripeAway.
    """
    rows = list(_find_due()[:limit])
    for row in rows:
        try:
            following.refresh(row)
        except StripeRefused as refusal:
            _note_refusal(row, refusal)
    return len(rows)


def _find_due() -> QuerySet[Subscription]:
    now = timezone.now()
    is_open = Q(stripe_id="", created_at__lt=now - OPEN)
    was_asked = Q(checked_at__gt=now - DAY) | Q(stripe_id="", checked_at__gt=now - OPEN)
    rows = Subscription.objects.filter(
        is_open | ~Q(stripe_id=""), ended_at=None, livemode=is_live()
    )
    return rows.exclude(was_asked).order_by("checked_at", "pk")


def _note_refusal(row: Subscription, refusal: StripeRefused) -> None:
    logger.error("subscription %s cannot be compared: %s", row.public_id, refusal)
    Subscription.objects.filter(pk=row.pk).update(
        problem=f"Stripe refuses to tell about it: {refusal}", checked_at=timezone.now()
    )


def compare_daily() -> int | None:
    """Read everything at Stripe if that was not done today; return the number of rows made.

    None if it was done. Raises StripeAway and StripeRefused.
    """
    last = jobs.list_runs().get(JOB)
    if last is not None and timezone.now() - last < DAY:
        return None
    found = find_missing() + settle_missing()
    jobs.note_run(JOB, is_done=True)
    return found


def find_missing() -> int:
    """Make the rows of our subscriptions at Stripe that are missing here; return their number."""
    made = 0
    for answer in stripe.list_subscriptions():
        is_known = Subscription.objects.filter(stripe_id=answer["id"]).exists()
        row = None if is_known else lookup.find_or_make(answer)
        if row is not None:
            following.refresh(row)
            made += 1
    return made


def settle_missing() -> int:
    """Settle the paid invoices of two weeks that gave nothing yet; return their number."""
    return sum(_settle_invoice(bill) is not None for bill in _list_unsettled())


def find_problems() -> Iterator[str]:
    """Yield the paid invoices of this site of which nothing can be made, for the operator.

    Their user or plan is not known here, as in a restored database. Called by the daily comparison
    of payments, because an invoice's payment has no metadata of ours. Raises StripeAway.
    """
    for bill in _list_unsettled():
        name = f"invoice {bill.invoice} over {bill.total} {bill.currency} is paid at Stripe"
        try:
            if _settle_invoice(bill) is None and lookup.is_ours(bill.metadata):
                yield f"{name}, and its user or plan is not known here."
        except StripeRefused as refusal:
            yield f"{name}, and cannot be compared: {refusal}"


def _list_unsettled() -> Iterator[Bill]:
    settled = Q(state__in=[Purchase.State.PAID, Purchase.State.REVIEW, Purchase.State.RETURNED])
    for answer in stripe.list_paid_invoices(since=timezone.now() - INVOICES):
        bill = read_invoice(answer)
        if bill.total and not Purchase.objects.filter(settled, invoice=bill.invoice).exists():
            yield bill


def _settle_invoice(bill: Bill) -> Purchase | None:
    """Settle an invoice; None if it belongs to no subscription of this site."""
    row = lookup.find_subscription(bill.subscription)
    return None if row is None else following.follow_invoice(row, bill)
