"""Payments that nobody wants, as of closed accounts: the money goes back, no credits are given.

The refund is a row like every other, so `tick` asks again for one that got no answer.
"""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from credits.models import Purchase, Refund
from credits.stripe_api import refunds
from credits.stripe_api.client import StripeRefused

logger = logging.getLogger(__name__)

CLOSED = "The account was closed before the payment came."
KEY_IS_KNOWN = timedelta(hours=23)
UNSENT = (Refund.State.TAKEN, Refund.State.SENT)


def ask_refund(purchase: Purchase) -> None:
    """Write down that the money has to go back, in the transaction of the caller.

    The problem of the purchase is the reason.
    """
    Refund.objects.get_or_create(
        form_key=_make_key(purchase),
        defaults={
            "purchase": purchase,
            "amount": purchase.total,
            "credits": 0,
            "reason": purchase.problem,
            "next_try_at": timezone.now(),
        },
    )


def send_back(purchase: Purchase) -> None:
    """Ask Stripe for the refund of a returned purchase, once. Raises StripeAway.

    Stripe may forget the key after a day. Then `tick` looks whether the refund is there.
    """
    refund = Refund.objects.get(form_key=_make_key(purchase))
    first_sent = refund.first_sent_at or timezone.now()
    if refund.state not in UNSENT or timezone.now() - first_sent > KEY_IS_KNOWN:
        return
    _change(refund, state=Refund.State.SENT, first_sent_at=first_sent)
    try:
        sent = refunds.create_refund(
            payment_intent=purchase.payment_intent,
            amount=refund.amount,
            metadata={"site": settings.STRIPE_SITE, "refund": refund.public_id},
            instructions_email="",
            key=f"refund:{refund.public_id}",
        )
    except StripeRefused as refusal:
        logger.error("purchase %s is not sent back: %s", purchase.public_id, refusal)  # noqa: TRY400
        _change(refund, state=Refund.State.REFUSED, problem=str(refusal))
    else:
        _change(refund, state=Refund.State.ACCEPTED, stripe_id=sent["id"])


def _make_key(purchase: Purchase) -> str:
    return f"returned:{purchase.public_id}"


def _change(refund: Refund, **changes: Any) -> None:
    """Change a refund that is still to be sent; another process may have sent it meanwhile."""
    Refund.objects.filter(pk=refund.pk, state__in=UNSENT).update(**changes)
