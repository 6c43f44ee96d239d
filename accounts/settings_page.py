"""The pages on which a person chooses language, theme, time zone and currency."""

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import preferences
from accounts.access.authentication import require_user
from accounts.database.faults import find_fault
from accounts.languages import keep_language
from accounts.models import Theme, User
from accounts.time_zones import find_zone_name, list_zones
from accounts.toolbox.return_addresses import resolve_address

logger = logging.getLogger(__name__)
MAX_ZONE = 64  # characters, as in the column


class SettingsForm(forms.ModelForm[User]):
    """What a person chooses. A time zone may be typed in any case, or as its city alone."""

    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    theme = forms.ChoiceField(label=gettext_lazy("Theme"), choices=Theme.choices)
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=MAX_ZONE,
        help_text=gettext_lazy("Type a city, such as Bangkok, and choose from the list."),
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )
    currency = forms.ChoiceField(label=gettext_lazy("Currency"), required=False)

    class Meta:
        model = User
        fields = ("language", "theme", "time_zone", "currency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [(code, code.upper()) for code in settings.CURRENCIES]
        field = self.fields["currency"]
        field.choices = [("", _("By language")), *codes]  # type: ignore[attr-defined]

    def clean_time_zone(self) -> str:
        name = find_zone_name(self.cleaned_data["time_zone"])
        if name is None:
            raise ValidationError(_("Choose a time zone from the list, such as Asia/Bangkok."))
        return name


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_settings(request: HttpRequest) -> HttpResponse:
    """Show what the person has chosen, and store another choice."""
    user = require_user(request)
    language = translation.get_language() or settings.LANGUAGE_CODE
    initial = {
        "language": language,
        "theme": preferences.choose_theme(request) or Theme.SYSTEM,
        "time_zone": user.time_zone or "UTC",
    }
    form = SettingsForm(request.POST or None, instance=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        user.save(update_fields=list(SettingsForm.Meta.fields))
        return _confirm(request, user)
    context = {"form": form, "zones": list_zones()}
    return render(request, "accounts/settings.html", context, status=400 if form.errors else 200)


def _confirm(request: HttpRequest, user: User) -> HttpResponse:
    with translation.override(user.language):
        messages.success(request, _("Your settings are saved."))
    response = redirect("account_settings")
    keep_language(response, user.language)
    preferences.keep_theme(response, user.theme)
    return response


@require_POST
def set_theme(request: HttpRequest) -> HttpResponseBase:
    """Set the theme of this browser and of who is logged in, then go back to `next`."""
    theme = request.POST.get("theme", "")
    there = resolve_address(request.POST.get("next") or request.headers.get("Referer")) or "/"
    response = redirect(there)
    if theme in Theme.values:
        preferences.keep_theme(response, theme)
        _remember_theme(request, theme)
    return response


def _remember_theme(request: HttpRequest, theme: str) -> None:
    """Store the theme of who is logged in. A database that can only be read changes nothing."""
    try:
        if isinstance(request.user, User):
            preferences.store_theme(request.user, theme)
    except Error as error:
        fault = find_fault(error)
        if fault is None or not fault.reads:
            raise
        logger.warning("the theme of a user is not stored: %s", fault.name)


@require_POST
def learn_time_zone(request: HttpRequest) -> HttpResponse:
    """Store the time zone of the browser, once. Respond 204 to everything that is a form."""
    if isinstance(request.user, User):
        preferences.learn_time_zone(request.user, request.POST.get("time_zone", ""))
    return HttpResponse(status=204)
