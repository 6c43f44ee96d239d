"""Removes personal data from the stored events of Stripe, which have names, addresses and cards.

An event is kept as it came for PAYMENT_EVENT_DAYS, or until its buyer's account is closed; one that
belongs to no purchase here, only until it was applied. Then its payload is reduced to numbers of
Stripe, states, amounts and our own metadata. That is all that the handlers read, so a reduced event
can still be replayed.
"""

from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from credits.models import PaymentEvent

# Fields with these names are kept at every level. All other fields are left out.
KEPT = frozenset(
    {
        *("id", "object", "type", "created", "livemode", "api_version", "request"),
        *("status", "state", "mode", "payment_status", "currency", "reason", "actionable"),
        *("amount", "amount_total", "amount_subtotal", "amount_received", "amount_refunded"),
        *("amount_due", "amount_paid", "total", "subtotal", "attempt_count", "billing_reason"),
        *("payment_intent", "setup_intent", "charge", "latest_charge", "invoice", "customer"),
        *("subscription", "latest_invoice", "balance_transaction", "client_reference_id"),
        *("code", "decline_code", "failure_code", "failure_reason", "fraud_type"),
        *("site", "purchase", "user", "package", "plan", "refund", "credits", "number", "kind"),
        *("expires_at", "canceled_at", "ended_at", "cancel_at_period_end", "data", "metadata"),
        *("last_payment_error", "payment_method", "parent", "subscription_details"),
    }
)
LONGEST = 200  # characters of a value; no value of ours is longer
DONE = (PaymentEvent.State.DONE, PaymentEvent.State.IGNORED, PaymentEvent.State.FAILED)


def reduce_due(limit: int = 500) -> int:
    """Reduce up to `limit` events that are older than PAYMENT_EVENT_DAYS; return how many."""
    border = timezone.now() - timedelta(days=settings.PAYMENT_EVENT_DAYS)
    return _reduce(_list_whole().filter(received_at__lt=border).order_by("received_at")[:limit])


def reduce_of(user: User) -> int:
    """Reduce the events about the payments of a user; return how many."""
    return _reduce(_list_whole().filter(purchase__user=user))


def reduce_applied(event: PaymentEvent) -> None:
    """Reduce an event that was applied just now, unless it is about a purchase of an open account.

    What belongs to no purchase would not be found when its buyer's account is closed.
    """
    is_kept = event.purchase is not None and event.purchase.user.closed_at is None
    if event.done_at is not None and not is_kept:
        _reduce(_list_whole().filter(pk=event.pk))


def _list_whole() -> QuerySet[PaymentEvent]:
    return PaymentEvent.objects.filter(reduced_at=None, state__in=DONE)


def _reduce(events: QuerySet[PaymentEvent]) -> int:
    number = 0
    for event in events:
        payload = reduce_payload(event.payload, stripe_id=event.stripe_id)
        number += PaymentEvent.objects.filter(pk=event.pk, reduced_at=None).update(
            payload=payload, reduced_at=timezone.now()
        )
    return number


def reduce_payload(text: str, *, stripe_id: str) -> str:
    """Return the JSON of an event with the kept names only."""
    return orjson.dumps({**_keep(orjson.loads(text)), "id": stripe_id}).decode()


def _keep(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _keep(each) for name, each in value.items() if name in KEPT}
        return {name: each for name, each in kept.items() if each not in ({}, [])}
    if isinstance(value, list):
        return [_keep(each) for each in value]
    if isinstance(value, str) and not _is_harmless(value):
        return ""
    return value


def _is_harmless(text: str) -> bool:
    return len(text) <= LONGEST and text.isprintable() and "@" not in text
