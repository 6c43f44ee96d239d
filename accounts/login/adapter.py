"""What django-allauth asks of this product."""

import ipaddress
import logging
from contextlib import suppress
from functools import partial
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.stagekit import clear_login
from allauth.core import context as current
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.db.transaction import atomic, on_commit
from django.http import HttpRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.access import end_of_access
from accounts.email_addresses import written
from accounts.login import password_guess_limits
from accounts.models import User
from accounts.toolbox import request_source
from accounts.toolbox.connections import give_back
from accounts.toolbox.request_source import Source

NO_ADDRESS = "0.0.0.0"  # noqa: S104 – stands for an unknown one, which limits count as one caller
PROVED = "proved_for"  # in the session of somebody who is not logged in yet
CHANGED = _("This account has just been changed. Log in and try again.")
logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    # Also said to who entered wrong codes at sign-up, which ends on the log-in page.
    error_messages = DefaultAccountAdapter.error_messages | {
        "account_inactive": _("This account is switched off."),
        "duplicate_email": _("This is already the email address of your account."),
        "email_password_mismatch": _("The email address or the password is not correct."),
        "email_taken": _("Another account uses this email address."),
        "enter_current_password": _("The current password is not correct."),
        "incorrect_password": _("The password is not correct."),
        "rate_limited": _("Too many requests. Wait a moment, then try again."),
        "too_many_login_attempts": _(
            "Too many attempts. Wait a few minutes, then try again. If you need a code by "
            "email, log in to get a new one."
        ),
    }

    def clean_email(self, email: str) -> str:
        """Addresses are one person's however they are written, so they are kept in one way."""
        return written(str(super().clean_email(email)))

    def populate_username(self, request: Any, user: Any) -> None:
        """There are no user names."""

    def save_user(self, request: Any, user: User, form: Any, commit: bool = True) -> User:  # noqa: FBT001, FBT002
        """Raises IntegrityError where somebody else has signed up with this address while its password was hashed."""
        super().save_user(request, user, form, commit=False)
        if commit:
            with atomic():
                user.save()
        return user

    # --- Limits ---------------------------------------------------------------------------

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that our outermost proxy saw; allauth's limits count the /64 of an IPv6 one."""
        address = request_source.address(request)
        mapped = ipaddress.IPv6Address(address).ipv4_mapped if ":" in address else None
        return str(mapped or address or NO_ADDRESS)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Of a limit per account *and* address. allauth's own counts the account, whoever tries."""
        return password_guess_limits.key(credentials.get("email", ""), self.get_client_ip(request))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raises a ValidationError where there were too many wrong passwords."""
        super().pre_authenticate(request, **credentials)
        try:
            self._counted = password_guess_limits.count(
                request, credentials.get("email", ""), self.get_client_ip(request)
            )
        except password_guess_limits.TooManyGuesses:
            raise self.validation_error("too_many_login_attempts") from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The user, or None for a wrong password, which alone stays counted."""
        user = super().authenticate(request, **credentials)
        for usage in self._counted if user else []:
            usage.rollback()
        return user

    # --- Log-in in steps ------------------------------------------------------------------

    def pre_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> Any:
        """What the first step proved holds for this password only."""
        request.session[PROVED] = user.get_session_auth_hash()
        return super().pre_login(request, user, **kwargs)

    def login(self, request: HttpRequest, user: Any) -> None:
        """After the last step. Raises an answer where the account or its password changed since the first."""
        if request.session.pop(PROVED, None) != user.get_session_auth_hash() or not user.is_active:
            clear_login(request)
            messages.error(request, CHANGED)
            raise ImmediateHttpResponse(redirect("account_login"))
        super().login(request, user)

    # --- Acts whose parts are one ----------------------------------------------------------

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """With what follows from it, such as the bonus: where that fails, the code still works."""
        with atomic():
            return bool(super().confirm_email(request, email_address))

    def set_password(self, user: User, password: str) -> None:
        """With the end of all access that is no browser. Raises an answer where the account changed meanwhile."""
        before = user.password
        user.set_password(password)  # takes its time, in which no other request waits for the row
        with atomic():
            _require_same(user, password=before)
            user.save(update_fields=["password"])
            end_of_access.end(user, source=Source.of(current.request))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account_security")

    # --- Mail -----------------------------------------------------------------------------

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At the configured origin: a Host header must not lead the link, which is a secret, elsewhere."""
        path: str = reverse(
            "account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"}
        )
        return f"{settings.PUBLIC_ORIGIN}{path.replace('UID-KEY', key)}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Raises an answer of 503 where the mail server takes none: without the mail the next step is impossible."""
        device = request_source.describe(request_source.user_agent(current.request))
        give_back()
        try:
            super().send_mail(
                template_prefix,
                email,
                {"origin": settings.PUBLIC_ORIGIN, "device": device, **context},
            )
        except (SMTPException, OSError):
            logger.exception("not sent: %s", template_prefix)
            raise ImmediateHttpResponse(
                render(current.request, "accounts/no_mail.html", status=503)
            ) from None

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Once the change is committed."""
        on_commit(partial(self._notify, *args, **kwargs))

    def _notify(self, *args: Any, **kwargs: Any) -> None:
        with suppress(
            ImmediateHttpResponse
        ):  # logged; what has happened is not undone for want of a mail
            super().send_notification_mail(*args, **kwargs)


def _require_same(user: User, *, password: str) -> None:
    """Lock the row; raises an answer if it was deactivated, or if its password is not this hash any more."""
    row = User.objects.locked(user.pk)
    if not row.is_active or row.password != password:
        messages.error(current.request, CHANGED)
        raise ImmediateHttpResponse(redirect("account_login"))
