"""What an administrator, or the command line, does to somebody else's log-in."""

from django.db.transaction import atomic

from accounts import mails
from accounts.access import browsers, end_of_access, events
from accounts.access.second_factors import NAMES
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source


def password_was_set(user: User, *, source: Source) -> None:
    """All that was given access under the old password ends.

    Browsers end by themselves: their sessions carry a hash of the old password.
    """
    with atomic():
        end_of_access.end(user, source=source)
        events.record(AuthEvent.Kind.PASSWORD_CHANGED, user=user, source=source)
        mails.tell(user, "accounts/email/new_password_by_us")


def address_was_changed(user: User, *, before: str, source: Source) -> None:
    """Whoever reads the mail of the old address gets in no more, and is told there."""
    with atomic():
        end_of_access.end(user, source=source)
        browsers.end(user=user, browsers=browsers.every(user), source=source)
        events.record(AuthEvent.Kind.EMAIL_CHANGED, user=user, source=source)
        mails.tell(user, "accounts/email/new_address_by_us", to=before)


def factor_was_removed(user: User, *, kind: str, source: Source) -> None:
    """Somebody lost it; the next log-in does without."""
    events.record(AuthEvent.Kind.FACTOR_REMOVED, user=user, source=source, factor=kind)
    mails.tell(user, "accounts/email/factor_removed_by_us", factor=NAMES[kind])


def was_deactivated(user: User, *, source: Source) -> None:
    """Switched on again, the user logs in and connects every device anew; API keys open nothing meanwhile."""
    with atomic():
        User.objects.locked(user.pk)
        end_of_access.end(user, source=source)
        browsers.end(user=user, browsers=browsers.every(user), source=source)
        events.record(AuthEvent.Kind.DEACTIVATED, user=user, source=source)
