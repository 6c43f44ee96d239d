"""Lets Stripe forget closed accounts, as credits/subscriptions/closing.py has noted."""

import logging

from credits.models import Customer, Subscription
from credits.purchases import retention
from credits.stripe_api import cards
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused
from credits.subscriptions import closing, following

logger = logging.getLogger(__name__)


def forget_due(limit: int = 100) -> int:
    """Let Stripe forget up to `limit` customers; return how many it has forgotten.

    What Stripe refuses is logged and tried again by the next call. Raises StripeAway.
    """
    done = 0
    for customer in closing.list_waiting()[:limit]:
        try:
            forget(customer)
        except StripeRefused as refusal:
            logger.error("user %s is not forgotten at Stripe: %s", customer.user_id, refusal)  # noqa: TRY400
        else:
            done += 1
    return done


def forget(customer: Customer) -> None:
    """End all subscriptions of a customer, whatever their state, and detach all cards.

    Personal data is removed from the stored events, too.

    Doing it again has no further effect. Raises StripeAway and StripeRefused.
    """
    for row in Subscription.objects.filter(user=customer.user_id, ended_at=None):
        _end(row)
    if customer.stripe_customer:
        _forget_at_stripe(customer.stripe_customer)
    retention.reduce_of(customer.user)
    Customer.objects.filter(pk=customer.pk).update(forget_since=None)


def _end(row: Subscription) -> None:
    """End what a row has at Stripe: the page on which it can be paid, or the subscription."""
    row = following.give_up(row)
    if row.stripe_id and row.ended_at is None:
        following.end_at_stripe(row)


def _forget_at_stripe(customer: str) -> None:
    """End subscriptions that no row knows, and detach the cards. A deleted customer has none."""
    try:
        for answer in list(stripe.list_subscriptions(customer=customer, status="all")):
            if answer["status"] in Subscription.RUNNING:
                stripe.cancel_now(answer["id"])
        for card in list(cards.list_cards(customer)):
            cards.detach(card["id"])
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
