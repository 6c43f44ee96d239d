"""The end of an account for good. The ledger keeps its rows; nobody can be told from them any more."""

from collections.abc import Callable
from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import api_keys, browsers, end_of_access, events
from accounts.models import ApiKey, AuthEvent, OutgoingMail, User
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source

NOWHERE = "deleted.invalid"  # RFC 2606 §2: no mail can ever go there

Forgetter = Callable[[User], None]
_forgetters: list[Forgetter] = []


class LastSuperuser(Refusal):
    """Without this user nobody could administer the site."""

    status = 409
    code = "last_superuser"


def forgets_with(forgetter: Forgetter) -> Forgetter:
    """Have `forgetter(user)` erase what an app above keeps about the person. Again: once."""
    if forgetter not in _forgetters:
        _forgetters.append(forgetter)
    return forgetter


def close(*, user: User, source: Source) -> None:
    """Take every access away and forget the person. Credits that are left stay in the ledger and are lost.

    What is held is still captured or released. Again: nothing happens. Raises LastSuperuser.
    """
    with atomic():
        _refuse_last_superuser(user)
        if User.objects.locked(user.pk).closed_at is not None:
            return
        user.refresh_from_db()
        end_of_access.end(user, source=source)
        api_keys.revoke_all(user, source)
        browsers.end(user=user, browsers=browsers.every(user), source=source)
        _forget(user)
        for forget in _forgetters:
            forget(user)
        events.record(AuthEvent.Kind.CLOSED, user=user, source=Source())


def close_unverified() -> int:
    """Close what was signed up UNVERIFIED_KEEP_SECONDS ago and never entered, so that its address is free again.

    Returns how many. Such users are not deleted: the site's role may not (docs/roles.md).
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
    """Unless its address is being verified just now."""
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
    """Under the locks of all superusers, so that the last two do not leave together."""
    superusers = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    return {each.pk for each in superusers.select_for_update(no_key=True)} == {user.pk}


def _forget_events(user: User) -> None:
    """Also those of devices that asked for their code before anybody was known, which name no user."""
    theirs = AuthEvent.objects.filter(user=user)
    codes = theirs.filter(kind=AuthEvent.Kind.CODE_APPROVED).values_list("details__code", flat=True)
    AuthEvent.objects.filter(user=None, details__code__in=list(codes)).update(
        address="", user_agent="", details={}
    )
    theirs.update(address="", user_agent="", details={})


def _forget(user: User) -> None:
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    ApiKey.objects.filter(user=user).update(name="")
    OutgoingMail.objects.filter(to=user.email).delete()
    _forget_events(user)
    user.groups.clear()
    user.user_permissions.clear()
    user.email = f"deleted-{user.public_id.lower()}@{NOWHERE}"
    user.name = ""
    user.closed_at = timezone.now()
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save(
        update_fields=[
            "email",
            "name",
            "closed_at",
            "is_active",
            "is_staff",
            "is_superuser",
            "password",
        ]
    )
