"""The forms of log-in and sign-up, said in our words."""

from typing import Any

from allauth.account import forms as allauth_forms
from django.forms import Field
from django.utils.translation import gettext_lazy as _


class PlainWords:
    """Labels instead of placeholders, which vanish while one types; rules in one sentence."""

    fields: dict[str, Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            if name in {"email", "login"}:
                field.label = _("E-mail address")
        if new_password := self.fields.get("password1"):
            new_password.help_text = _("At least 8 characters, and not one that is easy to guess.")


class LoginForm(PlainWords, allauth_forms.LoginForm):
    pass


class SignupForm(PlainWords, allauth_forms.SignupForm):
    pass


class ResetPasswordForm(PlainWords, allauth_forms.ResetPasswordForm):
    pass


class ResetPasswordKeyForm(PlainWords, allauth_forms.ResetPasswordKeyForm):
    pass


class ChangePasswordForm(PlainWords, allauth_forms.ChangePasswordForm):
    pass


class SetPasswordForm(PlainWords, allauth_forms.SetPasswordForm):
    pass


class AddEmailForm(PlainWords, allauth_forms.AddEmailForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("New e-mail address")


class ReauthenticateForm(PlainWords, allauth_forms.ReauthenticateForm):
    pass
