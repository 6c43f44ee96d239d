"""Looks at Stripe without being told by an event: at open payments, and once a day at all.

The payments of the last days are compared both ways. What came of a lost event, or is missing in a
restored database, is caught up. What still differs is a problem, which `manage.py status` and the
admin show.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, Q, Sum
from django.utils import timezone

from credits.models import PaymentComparison, PaymentReversal, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import facts, lookup, returned, settlement
from credits.purchases.facts import Object
from credits.stripe_api import payments
from credits.stripe_api.client import StripeAway, StripeRefused, is_live

logger = logging.getLogger(__name__)

OPEN_FOR = timedelta(minutes=10)  # before the first question, and between two
BANK_TAKES = timedelta(days=1)  # between two questions about a payment that the bank confirms
PERIOD = timedelta(days=14)
# A payment may be begun days before it is paid.
MARGIN = timedelta(days=3)
EVERY = timedelta(days=1)
MAX_PROBLEMS = 1000
# What other rooms find at Stripe that belongs to nobody here, such as invoices of plans.
problem_finders: list[Callable[[], Iterator[str]]] = []
ENDED = (PurchaseState.PAID, PurchaseState.RETURNED, PurchaseState.REVIEW)


@dataclass(slots=True)
class Report:
    """What a comparison has found so far. `seen` are the PaymentIntents that were paid."""

    seen: set[str] = field(default_factory=set)
    purchases: int = 0
    caught_up: int = 0
    problems: list[str] = field(default_factory=list)


def settle_open(limit: int = 200) -> int:
    """Settle up to `limit` payments that have been open for long; return their number.

    Payments of the other mode (test or live) are left alone, because our key does not know them. If
    Stripe is away, the rest waits for the next call.
    """
    settled = 0
    for purchase in _find_due(limit):
        # It is noted before the answer, so that one without an answer is not always the first.
        Purchase.objects.filter(pk=purchase.pk).update(checked_at=timezone.now())
        try:
            settlement.settle(purchase)
        except StripeAway as error:
            logger.warning("Stripe is away: %s", error)
            break
        except Exception:
            # One payment that cannot be settled must not hold up the others.
            logger.exception("purchase %s cannot be settled", purchase.public_id)
        else:
            settled += 1
    return settled


def _find_due(limit: int) -> list[Purchase]:
    now = timezone.now()
    is_open = Q(state__in=[PurchaseState.NEW, PurchaseState.OPEN], created_at__lt=now - OPEN_FOR)
    at_the_bank = Q(state=PurchaseState.PROCESSING)
    unsent = Q(state=PurchaseState.RETURNED, refunds__state__in=returned.UNSENT)
    last = Q(checked_at=None) | Q(checked_at__lt=now - OPEN_FOR)
    yesterday = Q(checked_at=None) | Q(checked_at__lt=now - BANK_TAKES)
    due = (is_open & last) | (at_the_bank & yesterday) | (unsent & last)
    ours = Q(livemode=is_live(), kind__in=settlement.FINDERS)
    order = F("checked_at").asc(nulls_first=True)
    return list(Purchase.objects.filter(due & ours).distinct().order_by(order, "pk")[:limit])


def compare_daily() -> PaymentComparison | None:
    """Compare if the last comparison is a day old; return the new one."""
    now = timezone.now()
    if PaymentComparison.objects.filter(started_at__range=(now - EVERY, now)).exists():
        return None
    return compare()


def compare() -> PaymentComparison:
    """Compare the last 14 days, and store the result. Raises StripeAway and StripeRefused."""
    started, report = timezone.now(), Report()
    for intent in payments.list_intents(since=started - PERIOD - MARGIN):
        if intent["status"] == "succeeded":
            report.problems += _compare_intent(intent, report)
    report.problems += _compare_purchases(started - PERIOD, report)
    for find_problems in problem_finders:
        report.problems += find_problems()
    for problem in report.problems[:MAX_PROBLEMS]:
        logger.error("payments: %s", problem)
    return PaymentComparison.objects.create(
        started_at=started,
        finished_at=timezone.now(),
        payments=len(report.seen),
        purchases=report.purchases,
        caught_up=report.caught_up,
        problems=len(report.problems),
        report="\n".join(report.problems[:MAX_PROBLEMS]),
    )


def _compare_intent(intent: Object, report: Report) -> list[str]:
    """Find the purchase of a paid PaymentIntent, settle it if it is open, and compare."""
    try:
        purchase = lookup.find_known(intent["id"]) or lookup.read_intent(intent)
    except lookup.Unusable as error:
        return [f"{intent['id']} is paid at Stripe, but {error}"]
    if purchase is None:
        return []
    report.seen.add(intent["id"])
    try:
        if purchase.state not in ENDED:
            purchase = settlement.settle(purchase)
            report.caught_up += purchase.state in ENDED
        return list(_find_differences(purchase, intent))
    except StripeAway:
        raise
    except Exception as error:
        # One purchase that cannot be settled must not hide what is wrong with the others.
        logger.exception("purchase %s cannot be compared", purchase.public_id)
        return [f"purchase {purchase.public_id} ({intent['id']}) cannot be compared: {error!r}"]


def _find_differences(purchase: Purchase, intent: Object) -> Iterator[str]:
    name = f"purchase {purchase.public_id} ({intent['id']})"
    if purchase.state == PurchaseState.REVIEW:
        if not Purchase.objects.in_review().filter(pk=purchase.pk).exists():
            return
        yield f"{name} is paid and gave no credits: {purchase.problem}"
    elif purchase.state not in ENDED:
        yield f"{name} is paid at Stripe and {purchase.state} here."
    elif (intent["amount_received"], intent["currency"]) != (purchase.total, purchase.currency):
        yield (
            f"{name}: {intent['amount_received']} {intent['currency']} came, and"
            f" {purchase.total} {purchase.currency} was agreed."
        )
    if purchase.state == PurchaseState.PAID:
        yield from _find_unknown_reversals(purchase, intent, name)


def _find_unknown_reversals(purchase: Purchase, intent: Object, name: str) -> Iterator[str]:
    """Look for refunds and disputes that are not known here, after asking for them again."""
    charge = facts.as_object(intent.get("latest_charge"))
    refunded, is_disputed = charge.get("amount_refunded", 0), charge.get("disputed", False)
    if _knows(purchase, refunded, is_disputed=is_disputed):
        return
    settlement.check(purchase)
    if not _knows(purchase, refunded, is_disputed=is_disputed):
        yield (
            f"{name}: {refunded} were refunded at Stripe"
            f"{' and the payment is disputed' if is_disputed else ''}, which is not known here."
        )


def _knows(purchase: Purchase, refunded: int, *, is_disputed: bool) -> bool:
    known = PaymentReversal.objects.filter(
        purchase=purchase, kind=PaymentReversal.Kind.REFUND, is_in_force=True
    ).aggregate(amount=Sum("amount", default=0))["amount"]
    return known == refunded and (not is_disputed or purchase.disputes.exists())


def _compare_purchases(since: datetime, report: Report) -> Iterator[str]:
    """Look for purchases that are paid here and not at Stripe."""
    paid = Purchase.objects.filter(
        state=PurchaseState.PAID, paid_at__gte=since, livemode=is_live()
    ).exclude(payment_intent="", kind=Purchase.Kind.PLAN)
    for purchase in paid.iterator():
        report.purchases += 1
        if purchase.payment_intent not in report.seen and not _is_paid(purchase.payment_intent):
            yield (
                f"purchase {purchase.public_id} is paid here, and Stripe knows no payment"
                f" {purchase.payment_intent or 'of it'}."
            )


def _is_paid(intent: str) -> bool:
    """Ask for one PaymentIntent, which was begun before the period."""
    try:
        return bool(intent) and payments.fetch_intent(intent)["status"] == "succeeded"
    except StripeRefused as refusal:
        if refusal.status == 404:
            return False
        raise
