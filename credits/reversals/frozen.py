"""Buyers who may not buy: a payment of theirs is disputed, or was reported as fraud.

Their credits keep working. The caller of `freeze` and `thaw` holds the lock of the user's row.
"""

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from credits.models import Customer
from credits.purchases.refusals import ShopClosed


def freeze(user: User, because: str) -> None:
    """Stop buying and refills of this user. The operator reads `because`.

    The time and the reason of an earlier freeze stay.
    """
    Customer.objects.get_or_create(user=user)
    Customer.objects.filter(user=user, frozen_at=None).update(
        frozen_at=timezone.now(), frozen_because=because
    )


def thaw(user: User) -> bool:
    """Let this user buy again; False if that was allowed already."""
    frozen = Customer.objects.filter(user=user, frozen_at__isnull=False)
    return bool(frozen.update(frozen_at=None, frozen_because=""))


def is_frozen(user: User) -> bool:
    return Customer.objects.filter(user=user, frozen_at__isnull=False).exists()


def refuse_frozen(user: User) -> None:
    """Raise ShopClosed if the user is frozen."""
    if is_frozen(user):
        raise ShopClosed


def list_frozen() -> QuerySet[Customer]:
    """Return who is frozen, the longest first."""
    return Customer.objects.filter(frozen_at__isnull=False).order_by("frozen_at", "pk")
