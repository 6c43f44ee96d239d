"""Handlers of the signals of Django and allauth: they record access events of users."""

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
from accounts.languages import remember_language
from accounts.login import password_guess_limits
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source

Kind = AuthEvent.Kind


def connect_handlers() -> None:
    account.user_signed_up.connect(_record_sign_up)
    account.user_logged_in.connect(_record_log_in)
    auth.user_login_failed.connect(_record_wrong_password)
    auth.user_logged_out.connect(_record_log_out)
    account.password_changed.connect(_record_password_change)
    account.password_set.connect(_record_password_change)
    account.password_reset.connect(_record_password_reset)
    account.email_changed.connect(_record_email_change)
    mfa.authenticator_added.connect(_record_new_factor)
    mfa.authenticator_reset.connect(_record_new_factor)
    mfa.authenticator_removed.connect(_record_factor_removal)
    mfa.authenticator_used.connect(_record_recovery_code)
    mfa.authentication_failed.connect(_record_wrong_code)
    pre_save.connect(_replace_email_in_log, sender=LogEntry)


def _record(kind: Kind, request: HttpRequest, user: User, **details: str) -> None:
    events.record(kind, user=user, source=Source.from_request(request), **details)


def _record_sign_up(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.SIGNED_UP, request, user)


def _record_log_in(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.LOGGED_IN, request, user)
    remember_language(user, request)


def _record_wrong_password(
    credentials: dict[str, Any], request: HttpRequest | None = None, **signal: Any
) -> None:
    user = User.objects.find(str(credentials.get("email", "")))
    if user and request:
        _record(Kind.LOG_IN_FAILED, request, user)


def _record_wrong_code(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.LOG_IN_FAILED, request, user, factor=authenticator.type)


def _record_log_out(request: HttpRequest, user: User | None, **signal: Any) -> None:
    if user:
        _record(Kind.LOGGED_OUT, request, user)


def _record_password_change(request: HttpRequest, user: User, **signal: Any) -> None:
    _record(Kind.PASSWORD_CHANGED, request, user)


def _record_password_reset(request: HttpRequest, user: User, **signal: Any) -> None:
    password_guess_limits.clear_guesses(request, user)
    _record(Kind.PASSWORD_RESET, request, user)


def _record_email_change(
    request: HttpRequest, user: User, from_email_address: Any, **signal: Any
) -> None:
    if from_email_address:  # empty for the first address of a new account
        _record(Kind.EMAIL_CHANGED, request, user)


def _record_new_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.FACTOR_ADDED, request, user, factor=authenticator.type)


def _record_factor_removal(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    _record(Kind.FACTOR_REMOVED, request, user, factor=authenticator.type)


def _record_recovery_code(
    request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any
) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        _record(Kind.RECOVERY_CODE_USED, request, user)
        mails.queue_mail(
            user, "accounts/email/recovery_code_used", source=Source.from_request(request)
        )


def _replace_email_in_log(instance: LogEntry, **signal: Any) -> None:
    """Write a user's public id instead of their email address into the administrators' log.

    The log is kept for ever, so it must not hold personal data.
    """
    if instance.content_type_id == ContentType.objects.get_for_model(User).pk:
        ids = User.objects.filter(pk=instance.object_id).values_list("public_id", flat=True)
        instance.object_repr = next(iter(ids), instance.object_repr)
