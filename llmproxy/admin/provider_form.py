"""The form of a provider. The key can be entered, but is never shown."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from llmproxy.http1.proxies import DIRECT, parse_proxy
from llmproxy.http1.sockets import NotReachableError
from llmproxy.models import Endpoint, Provider
from llmproxy.routes.request_body import ALL_UNKNOWN
from llmproxy.routes.tables import NEVER_FORWARDED

PARAMETER = re.compile(r"[A-Za-z_][\w.-]{0,63}\Z", re.ASCII)
TRIAL = "_test"  # the name of the button that tests the connection
SECRETS = frozenset({"new_key", "new_proxy_login"})
ADDRESS = _("Enter the URL up to and including /v1.")
# Names of query parameters that have a key, in lower case. The URL is shown in several places.
KEY_PARAMETERS = re.compile(r"key|token|secret|password|passwd|sig|signature|auth|code|credential")


class AddressInput(UnfoldAdminTextInputWidget):
    """A URL input without the link of Unfold's own: the base URL of an API is not a page."""

    input_type = "url"


def find_free_slug(name: str) -> str:
    """A slug made of a name that no other provider has. A name without Latin letters gives none."""
    wanted = slugify(name)[:40] or "provider"
    taken = set(Provider.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (wanted, *numbered) if slug not in taken)


def _is_proxy(address: str) -> bool:
    if not address.startswith("http://"):
        return False
    try:
        parse_proxy(address)
    except NotReachableError:
        return False
    return True


class NamesField(forms.Field):
    """A list of names, written with commas or spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        return list(dict.fromkeys(re.findall(r"[^,\s]+", str(value or ""))))


class ProviderForm(forms.ModelForm[Provider]):
    base_url = forms.URLField(
        label=_("Base URL"),
        error_messages={"required": ADDRESS},
        assume_scheme="https",
        widget=AddressInput(),
        help_text=_("Up to and including /v1, with a query if needed (?api-version=…)."),
    )
    new_proxy_login = forms.CharField(
        label=_("New login for the proxy"),
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "user:password. It is stored encrypted and never shown again. Leave empty to keep the "
            "current login; it is removed together with the proxy."
        ),
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

    login_in_url = ""  # of a proxy whose URL was entered with its login
    slug = forms.SlugField(
        label=_("Slug"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Names the provider in receipts and files. If empty, it is made of the name."),
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_trial:
            # What was typed comes back once, so that it need not be typed again.
            for name in SECRETS & self.fields.keys():
                self.fields[name].widget.render_value = True

    @property
    def is_trial(self) -> bool:
        """Whether the person wants to test the connection, and not to save it."""
        return TRIAL in self.data

    def is_valid(self) -> bool:
        return super().is_valid() and not self.is_trial

    def clean_slug(self) -> str:
        """Make a slug of the name if none was entered."""
        slug = str(self.cleaned_data["slug"])
        name = self.cleaned_data.get("name", "")
        return slug or self.instance.slug or find_free_slug(name)

    def apply_secrets(self, provider: Provider) -> None:
        """Give the provider the key and the login that were entered."""
        if key := self.cleaned_data.get("new_key"):
            provider.set_key(key)
        if login := self.cleaned_data.get("new_proxy_login"):
            provider.set_proxy_login(login)
        elif "://" not in provider.proxy:
            provider.set_proxy_login("")

    def clean_base_url(self) -> str:
        """Refuse a URL that may contain a key, because the URL is shown in several places."""
        address = str(self.cleaned_data["base_url"])
        if not address:
            return address
        is_url = address.startswith(("http://", "https://"))
        if not is_url or any(sign in address for sign in "@#"):
            raise forms.ValidationError(ADDRESS)
        names = [name.lower() for name, _value in parse_qsl(urlsplit(address).query)]
        if any(KEY_PARAMETERS.search(name) for name in names):
            raise forms.ValidationError(
                _("Enter the key below, not in the URL: the URL is shown to other administrators.")
            )
        return address

    def clean_proxy(self) -> str:
        """The URL of the proxy without its login, which is stored encrypted."""
        address = str(self.cleaned_data["proxy"]).strip().rstrip("/")
        if address in ("", DIRECT):
            return address
        if not _is_proxy(address):
            raise forms.ValidationError(
                _("Enter http://host:port, or “direct”. Other kinds of proxies are not supported.")
            )
        self.login_in_url, _sign, place = urlsplit(address).netloc.rpartition("@")
        return f"http://{place}"

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
        if not cleaned.get("new_proxy_login"):
            cleaned["new_proxy_login"] = unquote(self.login_in_url)
        return cleaned
