"""The filters of the list of requests, as they stand in its address."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import time_zones
from accounts.models import ApiKey, User
from deviceauth.models import DeviceSession
from llmproxy import catalogue
from llmproxy.models import Completion
from llmproxy.models.choices import MAX_NAME_LENGTH
from llmproxy.receipts import callers, states

ISO = "%Y-%m-%d"
EARLIEST = date(2020, 1, 1)
BROWSER = "browser"  # the value of the filter for requests without a device or key
CREDENTIAL = re.compile(r"key:\d{1,18}|device:[0-9a-f]{32}|browser")
MAX_CHOICES = 100  # devices, keys or models to choose from
RECENT_ROWS = 500  # of which the names of models are read, for those that are no longer sold
MAX_SEARCH = 200  # characters


def _day_field(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        input_formats=[ISO],
        widget=forms.DateInput(format=ISO, attrs={"type": "date"}),
    )


class ActivityQuery(forms.Form):
    """`day` stands for `first` and `last` being the same. `before` is the id of a receipt."""

    q = forms.CharField(
        label=gettext_lazy("Receipt, request ID or trace ID"),
        required=False,
        max_length=MAX_SEARCH,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    model = forms.ChoiceField(label=gettext_lazy("Model"), required=False)
    credential = forms.ChoiceField(label=gettext_lazy("Device or key"), required=False)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[("", gettext_lazy("All")), *states.WORDS.items()],
    )
    first = _day_field(gettext_lazy("From"))
    last = _day_field(gettext_lazy("To"))
    before = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def __init__(self, user: User, data: QueryDict) -> None:
        given = data.copy()
        if day := given.get("day"):
            given["first"] = given["last"] = day
        super().__init__(given)
        self.fields["model"].choices = _list_models(user, given.get("model", ""))  # type: ignore[attr-defined]
        self.fields["credential"].choices = _list_credentials(  # type: ignore[attr-defined]
            user, given.get("credential", "")
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and first > last:
            self.add_error("last", _("The last day is before the first day."))
        return cleaned

    def clean_first(self) -> date | None:
        return _check_day(self.cleaned_data["first"])

    def clean_last(self) -> date | None:
        return _check_day(self.cleaned_data["last"])

    @property
    def filters(self) -> list[forms.BoundField]:
        """The fields that are shown behind the search."""
        return [self[name] for name in ("model", "credential", "state", "first", "last")]

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data[field.name] for field in (self["q"], *self.filters))


def _check_day(day: date | None) -> date | None:
    if day and not EARLIEST <= day <= datetime.now(UTC).date() + timedelta(days=366):
        raise forms.ValidationError(_("Choose another day."))
    return day


def _list_models(user: User, chosen: str) -> list[tuple[str, Any]]:
    """Return the models that the user may use, used of late, or has chosen in the address."""
    sold = {model.name for model in catalogue.list_models(user)}
    recent = Completion.objects.filter(user=user).order_by("-pk").values_list("model", flat=True)
    names = sorted(sold | set(recent[:RECENT_ROWS]))[:MAX_CHOICES]
    if 0 < len(chosen) <= MAX_NAME_LENGTH and chosen.isprintable() and chosen not in names:
        names.append(chosen)
    return [("", _("All")), *((name, name) for name in names)]


def _list_credentials(user: User, chosen: str) -> list[tuple[str, Any]]:
    """Return the live devices and keys, and the one that is chosen in the address."""
    devices = DeviceSession.objects.live().filter(user=user).order_by("-last_used_at")
    keys = ApiKey.objects.live().filter(user=user).order_by("-pk")
    names = {row.credential: row.name for row in (*devices[:MAX_CHOICES], *keys[:MAX_CHOICES])}
    if CREDENTIAL.fullmatch(chosen) and chosen not in (*names, BROWSER):
        names[chosen] = callers.find_caller(user, chosen, "").name
    return [("", _("All")), *names.items(), (BROWSER, _("Browser"))]


@dataclass(frozen=True, slots=True)
class Days:
    """The moments of the first day's begin and the last day's end; None if there is no such day."""

    start: datetime | None
    end: datetime | None


def find_borders(user: User, first: date | None, last: date | None) -> Days:
    """Return the borders of the days in the time zone of the user."""
    zone = time_zones.zone_of(user)
    return Days(
        time_zones.borders(first, 0, zone)[0] if first else None,
        time_zones.borders(last, 1, zone)[1] if last else None,
    )
