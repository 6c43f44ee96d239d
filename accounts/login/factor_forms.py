"""The forms of second factors: codes of an app, recovery codes and passkeys."""

import logging
from typing import Any

from allauth.core import context as current
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.internal.flows.add import validate_can_add_authenticator
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.webauthn import forms as passkey_forms
from django import forms
from django.core.exceptions import ValidationError
from django.forms import Field
from django.utils.translation import gettext_lazy as _

from accounts.access import app_codes
from accounts.access.second_factors import MAX_NAME
from accounts.login import pending_app
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


class CodesWorkOnceMixin(NumericCodeMixin):
    """Checks a code of the app (accounts/access/app_codes.py), else a recovery code.

    If the app's secret cannot be decrypted, recovery codes still work.
    """

    user: User
    authenticator: Authenticator
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        clear_tries = check_rate_limit(self.user)
        code = app_codes.normalise_code(self.cleaned_data["code"])
        kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
        factors = Authenticator.objects.filter(user=self.user, type__in=kinds).order_by("-type")
        for factor in factors:  # "totp" comes first
            if self._accepts(factor, code):
                factor.user, self.authenticator = self.user, factor
                clear_tries()
                return code
        if factors:
            self._emit_authentication_failed(factors[0])  # type: ignore[attr-defined]
        raise get_adapter().validation_error("incorrect_code")

    def _accepts(self, factor: Authenticator, code: str) -> bool:
        if factor.type == Authenticator.Type.RECOVERY_CODES:
            return bool(factor.wrap().validate_code(code))
        try:
            return app_codes.use_code(factor, code)
        except Unreadable:
            logger.exception("second factor of user %s", self.user.pk)
        except app_codes.CodeUsed:
            self._emit_authentication_failed(factor)  # type: ignore[attr-defined]
            raise get_adapter().validation_error("code_used") from None
        return False


class AuthenticateForm(CodesWorkOnceMixin, code_forms.AuthenticateForm):
    pass


class ReauthenticateCodeForm(CodesWorkOnceMixin, code_forms.ReauthenticateForm):
    pass


class ActivateTOTPForm(NumericCodeMixin, totp_forms.ActivateTOTPForm):
    """Sets an app up, with the secret of accounts/login/pending_app.py.

    `step` is the time step of a right code.
    """

    step: int | None = None

    takes_recovery_codes = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current.request.session.pop(SECRET_SESSION_KEY)  # allauth's own, which is not encrypted
        pending = pending_app.read(current.request)
        self.is_late = pending is None
        self.secret = pending or pending_app.begin(current.request)
        self.fields["code"].label = _("Code from the app")

    def clean_code(self) -> str:
        validate_can_add_authenticator(self.user)
        if self.is_late:
            raise get_adapter().validation_error("picture_too_old")
        clear_tries = check_rate_limit(self.user, error_key="rate_limited")
        code = app_codes.normalise_code(self.cleaned_data["code"])
        self.step = app_codes.find_step(self.secret, code)
        if self.step is None:
            raise self._explain_wrong_code(code)
        clear_tries()
        return code

    def _explain_wrong_code(self, code: str) -> forms.ValidationError:
        """Return the error, which says so if only the clock of the app is wrong."""
        seconds = app_codes.measure_drift(self.secret, code)
        error = "clock_ahead" if (seconds or 0) > 0 else "clock_behind"
        refusal: forms.ValidationError = get_adapter().validation_error(
            "incorrect_code" if seconds is None else error
        )
        return refusal


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
