"""The forms that create and change a user in the admin."""

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django import forms
from django.utils.translation import gettext as _
from unfold.forms import UserChangeForm, UserCreationForm

from accounts.access import account_deletion
from accounts.email_addresses import KnownAddressField, normalise_address
from accounts.models import User
from accounts.toolbox.typed.names import clean_name


class UniqueAddressMixin(forms.ModelForm[User]):
    """Normalises the email address and refuses one that another user has."""

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if email != self.instance.email:
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
        field_classes: ClassVar = {"email": KnownAddressField}


class UserForm(UniqueAddressMixin, UserChangeForm):
    """The form of a user's page. It keeps one superuser."""

    class Meta:
        model = User
        fields = ("email",)
        field_classes: ClassVar = {"email": KnownAddressField}

    def clean(self) -> dict[str, Any]:
        self._keep_last_superuser()
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
