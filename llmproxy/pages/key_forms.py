"""What a person says of an API key: its name, how long it works, what it may spend and with which models."""

import secrets
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import ApiKey, User
from llmproxy import catalogue
from llmproxy.pages.limit_forms import LimitsForm, budget_field, rates_of

LONGEST = timedelta(days=3660)  # that a key with a date works
ISO = "%Y-%m-%d"


class KeyForm(LimitsForm):
    """`form` is the number of this very form, so that sending it twice makes one key."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What will use it, so that you know it again."),
    )
    until = forms.DateField(
        label=gettext_lazy("Last day"),
        required=False,
        input_formats=[ISO],
        widget=forms.DateInput(format=ISO, attrs={"type": "date"}),
        help_text=gettext_lazy(
            "It works to the end of that day (UTC). Empty: until you revoke it."
        ),
    )
    monthly_budget = budget_field(
        gettext_lazy("The most it may spend in a calendar month (UTC). Empty: as much as you have.")
    )
    allowed_models = forms.MultipleChoiceField(
        label=gettext_lazy("Models"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: all models of your plan."),
    )
    form = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, user: User, data: QueryDict | None, *, key: ApiKey | None = None) -> None:
        super().__init__(data, initial=_initial(key))
        kept = key.allowed_models if key else []
        names = sorted({*kept, *(model.name for model in catalogue.listed(user))})
        self.fields["allowed_models"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def clean_until(self) -> date | None:
        until: date | None = self.cleaned_data["until"]
        today = datetime.now(UTC).date()
        if until and not today <= until <= today + LONGEST:
            raise forms.ValidationError(_("Choose a day from today on, within ten years."))
        return until

    @property
    def settings(self) -> dict[str, Any]:
        """What api_keys.create and .change take."""
        asked = self.cleaned_data
        return {
            "name": asked["name"],
            "expires_at": _end_of(asked["until"]) if asked["until"] else None,
            "monthly_budget": asked["monthly_budget"],
            "allowed_models": asked["allowed_models"],
            "rates": self.rates,
        }


def _initial(key: ApiKey | None) -> dict[str, Any]:
    if key is None:
        return {"form": secrets.token_urlsafe(16)}
    return {
        "name": key.name,
        "until": last_day(key),
        "monthly_budget": key.monthly_budget,
        "allowed_models": key.allowed_models,
        **rates_of(key),
    }


def last_day(key: ApiKey) -> date | None:
    """The day to whose end a key works, as it was entered."""
    return (
        (key.expires_at - timedelta(microseconds=1)).astimezone(UTC).date()
        if key.expires_at
        else None
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1)
