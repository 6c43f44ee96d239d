"""The consequences of what an administrator or a management command changes in a user's log-in.

Each verb ends access, records an event and sends a mail, as the change requires.
"""

from django.db.transaction import atomic

from accounts import mails
from accounts.access import browsers, end_of_access, events
from accounts.access.second_factors import FACTOR_NAMES
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source


def finish_password_change(user: User, *, source: Source) -> None:
    """After an administrator set a password: end all access granted under the old one, send a mail.

    Browser sessions end by themselves, because they contain a hash of the old password.
    """
    with atomic():
        end_of_access.end(user, source=source)
        events.record(AuthEvent.Kind.PASSWORD_CHANGED, user=user, source=source)
        mails.queue_mail(user, "accounts/email/new_password_by_us")


def finish_address_change(user: User, *, before: str, source: Source) -> None:
    """After an administrator changed the address: end access and send a mail to the old one."""
    with atomic():
        end_of_access.end(user, source=source)
        browsers.end(user=user, browsers=browsers.list_known(user), source=source)
        events.record(AuthEvent.Kind.EMAIL_CHANGED, user=user, source=source)
        mails.queue_mail(user, "accounts/email/new_address_by_us", to=before)


def finish_factor_removal(user: User, *, kind: str, source: Source) -> None:
    """After an administrator removed a second factor: record it and send a mail."""
    events.record(AuthEvent.Kind.FACTOR_REMOVED, user=user, source=source, factor=kind)
    mails.queue_mail(user, "accounts/email/factor_removed_by_us", factor=FACTOR_NAMES[kind])


def finish_deactivation(user: User, *, source: Source) -> None:
    """After an administrator deactivated a user: end all access but the API keys.

    API keys are refused while the user is inactive. After reactivation the user has to log in and
    connect every device again.
    """
    with atomic():
        User.objects.locked(user.pk)
        end_of_access.end(user, source=source)
        browsers.end(user=user, browsers=browsers.list_known(user), source=source)
        events.record(AuthEvent.Kind.DEACTIVATED, user=user, source=source)
