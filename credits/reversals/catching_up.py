"""What events did not tell: Stripe's lists of refunds, disputes and warnings are read each hour.

So a lost event is made up for, and a database that was restored to yesterday catches up.
"""

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from accounts import jobs
from credits.models import Dispute, PaymentReversal, Purchase, Refund
from credits.purchases import lookup, settlement
from credits.reversals import disputes, facts, payments
from credits.reversals.apply import refresh
from credits.reversals.events import UNFINISHED
from credits.stripe_api import disputes as stripe_disputes
from credits.stripe_api import refunds as stripe_refunds
from credits.stripe_api.client import Answer, StripeRefused, is_configured, is_live

logger = logging.getLogger(__name__)

JOB = "compare_reversals"
EVERY = timedelta(hours=1)
# A refund can fail after it succeeded, for some weeks.
LOOKS_BACK = timedelta(days=40)


def catch_up() -> int:
    """Refresh the payments whose reversals differ, at most once an hour; return how many.

    Raises StripeAway.
    """
    last = jobs.list_runs().get(JOB)
    if not is_configured() or (last is not None and timezone.now() - last < EVERY):
        return 0
    purchases = {purchase.pk: purchase for purchase in _list_different()}
    for purchase in purchases.values():
        _refresh_one(purchase)
    jobs.note_run(JOB, is_done=True)
    return len(purchases)


def _refresh_one(purchase: Purchase) -> None:
    try:
        if purchase.state in UNFINISHED:
            settlement.settle(purchase)
        refresh(purchase)
    except StripeRefused as refusal:
        logger.warning("purchase %s is not compared: %s", purchase.public_id, refusal)


def _list_different() -> list[Purchase]:
    named = [_find(each) for each in _list_news()]
    unfinished = Purchase.objects.filter(livemode=is_live()).filter(
        Q(reversals__status__in=("pending", "requires_action"), reversals__is_in_force=True)
        | Q(disputes__closed_at=None, disputes__isnull=False)
        | Q(refunds__state=Refund.State.ACCEPTED, refunds__reversal=None)
    )
    return [purchase for purchase in named if purchase is not None] + list(unfinished)


def _find(stripe_object: Answer) -> Purchase | None:
    try:
        return payments.find_of(stripe_object)
    except (StripeRefused, lookup.Unusable) as error:
        logger.warning("%s belongs to no purchase: %s", stripe_object["id"], error)
        return None


def _list_news() -> list[Answer]:
    """Return the objects at Stripe of which our rows know less."""
    since = timezone.now() - LOOKS_BACK
    refunds = [
        each
        for each in stripe_refunds.list_refunds(created_since=since)
        if not _knows(PaymentReversal, each["id"], facts.read_refund(each).status)
    ]
    disputed = [
        each
        for each in stripe_disputes.list_disputes(created_since=since)
        if not Dispute.objects.filter(
            stripe_id=each["id"],
            status=each["status"],
            movements=len(each.get("balance_transactions") or ()),
        ).exists()
    ]
    warnings = [
        each
        for each in stripe_disputes.list_fraud_warnings(created_since=since)
        if not _knows(Dispute, each["id"], disputes.name_status(facts.read_warning(each)))
    ]
    return [*refunds, *disputed, *warnings]


def _knows(model: type[PaymentReversal | Dispute], stripe_id: str, status: str) -> bool:
    return model._default_manager.filter(stripe_id=stripe_id, status=status).exists()
