"""Form fields for the limits of a key or device: per minute, at the same time, per month."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import LIMITS, MAX_CREDITS, Limits


def _limit_field(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=MAX_CREDITS)


def budget_field(help_text: Any) -> forms.IntegerField:
    """The credits that a key or device may spend in a month."""
    return forms.IntegerField(
        label=_("Credits per month"),
        required=False,
        min_value=1,
        max_value=MAX_CREDITS,
        help_text=help_text,
    )


class LimitsForm(forms.Form):
    """A base for forms that have a `name`. Its fields are shown apart, below the others."""

    requests_per_minute = _limit_field(_("Requests per minute"))
    tokens_per_minute = _limit_field(_("Tokens per minute"))
    max_concurrent = _limit_field(_("Simultaneous answers"))

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in LIMITS]

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in LIMITS]

    @property
    def is_limited(self) -> bool:
        """Whether a limit has a value or an error, so that the page opens their section."""
        return any(field.value() or field.errors for field in self.limit_fields)

    @property
    def rates(self) -> dict[str, int | None]:
        """The limits as api_keys and device_sessions take them."""
        return {name: self.cleaned_data[name] for name in LIMITS}


def get_rates(row: Limits) -> dict[str, int | None]:
    return {name: getattr(row, name) for name in LIMITS}
