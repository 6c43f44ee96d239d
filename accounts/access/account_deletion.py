"""Account deletion: all access ends and personal data is erased.

The user's row and the ledger's rows stay, without anything that identifies the person
(docs/decisions/0012-one-bonus-per-address.md).
"""

from collections.abc import Callable
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import api_keys, browsers, end_of_access, events
from accounts.models import AccountAlert, ApiKey, AuthEvent, OutgoingMail, User
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source
from accounts.webhooks import endpoints

DELETED_DOMAIN = "deleted.invalid"  # RFC 2606 §2: mail cannot be sent there

Forgetter = Callable[[User], None]
_forgetters: list[Forgetter] = []


class LastSuperuser(Refusal):
    """Without this user nobody could administer the site."""

    status = 409
    code = "last_superuser"


def register_forgetter(forgetter: Forgetter) -> Forgetter:
    """Register `forgetter(user)`, which erases the personal data that an application above keeps.

    Registering the same function twice has no further effect.
    """
    if forgetter not in _forgetters:
        _forgetters.append(forgetter)
    return forgetter


def close(*, user: User, source: Source) -> None:
    """End all access of a user and erase their personal data.

    Remaining credits stay in the ledger and cannot be spent. Open holds are still captured or
    released. Closing a closed account has no effect. Raises LastSuperuser.
    """
    with atomic():
        _refuse_last_superuser(user)
        if User.objects.locked(user.pk).closed_at is not None:
            return
        user.refresh_from_db()
        end_of_access.end(user, source=source)
        api_keys.revoke_all(user, source)
        browsers.end(user=user, browsers=browsers.list_known(user), source=source)
        _forget(user)
        for forget in _forgetters:
            forget(user)
        events.record(AuthEvent.Kind.CLOSED, user=user, source=Source())


def close_unverified() -> int:
    """Close accounts whose address was never verified, so that the address can sign up again.

    An account is due UNVERIFIED_KEEP_SECONDS after sign-up if nobody has logged in to it. Returns
    the number closed. The rows stay, because the site's database role may not delete users
    (docs/roles.md).
    """
    before = timezone.now() - timedelta(seconds=settings.UNVERIFIED_KEEP_SECONDS)
    never_entered = User.objects.filter(
        closed_at=None, last_login=None, date_joined__lt=before, is_staff=False
    )
    unverified = never_entered.filter(emailaddress__verified=False).exclude(
        emailaddress__verified=True
    )
    return sum(_close_unverified(user) for user in unverified.distinct())


def _close_unverified(user: User) -> bool:
    """Close one account unless its address has been verified in the meantime."""
    with atomic():
        addresses = EmailAddress.objects.select_for_update().filter(user=user)
        if any(address.verified for address in addresses):
            return False
        close(user=user, source=Source())
    return True


def _refuse_last_superuser(user: User) -> None:
    if is_last_superuser(user):
        raise LastSuperuser(
            _("You are the only administrator. Give this role to someone else first.")
        )


def is_last_superuser(user: User) -> bool:
    """Return whether this user is the only active superuser.

    Locks the rows of all superusers, so that the last two cannot leave at the same time.
    """
    superusers = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    return {each.pk for each in superusers.select_for_update(no_key=True)} == {user.pk}


def _forget_events(user: User) -> None:
    """Erase details of the user's events, and of the code requests of devices that they approved.

    A device requests its code before the user is known, so that event names no user.
    """
    own_events = AuthEvent.objects.filter(user=user)
    codes = own_events.filter(kind=AuthEvent.Kind.CODE_APPROVED).values_list(
        "details__code", flat=True
    )
    AuthEvent.objects.filter(user=None, details__code__in=list(codes)).update(
        address="", user_agent="", details={}
    )
    own_events.update(address="", user_agent="", details={})


def _forget(user: User) -> None:
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    ApiKey.objects.filter(user=user).update(name="")
    OutgoingMail.objects.filter(to=user.email).delete()
    # In the order in which alerts are sent, which writes messages to the endpoints.
    AccountAlert.objects.filter(user=user).delete()
    endpoints.remove_all(user)
    _forget_events(user)
    user.groups.clear()
    user.user_permissions.clear()
    user.email = f"deleted-{user.public_id.lower()}@{DELETED_DOMAIN}"
    user.name = user.language = user.time_zone = user.currency = user.theme = ""
    user.closed_at = timezone.now()
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save(
        update_fields=[
            "email",
            "name",
            "language",
            "time_zone",
            "currency",
            "theme",
            "closed_at",
            "is_active",
            "is_staff",
            "is_superuser",
            "password",
        ]
    )
