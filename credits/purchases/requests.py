"""Requests for a package where nothing can be paid online: the operator answers them."""

from django.utils import timezone

from accounts.models import User
from credits.models import Package, PackageRequest
from credits.purchases.refusals import NotOnSale


def ask(*, user: User, package: Package) -> PackageRequest:
    """Store that a user wants a package. While it is open, asking again changes nothing.

    Raises NotOnSale.
    """
    if not package.is_active:
        raise NotOnSale
    request, _ = PackageRequest.objects.get_or_create(user=user, package=package, answered_at=None)
    return request


def answer(request: PackageRequest, *, actor: User) -> bool:
    """Note that the operator has answered; False if somebody did before."""
    changed = PackageRequest.objects.filter(pk=request.pk, answered_at=None).update(
        answered_at=timezone.now(), answered_by=actor
    )
    return bool(changed)
