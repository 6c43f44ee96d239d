"""The forms of sign-up, log-in, passwords, email addresses and account deletion."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.internal.flows.email_verification import consume_email_verification_rate_limit
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from django import forms
from django.db import IntegrityError
from django.forms import Field
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import AddressField, KnownAddressField
from accounts.login import password_guess_limits
from accounts.login.code_fields import MALFORMED, build_letters_field
from accounts.models import User

LABELS = {
    "email": _("Email address"),
    "login": _("Email address"),
    "oldpassword": _("Current password"),
    "password2": _("Confirm the new password"),
}


class PlainLabelsMixin:
    """Gives fields labels instead of placeholders, which vanish while the user types."""

    fields: dict[str, Field]
    address_field: type[AddressField] = AddressField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in list(self.fields.items()):
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)
            if isinstance(field, forms.EmailField):
                self.fields[name] = self.address_field(widget=field.widget, label=field.label)
        if new_password := self.fields.get("password1"):
            new_password.help_text = _(
                "Use at least 8 characters. Avoid passwords that are easy to guess."
            )
            if "password2" in self.fields:
                new_password.label = _("New password")


class LoginForm(PlainLabelsMixin, allauth_forms.LoginForm):
    address_field = KnownAddressField


class SignupForm(PlainLabelsMixin, allauth_forms.SignupForm):
    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> Any:
        """Save the sign-up.

        Raises ImmediateHttpResponse with status 429 if too many mails were sent to the address,
        because it could not be verified now.
        """
        if not consume_email_verification_rate_limit(
            request, self.cleaned_data["email"], dry_run=True
        ):
            raise ImmediateHttpResponse(respond_429(request))
        if self.account_already_exists:
            # Hash a password here too, so that the response time does not reveal existing accounts.
            user = User(email=self.cleaned_data["email"])
            user.set_password(self.cleaned_data["password1"])
        try:
            return super().try_save(request)
        except IntegrityError:  # another sign-up at the same time was faster
            self.account_already_exists = True
            return super().try_save(request)


class ResetPasswordForm(PlainLabelsMixin, allauth_forms.ResetPasswordForm):
    address_field = KnownAddressField

    def save(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Send the mail. Raises ImmediateHttpResponse with status 429 if too many were sent."""
        try:
            password_guess_limits.count_reset(
                request, self.cleaned_data["email"], get_account_adapter().get_client_ip(request)
            )
        except password_guess_limits.TooManyGuesses:
            raise ImmediateHttpResponse(respond_429(request)) from None
        return super().save(request, **kwargs)


class ResetPasswordKeyForm(PlainLabelsMixin, allauth_forms.ResetPasswordKeyForm):
    pass


class ChangePasswordForm(PlainLabelsMixin, allauth_forms.ChangePasswordForm):
    pass


class SetPasswordForm(PlainLabelsMixin, allauth_forms.SetPasswordForm):
    pass


class AddEmailForm(PlainLabelsMixin, allauth_forms.AddEmailForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("New email address")


class ReauthenticateForm(PlainLabelsMixin, allauth_forms.ReauthenticateForm):
    pass


class EmailCodeForm(PlainLabelsMixin, allauth_forms.ConfirmEmailVerificationCodeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"] = build_letters_field(self.fields["code"])
        self.fields["code"].label = _("Code from our email")

    @property
    def is_malformed(self) -> bool:
        """Whether nothing was compared, because the text cannot be a code."""
        return bool(self.has_error("code", MALFORMED))


class CloseForm(forms.Form):
    """Confirms the deletion of an account. The user types their address, not a translated word."""

    email = KnownAddressField(
        label=_("Enter your email address to confirm"),
        widget=forms.EmailInput({"autocomplete": "off"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        typed = str(self.cleaned_data["email"])
        if typed != self.user.email:
            raise forms.ValidationError(_("This is not the email address of this account."))
        return typed
