"""The form of a provider. The key can be entered, but is never shown."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from llmproxy.models import ENVIRONMENT, Endpoint, Provider
from llmproxy.routes.request_body import ALL_UNKNOWN
from llmproxy.routes.tables import NEVER_FORWARDED

PARAMETER = re.compile(r"[A-Za-z_][\w.-]{0,63}\Z", re.ASCII)
ADDRESS = _("Enter the URL up to and including /v1.")


class AddressInput(UnfoldAdminTextInputWidget):
    """A URL input without the link of Unfold's own: the base URL of an API is not a page."""

    input_type = "url"


class NamesField(forms.Field):
    """A list of names, written with commas or spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        return list(dict.fromkeys(re.findall(r"[^,\s]+", str(value or ""))))


class ProviderForm(forms.ModelForm[Provider]):
    base_url = forms.URLField(
        label=_("Base URL"),
        required=False,
        assume_scheme="https",
        widget=AddressInput(),
        help_text=_("Up to and including /v1."),
    )
    new_key = forms.CharField(
        label=_("New API key"),
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "The key is stored encrypted and never shown again. Leave empty to keep the "
            "current key."
        ),
    )
    endpoints = forms.MultipleChoiceField(
        label=_("Supported routes"),
        choices=Endpoint.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("Tick only the routes that the provider really supports."),
    )

    forwarded_parameters = NamesField(
        label=_("Unknown parameters to forward"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_(
            "Names of parameters that the gateway does not know, or * for all of them. Other "
            "unknown parameters are left out of the request, and the caller is told."
        ),
    )

    class Meta:
        model = Provider
        # The admin adds its own fields. A URL listed here would become editable where the admin
        # shows it read-only.
        fields = ("name", "slug", "is_active")

    def clean_base_url(self) -> str:
        """Refuse a URL that may contain a key, because the URL is shown in several places."""
        address = str(self.cleaned_data["base_url"])
        if address and (
            not address.startswith(("http://", "https://"))
            or any(sign in address for sign in "@?#")
        ):
            raise forms.ValidationError(ADDRESS)
        return address

    def clean_new_key(self) -> str:
        key = str(self.cleaned_data["new_key"])
        if not (key.isascii() and key.isprintable()):
            raise forms.ValidationError(
                _("A key can contain only ASCII letters, digits and symbols.")
            )
        return key

    def clean_forwarded_parameters(self) -> list[str]:
        """Refuse a name that no parameter has, and one that the gateway never forwards."""
        names: list[str] = self.cleaned_data["forwarded_parameters"]
        for name in names:
            if name in NEVER_FORWARDED:
                raise forms.ValidationError(
                    _("%(name)s is never forwarded. docs/parameters.md says why.") % {"name": name}
                )
            if name != ALL_UNKNOWN and not PARAMETER.match(name):
                raise forms.ValidationError(
                    _("%(name)s is not the name of a parameter.") % {"name": name}
                )
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if (
            "base_url" in cleaned
            and not cleaned["base_url"]
            and cleaned.get("slug", self.instance.slug) != ENVIRONMENT
        ):
            self.add_error("base_url", ADDRESS)
        return cleaned
