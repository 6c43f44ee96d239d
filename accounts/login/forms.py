"""The forms of log-in and sign-up, said in our words."""

import logging
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.internal.flows.email_verification import consume_email_verification_rate_limit
from allauth.core import context as current
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.webauthn import forms as passkey_forms
from django import forms
from django.db import IntegrityError
from django.forms import Field
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.access.second_factors import MAX_NAME
from accounts.email_addresses import looked_for, written
from accounts.login import password_guess_limits
from accounts.models import User
from accounts.toolbox.encryption import Unreadable

ODD_SHAPES = (TypeError, ValueError, LookupError, AttributeError)
logger = logging.getLogger(__name__)


LABELS = {
    "email": _("Email address"),
    "login": _("Email address"),
    "oldpassword": _("Current password"),
    "password2": _("Confirm the new password"),
}


class PlainWords:
    """Labels instead of placeholders, which vanish while one types; rules in one sentence."""

    fields: dict[str, Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)
        if new_password := self.fields.get("password1"):
            new_password.help_text = _(
                "Use at least 8 characters. Avoid passwords that are easy to guess."
            )
            if "password2" in self.fields:
                new_password.label = _("New password")


class LoginForm(PlainWords, allauth_forms.LoginForm):
    def clean_login(self) -> str:
        return looked_for(self.cleaned_data["login"])


class SignupForm(PlainWords, allauth_forms.SignupForm):
    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> Any:
        """Raises an answer of 429 where the address has had too many mails: nobody could verify it now."""
        if not consume_email_verification_rate_limit(
            request, self.cleaned_data["email"], dry_run=True
        ):
            raise ImmediateHttpResponse(respond_429(request))
        if self.account_already_exists:
            # Takes as long as hashing a new account's password: the time must not tell who has one.
            User().set_password(self.cleaned_data["password1"])
        try:
            return super().try_save(request)
        except IntegrityError:  # of two sign-ups at once this is the second
            self.account_already_exists = True
            return super().try_save(request)


class ResetPasswordForm(PlainWords, allauth_forms.ResetPasswordForm):
    def clean_email(self) -> str:
        return written(super().clean_email())

    def save(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Send the mail. Raises an answer of 429 where there were too many."""
        try:
            password_guess_limits.count_reset(
                request, self.cleaned_data["email"], get_account_adapter().get_client_ip(request)
            )
        except password_guess_limits.TooManyGuesses:
            raise ImmediateHttpResponse(respond_429(request)) from None
        return super().save(request, **kwargs)


class ResetPasswordKeyForm(PlainWords, allauth_forms.ResetPasswordKeyForm):
    pass


class ChangePasswordForm(PlainWords, allauth_forms.ChangePasswordForm):
    pass


class SetPasswordForm(PlainWords, allauth_forms.SetPasswordForm):
    pass


class AddEmailForm(PlainWords, allauth_forms.AddEmailForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("New email address")


class ReauthenticateForm(PlainWords, allauth_forms.ReauthenticateForm):
    pass


class EmailCodeForm(PlainWords, allauth_forms.ConfirmEmailVerificationCodeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = _("Code from our email")


class FactorCode(PlainWords):
    """Of a six-digit code; the keyboard of a phone also has the digits of a recovery code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["inputmode"] = "numeric"


class ReadableCode(FactorCode):
    user: User
    authenticator: Authenticator
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        """Where the app's secret cannot be read any more, recovery codes still work."""
        try:
            return str(super().clean_code())  # type: ignore[misc]
        except Unreadable:
            logger.exception("second factor of user %s", self.user.pk)
        return self._recovery_code(self.cleaned_data["code"])

    def _recovery_code(self, code: str) -> str:
        rows = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.RECOVERY_CODES)
        for row in rows:
            if row.wrap().validate_code(code):
                row.user, self.authenticator = self.user, row
                return code
        raise get_adapter().validation_error("incorrect_code")


class AuthenticateForm(ReadableCode, code_forms.AuthenticateForm):
    pass


class ReauthenticateCodeForm(ReadableCode, code_forms.ReauthenticateForm):
    pass


class ActivateTOTPForm(FactorCode, totp_forms.ActivateTOTPForm):
    """Between the page and its answer allauth keeps the secret in the session, which is a row: here encrypted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session, adapter = current.request.session, get_adapter()
        if current.request.method == "POST" and (kept := session.get(SECRET_SESSION_KEY)):
            session[SECRET_SESSION_KEY] = adapter.decrypt(kept)
        super().__init__(*args, **kwargs)
        session[SECRET_SESSION_KEY] = adapter.encrypt(self.secret)
        self.fields["code"].label = _("Code from the app")


class SoundCredential:
    """What a browser sent as a passkey's answer is JSON of any shape; the library fails in as many ways on it."""

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except ODD_SHAPES as error:
            raise get_adapter().validation_error("incorrect_code") from error


class LogInPasskeyForm(SoundCredential, passkey_forms.LoginWebAuthnForm):
    pass


class AuthenticatePasskeyForm(SoundCredential, passkey_forms.AuthenticateWebAuthnForm):
    pass


class ReauthenticatePasskeyForm(SoundCredential, passkey_forms.ReauthenticateWebAuthnForm):
    pass


class PasskeyName:
    fields: dict[str, Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = forms.CharField(label=_("Name"), max_length=MAX_NAME, required=False)


class AddPasskeyForm(PasskeyName, passkey_forms.AddWebAuthnForm):
    def clean(self) -> Any:
        try:
            return super().clean()
        except ODD_SHAPES as error:
            raise get_adapter().validation_error("incorrect_code") from error

    passwordless = forms.BooleanField(
        label=_("Log in with this passkey alone, without a password"),
        help_text=_(
            "If you leave this off, you use the passkey after your password. Older security "
            "keys only work that way."
        ),
        required=False,
        initial=True,
    )


class EditPasskeyForm(PasskeyName, passkey_forms.EditWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True


class CloseForm(forms.Form):
    """Typing one's own address is not done by accident, and is the same in every language."""

    email = forms.CharField(
        label=_("Enter your email address to confirm"),
        widget=forms.EmailInput({"autocomplete": "off"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        typed = looked_for(self.cleaned_data["email"])
        if typed != self.user.email:
            raise forms.ValidationError(_("This is not the email address of this account."))
        return typed
