"""Asking Stripe for the refunds that are written down, once each.

The request's number is the idempotency key and stands in the metadata. Within 23 hours Stripe is
asked again with the same key; afterwards its list of refunds is searched for the request, and
nothing is sent a second time.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone

from credits import balances, ledger
from credits.models import Refund
from credits.reversals import facts, records
from credits.reversals.facts import Facts
from credits.reversals.postings import make_key, move_credits
from credits.stripe_api import refunds as stripe_refunds
from credits.stripe_api.client import Answer, StripeAway, StripeRefused, is_configured, is_live

logger = logging.getLogger(__name__)

# Stripe keeps an idempotency key for 24 hours at least.
SAME_KEY_FOR = timedelta(hours=23)
SHORTEST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
UNSENT = (Refund.State.TAKEN, Refund.State.SENT)
NOT_FOUND = "Stripe does not know of this refund."


def send(refund: Refund) -> Refund:
    """Ask Stripe for a refund that is written down; return the row as it is then."""
    refund.refresh_from_db()
    if refund.state not in UNSENT:
        return refund
    now = timezone.now()
    if refund.first_sent_at is not None and now - refund.first_sent_at > SAME_KEY_FOR:
        _look_up(refund)
    elif _claim(refund):
        _post(refund)
    refund.refresh_from_db()
    return refund


def _claim(refund: Refund) -> bool:
    """Write down that Stripe is asked now; False if the answer is known already."""
    now = timezone.now()
    first = refund.first_sent_at or now
    wait = min(max(now - first, SHORTEST_WAIT), LONGEST_WAIT)
    refund.first_sent_at = first
    unsent = Refund.objects.filter(pk=refund.pk, state__in=UNSENT)
    return bool(unsent.update(state=Refund.State.SENT, first_sent_at=first, next_try_at=now + wait))


def _post(refund: Refund) -> None:
    try:
        answer = stripe_refunds.create_refund(
            payment_intent=refund.purchase.payment_intent,
            amount=refund.amount,
            metadata={"site": settings.STRIPE_SITE, "refund": refund.public_id},
            instructions_email=refund.instructions_email,
            key=f"refund:{refund.public_id}",
        )
    except StripeRefused as refusal:
        _check_refusal(refund, str(refusal))
    except StripeAway as error:
        _note_problem(refund, str(error))
    else:
        _accept(refund, answer)


def _check_refusal(refund: Refund, problem: str) -> None:
    """Give the credits back, unless an earlier try had an effect of which no answer came."""
    try:
        answer = _find_at_stripe(refund)
    except (StripeAway, StripeRefused) as error:
        _note_problem(refund, f"{problem} {error}")
        return
    if answer is None:
        _return_credits(refund, problem)
    else:
        _accept(refund, answer)


def _look_up(refund: Refund) -> None:
    """Learn what became of a request whose key Stripe may have forgotten. It is not sent again."""
    try:
        answer = _find_at_stripe(refund)
    except (StripeAway, StripeRefused) as error:
        next_try = timezone.now() + LONGEST_WAIT
        Refund.objects.filter(pk=refund.pk).update(next_try_at=next_try, problem=str(error))
        return
    if answer is None:
        _return_credits(refund, NOT_FOUND)
    else:
        _accept(refund, answer)


def _find_at_stripe(refund: Refund) -> Answer | None:
    """Return the refund of Stripe that names this request; None if there is none."""
    listed = stripe_refunds.list_refunds(payment_intent=refund.purchase.payment_intent)
    return next(
        (each for each in listed if facts.read_refund(each).request == refund.public_id), None
    )


def _accept(refund: Refund, answer: Answer) -> None:
    records.record(refund.purchase, Facts(refunds=(facts.read_refund(answer),)))


def _note_problem(refund: Refund, problem: str) -> None:
    logger.warning("refund %s has no answer yet: %s", refund.public_id, problem)
    Refund.objects.filter(pk=refund.pk, state__in=UNSENT).update(problem=problem)


def _return_credits(refund: Refund, problem: str) -> None:
    with atomic():
        purchase = records.lock(refund.purchase)
        refund = Refund.objects.select_for_update(no_key=True, of=("self",)).get(pk=refund.pk)
        if refund.state not in UNSENT:
            return
        taken = refund.transaction
        if taken is not None and balances.restorable(taken) > 0:
            ledger.restore(
                transaction=taken,
                reason="Refund refused",
                idempotency_key=make_key(purchase.user, f"refund:{refund.public_id}:back"),
            )
        refund.state, refund.problem, refund.next_try_at = Refund.State.REFUSED, problem, None
        refund.save(update_fields=["state", "problem", "next_try_at"])
        move_credits(purchase)  # The share of other reversals was rounded with this one.
    logger.error("refund %s was refused: %s", refund.public_id, problem)


def send_due(limit: int = 100) -> int:
    """Send, again or for the first time, up to `limit` requests that are due; return how many.

    Payments of the other mode (test or live) wait, because our key does not know them. If Stripe
    gives no answer, the rest waits for the next call.
    """
    if not is_configured():
        return 0
    due = Refund.objects.filter(
        state__in=UNSENT, next_try_at__lte=timezone.now(), purchase__livemode=is_live()
    )
    rows = list(due.select_related("purchase__user").order_by("next_try_at")[:limit])
    for number, row in enumerate(rows):
        if send(row).state in UNSENT:
            return number
    return len(rows)
