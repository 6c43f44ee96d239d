"""The forms that create and change a user in the admin."""

from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.utils.translation import gettext as _
from unfold.forms import UserChangeForm, UserCreationForm

from accounts.access import account_deletion
from accounts.email_addresses import normalise_address
from accounts.models import LIMITS, User
from accounts.toolbox.credentials import checksum
from accounts.toolbox.typed.names import clean_name


class UniqueAddressMixin(forms.ModelForm[User]):
    """Normalises the email address and refuses one that another user has."""

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if not self.instance.pk or email != self.instance.email:
            email = normalise_address(email)
        taken = EmailAddress.objects.filter(email__iexact=email).exclude(user_id=self.instance.pk)
        if (
            taken.exists()
            or User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists()
        ):
            raise forms.ValidationError(_("Another user has this email address."))
        return email


class NewUserForm(UniqueAddressMixin, UserCreationForm):
    usable_password = None  # everybody logs in with a password

    class Meta:
        model = User
        fields = ("email",)


class UserForm(UniqueAddressMixin, UserChangeForm):
    """The form of a user's page.

    It refuses to save if another request has changed the user since the page was shown. `seen`
    holds the fingerprint of the user as shown.
    """

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = User
        fields = ("email",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["seen"] = self._now = compute_fingerprint(self.instance)

    def clean(self) -> dict[str, Any]:
        self._keep_last_superuser()
        if self.cleaned_data.get("seen") != self._now:
            raise forms.ValidationError(
                _("Someone else has just changed this user. Reload the page and try again.")
            )
        return dict(super().clean() or self.cleaned_data)

    def clean_name(self) -> str:
        return clean_name(str(self.cleaned_data["name"]))

    def _keep_last_superuser(self) -> None:
        remains_superuser = all(
            self.cleaned_data.get(flag, True) for flag in ("is_active", "is_superuser", "is_staff")
        )
        if not remains_superuser and account_deletion.is_last_superuser(self.instance):
            raise forms.ValidationError(
                _("You are the only administrator. Give this role to someone else first.")
            )


def compute_fingerprint(user: User) -> str:
    """Return a digest of all columns that the user's page can change, except the groups."""
    columns = ("email", "name", "plan_id", "is_active", "is_staff", "is_superuser", *LIMITS)
    return checksum(repr([getattr(user, column) for column in columns]))
