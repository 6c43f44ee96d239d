"""What a person allows a key or device of theirs in a minute, and at the same time."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import LIMITS, MAX_CREDITS, Limits


def _limit(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=MAX_CREDITS)


class LimitsForm(forms.Form):
    """To inherit from: these fields are shown apart, so that they are not in the way."""

    requests_per_minute = _limit(_("Requests per minute"))
    tokens_per_minute = _limit(_("Tokens per minute"))
    max_concurrent = _limit(_("Simultaneous answers"))

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in LIMITS]

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in LIMITS]

    @property
    def is_limited(self) -> bool:
        """Whether there is something to see among the limits."""
        return any(field.value() or field.errors for field in self.limit_fields)

    @property
    def rates(self) -> dict[str, int | None]:
        """What api_keys and device_sessions take."""
        return {name: self.cleaned_data[name] for name in LIMITS}


def rates_of(row: Limits) -> dict[str, int | None]:
    return {name: getattr(row, name) for name in LIMITS}
