"""The form of an API key: its name, last day, budget, limits and models."""

import secrets
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import ApiKey, User
from accounts.toolbox.typed.names import NameField
from llmproxy import catalogue
from llmproxy.pages.limit_forms import LimitsForm, budget_field, get_rates

LONGEST = timedelta(days=3660)  # the longest time for which a key can be valid
ISO = "%Y-%m-%d"


class KeyForm(LimitsForm):
    """`form` is a random id of the form, so that sending it twice makes one key."""

    name = NameField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("For example, the program that will use this key."),
    )
    until = forms.DateField(
        label=gettext_lazy("Last day"),
        required=False,
        input_formats=[ISO],
        widget=forms.DateInput(format=ISO, attrs={"type": "date"}),
        help_text=gettext_lazy(
            "The key works until the end of this day (UTC). Leave empty for no last day."
        ),
    )
    monthly_budget = budget_field(
        gettext_lazy(
            "The most this key can use in a calendar month (UTC). Leave empty for no "
            "separate limit."
        )
    )
    allowed_models = forms.MultipleChoiceField(
        label=gettext_lazy("Models"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("If you choose none, the key can use all models of your plan."),
    )
    form = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, user: User, data: QueryDict | None, *, key: ApiKey | None = None) -> None:
        super().__init__(data, initial=_build_initial(key))
        kept = key.allowed_models if key else []
        names = sorted({*kept, *(model.name for model in catalogue.list_models(user))})
        self.fields["allowed_models"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def clean_until(self) -> date | None:
        until: date | None = self.cleaned_data["until"]
        today = datetime.now(UTC).date()
        if until and not today <= until <= today + LONGEST:
            raise forms.ValidationError(_("Choose a day between today and ten years from now."))
        return until

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of api_keys.create and .change."""
        cleaned = self.cleaned_data
        return {
            "name": cleaned["name"],
            "expires_at": _end_of_day(cleaned["until"]) if cleaned["until"] else None,
            "monthly_budget": cleaned["monthly_budget"],
            "allowed_models": cleaned["allowed_models"],
            "rates": self.rates,
        }


def _build_initial(key: ApiKey | None) -> dict[str, Any]:
    if key is None:
        return {"form": secrets.token_urlsafe(16)}
    return {
        "name": key.name,
        "until": get_last_day(key),
        "monthly_budget": key.monthly_budget,
        "allowed_models": key.allowed_models,
        **get_rates(key),
    }


def get_last_day(key: ApiKey) -> date | None:
    """The last day of a key, as it was entered; None if it has none."""
    return (
        (key.expires_at - timedelta(microseconds=1)).astimezone(UTC).date()
        if key.expires_at
        else None
    )


def _end_of_day(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1)
