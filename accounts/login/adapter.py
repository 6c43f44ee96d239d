"""The account adapter, through which django-allauth calls this product."""

import ipaddress
import logging
from contextlib import suppress
from functools import partial
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY,
)
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.stagekit import clear_login
from allauth.core import context as current
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.core.mail import EmailMultiAlternatives
from django.db.transaction import atomic, on_commit
from django.http import HttpRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.access import end_of_access
from accounts.email_addresses import normalise_address
from accounts.languages import names_language
from accounts.login import password_guess_limits
from accounts.login.freshness import has_proved, read_last_proof
from accounts.mail_html import build_mail
from accounts.models import User
from accounts.operation import current as operation
from accounts.passwords import normalise_password
from accounts.toolbox import request_source
from accounts.toolbox.connections import give_back
from accounts.toolbox.request_source import Source
from accounts.toolbox.return_addresses import recall_address, resolve_address

NO_ADDRESS = "0.0.0.0"  # noqa: S104 – used for all unknown addresses, so limits count them as one
PROVED = "proved_for"  # session key, set between the first and the last step of log-in
CHANGED = _("This account has just been changed. Log in and try again.")
logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    # This text is also shown after too many wrong codes at sign-up, which end on the log-in page.
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
        """Return the stored form, because different spellings of an address are one mailbox.

        An address that is refused today is accepted if an account has it from earlier.
        """
        known = User.objects.find(str(super().clean_email(email)))
        return known.email if known else normalise_address(email)

    def clean_password(self, password: str, user: Any = None) -> str:
        """Validate the form of a password that will be stored. Raises ValidationError."""
        super().clean_password(normalise_password(password), user)
        return password

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether new people may sign up. If not, allauth shows a page that says so."""
        return operation.is_sign_up_open()

    def populate_username(self, request: Any, user: Any) -> None:
        """Do nothing: users have no user names."""

    def save_user(self, request: Any, user: User, form: Any, commit: bool = True) -> User:  # noqa: FBT001, FBT002
        """Save a new user.

        Raises IntegrityError if the address was taken by another sign-up in the meantime.
        """
        super().save_user(request, user, form, commit=False)
        if names_language(request):
            user.language = translation.get_language() or ""
        if commit:
            with atomic():
                user.save()
        return user

    # --- Limits ---------------------------------------------------------------------------

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that our outermost proxy saw, an IPv4-mapped one as IPv4.

        allauth's limits count the /64 of an IPv6 address.
        """
        address = request_source.read_address(request)
        mapped = ipaddress.IPv6Address(address).ipv4_mapped if ":" in address else None
        return str(mapped or address or NO_ADDRESS)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return the cache key of a limit per account *and* network.

        allauth's own key is per account, so strangers could lock the owner out.
        """
        return password_guess_limits.build_limit_key(
            credentials.get("email", ""), self.get_client_ip(request)
        )

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count this log-in attempt. Raises ValidationError after too many wrong passwords."""
        super().pre_authenticate(request, **credentials)
        try:
            self._counted = password_guess_limits.count_guess(
                request, credentials.get("email", ""), self.get_client_ip(request)
            )
        except password_guess_limits.TooManyGuesses:
            raise self.validation_error("too_many_login_attempts") from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Return the user, or None for a wrong password. Only wrong passwords stay counted."""
        user = super().authenticate(request, **credentials)
        for usage in self._counted if user else []:
            usage.rollback()
        return user

    # --- Where to go next -----------------------------------------------------------------

    def is_safe_url(self, url: str) -> bool:
        """Return whether `next` stays on this site. allauth would allow every ALLOWED_HOST."""
        return resolve_address(url) is not None

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return where to go after log-in without a `next`: where the browser was going before."""
        return recall_address(request) or str(super().get_login_redirect_url(request))

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        return recall_address(request) or str(super().get_signup_redirect_url(request))

    # --- Log-in in steps ------------------------------------------------------------------

    def pre_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> Any:
        """Remember the password for which the first step succeeded; `login` compares it."""
        request.session[PROVED] = user.get_session_auth_hash()
        return super().pre_login(request, user, **kwargs)

    def login(self, request: HttpRequest, user: Any) -> None:
        """Log in after the last step.

        Raises ImmediateHttpResponse if the account or its password has changed since the first
        step.
        """
        if request.session.pop(PROVED, None) != user.get_session_auth_hash() or not user.is_active:
            clear_login(request)
            messages.error(request, CHANGED)
            raise ImmediateHttpResponse(redirect("account_login"))
        # A sign-up that waits for its code in this browser is over, or would confirm an address of
        # another user.
        request.session.pop(EMAIL_VERIFICATION_CODE_SESSION_KEY, None)
        super().login(request, user)
        if read_last_proof(request, user) is None:  # a sign-up, which chose its password just now
            record_authentication(request, user, "code")

    def is_reauthentication_required(self, *, app: str = "", **kwargs: Any) -> bool:
        """Return whether to ask for the password again. A recent log-in counts as an answer."""
        request, seconds = current.request, settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return bool(super().is_reauthentication_required(app=app, **kwargs)) and not has_proved(
            request, request.user, seconds=seconds
        )

    # --- Changes in one transaction -------------------------------------------------------

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """Confirm the address and grant the bonus together: if one fails, the code stays valid."""
        with atomic():
            return bool(super().confirm_email(request, email_address))

    def set_password(self, user: User, password: str) -> None:
        """Set the password and end device access granted under the old one in one transaction.

        Raises ImmediateHttpResponse if the account has changed in the meantime.
        """
        before = user.password
        user.set_password(password)  # slow, so it runs before the row is locked
        with atomic():
            _require_same(user, password=before)
            user.save(update_fields=["password"])
            end_of_access.end(user, source=Source.from_request(current.request))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account_security")

    # --- Mail -----------------------------------------------------------------------------

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the reset link at PUBLIC_ORIGIN.

        It is a secret, so it must not point to a host that a forged Host header names.
        """
        path: str = reverse(
            "account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"}
        )
        return f"{settings.PUBLIC_ORIGIN}{path.replace('UID-KEY', key)}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail now, because the next step needs its code or link.

        Raises ImmediateHttpResponse with status 503 if the mail server does not accept it.
        """
        device = request_source.describe_user_agent(request_source.read_user_agent(current.request))
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

    def render_mail(self, *args: Any, **kwargs: Any) -> EmailMultiAlternatives:
        """Return the mail with an HTML part."""
        return build_mail(super().render_mail(*args, **kwargs))

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Send the mail after the transaction has committed."""
        on_commit(partial(self._notify, *args, **kwargs))

    def _notify(self, *args: Any, **kwargs: Any) -> None:
        # send_mail logs the error. The change is committed, so the request must not fail.
        with suppress(ImmediateHttpResponse):
            super().send_notification_mail(*args, **kwargs)


def _require_same(user: User, *, password: str) -> None:
    """Lock the user's row until the transaction ends.

    Raises ImmediateHttpResponse if the user was deactivated or the stored hash is not `password`.
    """
    row = User.objects.locked(user.pk)
    if not row.is_active or row.password != password:
        messages.error(current.request, CHANGED)
        raise ImmediateHttpResponse(redirect("account_login"))
