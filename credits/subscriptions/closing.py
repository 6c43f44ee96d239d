"""Notes that Stripe has to forget a closed account: its subscriptions end, its cards are detached.

The account is closed in one transaction, in which Stripe is not asked. So a note is written there,
and `sync_subscriptions` does the rest. Until it is done, `manage.py status` names it as a problem.
"""

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from credits.models import Customer, Refill, Subscription


def ask_to_forget(user: User) -> None:
    """Note that Stripe has to forget a user, in the transaction that closes the account.

    Nothing is noted about a user of whom Stripe was never told.
    """
    Refill.objects.filter(user=user).update(enabled_at=None, card="", payment_method="")
    if Subscription.objects.filter(user=user).exists():
        Customer.objects.get_or_create(user=user)
    Customer.objects.filter(user=user, forget_since=None).update(forget_since=timezone.now())


def list_waiting() -> QuerySet[Customer]:
    """Return the customers whom Stripe has to forget, those who wait longest first."""
    return Customer.objects.filter(forget_since__isnull=False).order_by("forget_since", "pk")
