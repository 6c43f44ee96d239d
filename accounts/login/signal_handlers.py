"""What happens to somebody's log-in, as allauth and Django signal it, written down for them."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth import signals as auth
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import pre_save
from django.http import HttpRequest

from accounts import mails
from accounts.access import events
from accounts.login import password_guess_limits
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source

Kind = AuthEvent.Kind


def connect() -> None:
    account.user_signed_up.connect(_signed_up)
    account.user_logged_in.connect(_logged_in)
    auth.user_login_failed.connect(_wrong_password)
    auth.user_logged_out.connect(_logged_out)
    account.password_changed.connect(_password_changed)
    account.password_set.connect(_password_changed)
    account.password_reset.connect(_password_reset)
    account.email_changed.connect(_email_changed)
    mfa.authenticator_added.connect(_factor_added)
    mfa.authenticator_reset.connect(_factor_added)
    mfa.authenticator_removed.connect(_factor_removed)
    mfa.authenticator_used.connect(_factor_used)
    mfa.authentication_failed.connect(_wrong_code)
    pre_save.connect(_name_no_person, sender=LogEntry)


def _record(kind: Kind, request: HttpRequest, user: User, **details: str) -> None:
    events.record(kind, user=user, source=Source.of(request), **details)


def _signed_up(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.SIGNED_UP, request, user)


def _logged_in(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.LOGGED_IN, request, user)


def _wrong_password(
    credentials: dict[str, Any], request: HttpRequest | None = None, **signal: Any
) -> None:
    user = User.objects.filter(email=str(credentials.get("email", "")).lower()).first()
    if user and request:
        _record(Kind.LOG_IN_FAILED, request, user)


def _wrong_code(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.LOG_IN_FAILED, request, user, factor=authenticator.type)


def _logged_out(request: HttpRequest, user: User | None, **signal: Any) -> None:
    if user:
        _record(Kind.LOGGED_OUT, request, user)


def _password_changed(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.PASSWORD_CHANGED, request, user)


def _password_reset(request: HttpRequest, user: User, **signal: Any) -> None:
    password_guess_limits.forget(request, user)
    _record(Kind.PASSWORD_RESET, request, user)


def _email_changed(
    request: HttpRequest, user: User, from_email_address: Any, **signal: Any
) -> None:
    if from_email_address:  # otherwise it is the one of the sign-up
        _record(Kind.EMAIL_CHANGED, request, user)


def _factor_added(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.FACTOR_ADDED, request, user, factor=authenticator.type)


def _factor_removed(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.FACTOR_REMOVED, request, user, factor=authenticator.type)


def _factor_used(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        _record(Kind.RECOVERY_CODE_USED, request, user)
        mails.tell(user, "accounts/email/recovery_code_used", source=Source.of(request))


def _name_no_person(instance: LogEntry, **signal: Any) -> None:
    """The administrators' log is kept for ever, so a user is in it without an address."""
    if instance.content_type_id == ContentType.objects.get_for_model(User).pk:
        ids = User.objects.filter(pk=instance.object_id).values_list("public_id", flat=True)
        instance.object_repr = next(iter(ids), instance.object_repr)
