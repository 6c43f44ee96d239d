"""Changes of a running plan. Credits are never prorated.

A dearer plan begins at once: its whole price is paid for a new period, and the old credits stay. A
cheaper plan, and the end of the plan, come with the end of the period that is paid.
"""

import logging
import secrets
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import Plan, User
from credits.models import Subscription, SubscriptionPrice
from credits.purchases import limits
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused
from credits.subscriptions import following, prices
from credits.subscriptions.refusals import (
    ChangeRefused,
    EndsAlready,
    NotHigher,
    NotLower,
    NotSubscribed,
    UnpaidInvoice,
)

if TYPE_CHECKING:
    from stripe.params import SubscriptionUpdateParams

logger = logging.getLogger(__name__)


def upgrade(
    *, subscription: Subscription, plan: Plan, form_key: str, shown_price: int, shown_credits: int
) -> Subscription:
    """Begin a dearer plan now, with a new period that is paid in full; return the row.

    If the card is declined or the bank wants to see the buyer, the old plan goes on, and
    `invoice_url` is Stripe's page on which the upgrade can be paid within 23 hours. The same form
    again changes the plan once. Raises a ShopRefusal and StripeAway.
    """
    key = prices.make_form_key(subscription.user, form_key, plan, subscription.public_id)
    price = _find_agreed(subscription, key)
    if price is None:
        limits.refuse_closed(subscription.user)
        amount = prices.check_shown(
            plan, subscription.currency, shown_price=shown_price, shown_credits=shown_credits
        )
        row = _check_changeable(subscription)
        if amount <= row.amount:
            raise NotHigher
        price = _agree(row, plan, amount, key)
    return _change(
        price,
        {
            "billing_cycle_anchor": {"type": "now"},
            "proration_behavior": "none",
            "payment_behavior": "pending_if_incomplete",
        },
    )


def downgrade(
    *, subscription: Subscription, plan: Plan, form_key: str, shown_price: int, shown_credits: int
) -> Subscription:
    """Let a plan that does not cost more begin with the next period; return the row.

    Raises a ShopRefusal and StripeAway.
    """
    key = prices.make_form_key(subscription.user, form_key, plan, subscription.public_id)
    price = _find_agreed(subscription, key)
    if price is None:
        amount = prices.check_shown(
            plan, subscription.currency, shown_price=shown_price, shown_credits=shown_credits
        )
        row = _check_changeable(subscription)
        if amount > row.amount:
            raise NotLower
        price = _agree(row, plan, amount, key)
    return _change(price, {"proration_behavior": "none"})


def cancel(subscription: Subscription) -> Subscription:
    """Let the plan end with the period that is paid; return the row.

    Raises NotSubscribed, ChangeRefused and StripeAway.
    """
    row = _check_running(subscription)
    return _update(row, {"cancel_at_period_end": True}, key=_make_new_key(row))


def resume(subscription: Subscription) -> Subscription:
    """Keep the present plan: take back an end or a cheaper plan that was to come; return the row.

    Raises NotSubscribed, ChangeRefused and StripeAway.
    """
    row = _check_running(subscription)
    parameters: SubscriptionUpdateParams = {"cancel_at_period_end": False}
    paid = prices.find_paid(row)
    if row.next_plan_id is not None and paid is not None:
        parameters["items"] = [{"id": row.stripe_item, "price": paid.stripe_price}]
        parameters["proration_behavior"] = "none"
    return _update(row, parameters, key=_make_new_key(row))


def _check_running(subscription: Subscription) -> Subscription:
    """Return the row as it is at Stripe now. Raises NotSubscribed."""
    row = following.refresh(subscription)
    if row.status not in Subscription.IN_FORCE:
        raise NotSubscribed
    return row


def _check_changeable(subscription: Subscription) -> Subscription:
    """Return the row. Raises NotSubscribed, EndsAlready, UnpaidInvoice."""
    row = _check_running(subscription)
    if row.cancels_at_end:
        raise EndsAlready
    if row.invoice_url or row.status == "past_due":
        raise UnpaidInvoice(row.invoice_url)
    return row


def _find_agreed(subscription: Subscription, key: str | None) -> SubscriptionPrice | None:
    """Return the price that the same form has agreed to before."""
    return subscription.prices.filter(form_key=key).first() if key else None


def _agree(row: Subscription, plan: Plan, amount: int, key: str | None) -> SubscriptionPrice:
    """Write the price that the buyer agrees to. A double click finds the first one's row."""
    with atomic():
        User.objects.locked(row.user_id)
        if price := _find_agreed(row, key):
            return price
        return row.prices.create(
            number=_count_change(row),
            plan=plan,
            credits=plan.monthly_credits,
            amount=amount,
            form_key=key,
        )


def _count_change(row: Subscription) -> int:
    """Return the number of the next change, which is part of its idempotency key."""
    Subscription.objects.filter(pk=row.pk).update(changes=F("changes") + 1)
    row.refresh_from_db(fields=["changes"])
    return row.changes


def _change(price: SubscriptionPrice, parameters: "SubscriptionUpdateParams") -> Subscription:
    """Change the price of a subscription at Stripe; the same price again changes it once."""
    row = price.subscription
    try:
        price = prices.make_at_stripe(price)
    except StripeRefused as refusal:
        raise _refuse(row, refusal) from None
    parameters["items"] = [{"id": row.stripe_item, "price": price.stripe_price}]
    return _update(row, parameters, key=f"subscription:{row.public_id}:{price.number}")


def _make_new_key(row: Subscription) -> str:
    """Return a key that was never used, for what does no harm if it is done twice.

    A number would be used again in a restored database, and Stripe would repeat its old answer
    without doing anything.
    """
    return f"subscription:{row.public_id}:{secrets.token_hex(8)}"


def _update(row: Subscription, parameters: "SubscriptionUpdateParams", *, key: str) -> Subscription:
    asked_at = timezone.now()
    try:
        answer = stripe.update(row.stripe_id, parameters, key=key)
    except StripeRefused as refusal:
        raise _refuse(row, refusal) from None
    return following.follow(row, answer, asked_at)


def _refuse(row: Subscription, refusal: StripeRefused) -> ChangeRefused:
    logger.error("a change of subscription %s is refused: %s", row.public_id, refusal)
    return ChangeRefused()
