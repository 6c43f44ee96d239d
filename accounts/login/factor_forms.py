"""The forms of second factors: codes of an app, recovery codes and passkeys."""

import logging
from typing import Any

from allauth.core import context as current
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.webauthn import forms as passkey_forms
from django import forms
from django.core.exceptions import ValidationError
from django.forms import Field
from django.utils.translation import gettext_lazy as _

from accounts.access.second_factors import MAX_NAME
from accounts.login.code_fields import build_digits_field
from accounts.login.forms import PlainLabelsMixin
from accounts.models import User
from accounts.toolbox.encryption import Unreadable
from accounts.toolbox.typed.names import NameField

MALFORMED_CREDENTIAL = (TypeError, ValueError, LookupError, AttributeError)
logger = logging.getLogger(__name__)


class NumericCodeMixin(PlainLabelsMixin):
    """Shows the numeric keyboard of a phone, which has the characters of both kinds of code."""

    takes_recovery_codes = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"] = build_digits_field(
            self.fields["code"], recovery=self.takes_recovery_codes
        )
        self.fields["code"].widget.attrs["inputmode"] = "numeric"


class RecoveryCodeFallbackMixin(NumericCodeMixin):
    user: User
    authenticator: Authenticator
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        """Check the code. If the app's secret cannot be decrypted, accept a recovery code."""
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


class AuthenticateForm(RecoveryCodeFallbackMixin, code_forms.AuthenticateForm):
    pass


class ReauthenticateCodeForm(RecoveryCodeFallbackMixin, code_forms.ReauthenticateForm):
    pass


class ActivateTOTPForm(NumericCodeMixin, totp_forms.ActivateTOTPForm):
    """Encrypts the new secret, which allauth keeps in the session until the code is entered."""

    takes_recovery_codes = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session, adapter = current.request.session, get_adapter()
        if current.request.method == "POST" and (encrypted := session.get(SECRET_SESSION_KEY)):
            session[SECRET_SESSION_KEY] = adapter.decrypt(encrypted)
        super().__init__(*args, **kwargs)
        session[SECRET_SESSION_KEY] = adapter.encrypt(self.secret)
        self.fields["code"].label = _("Code from the app")


class MalformedCredentialMixin:
    """Refuses a malformed credential, on which the passkey library raises various exceptions.

    The credential is JSON from the browser, so it can have any shape.
    """

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except MALFORMED_CREDENTIAL as error:
            raise get_adapter().validation_error("incorrect_code") from error


class LogInPasskeyForm(MalformedCredentialMixin, passkey_forms.LoginWebAuthnForm):
    pass


class AuthenticatePasskeyForm(MalformedCredentialMixin, passkey_forms.AuthenticateWebAuthnForm):
    pass


class ReauthenticatePasskeyForm(MalformedCredentialMixin, passkey_forms.ReauthenticateWebAuthnForm):
    pass


class OptionalNameField(NameField):
    """Takes no name for one that is refused, so that the passkey is named after its browser.

    The device has stored the passkey already when the form is sent, so the form must not fail.
    """

    def to_python(self, value: Any) -> str:
        try:
            return super().to_python(value)
        except ValidationError:
            return ""


class PasskeyNameMixin:
    name_field: type[NameField] = NameField
    fields: dict[str, Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = self.name_field(label=_("Name"), max_length=MAX_NAME, required=False)


class AddPasskeyForm(PasskeyNameMixin, passkey_forms.AddWebAuthnForm):
    name_field = OptionalNameField

    def clean(self) -> Any:
        try:
            return super().clean()
        except MALFORMED_CREDENTIAL as error:
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


class EditPasskeyForm(PasskeyNameMixin, passkey_forms.EditWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
