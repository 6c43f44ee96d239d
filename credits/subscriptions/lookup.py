"""Finds the row of a subscription at Stripe, and makes a lost one again.

A database that was restored to yesterday does not know what began since. The metadata of the
subscription and of its prices are enough to write the rows again.
"""

from collections.abc import Callable, Mapping

from django.conf import settings
from django.db import IntegrityError
from django.db.transaction import atomic

from accounts.models import Plan, User
from credits.models import Customer, Subscription
from credits.purchases.facts import Object, as_object
from credits.stripe_api import checkout
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused
from credits.subscriptions import states
from credits.subscriptions.bills import read_time
from credits.subscriptions.prices import read_number

MOST_CHARACTERS = 40  # of the number of a subscription


def find_subscription(stripe_id: str) -> Subscription | None:
    """Return the row of a subscription at Stripe, None if it is not ours.

    Raises StripeAway and StripeRefused.
    """
    row = Subscription.objects.filter(stripe_id=stripe_id).first()
    if row is not None or not stripe_id:
        return row
    answer = _fetch(stripe.fetch, stripe_id)
    return find_or_make(answer) if answer else None


def find_or_make(answer: Object) -> Subscription | None:
    """Return the row of a subscription; make it if it is ours and was lost."""
    if row := Subscription.objects.filter(stripe_id=answer["id"]).first():
        return row
    metadata = dict(answer.get("metadata") or {})
    if not is_ours(metadata):
        return None
    row = Subscription.objects.filter(public_id=metadata["subscription"]).first()
    row = row or _make_again(answer, metadata)
    if row is not None:
        states.note_stripe_id(row, answer["id"])
        if row.stripe_id != answer["id"]:
            return None  # A copy of our metadata: the row has another subscription.
    return row


def is_ours(metadata: Mapping[str, str]) -> bool:
    """True for the metadata of a subscription that this site has begun."""
    return metadata.get("site") == settings.STRIPE_SITE and "subscription" in metadata


def _fetch(fetch: Callable[[str], Object], name: str) -> Object:
    """Return an object; {} if Stripe does not know it, or not in the mode of our key."""
    try:
        return fetch(name)
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
        return {}


def _make_again(answer: Object, metadata: dict[str, str]) -> Subscription | None:
    user = User.objects.filter(public_id=metadata.get("user", "")).first()
    plan = Plan.objects.filter(pk=metadata.get("plan", "")).first()
    credits, amount = (read_number(metadata.get(name, "")) for name in ("credits", "amount"))
    is_usable = len(metadata["subscription"]) <= MOST_CHARACTERS
    if user is None or plan is None or credits is None or amount is None or not is_usable:
        return None
    _note_customer(user, as_object(answer.get("customer")).get("id", ""))
    try:
        with atomic():
            return Subscription.objects.create(
                public_id=metadata["subscription"],
                user=user,
                plan=plan,
                credits=credits,
                currency=answer["currency"],
                amount=amount,
                livemode=answer["livemode"],
                created_at=read_time(answer["created"]),
            )
    except IntegrityError:
        return Subscription.objects.get(public_id=metadata["subscription"])


def _note_customer(user: User, customer: str) -> None:
    """Remember the customer, unless the user has another one since."""
    row, _ = Customer.objects.get_or_create(user=user)
    taken = Customer.objects.filter(stripe_customer=customer).exists()
    if customer and not taken:
        Customer.objects.filter(pk=row.pk, stripe_customer="").update(stripe_customer=customer)


def find_by_session(session: str) -> Subscription | None:
    """Return the row that a Checkout session begins, None if it is not ours.

    Raises StripeAway and StripeRefused.
    """
    if row := Subscription.objects.filter(checkout_session=session).first():
        return row
    answer = _fetch(checkout.fetch_session, session)
    metadata = dict(answer.get("metadata") or {})
    if not is_ours(metadata):
        return None
    stripe_id = as_object(answer.get("subscription")).get("id", "")
    if stripe_id:
        return find_subscription(stripe_id)
    row = Subscription.objects.filter(public_id=metadata["subscription"]).first()
    if row is not None:
        Subscription.objects.filter(pk=row.pk, checkout_session="").update(checkout_session=session)
        row.refresh_from_db()
    return row
