"""What a person allows a key or device of theirs in a minute, and at the same time."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import LIMITS, MAX_CREDITS, Limits


def _limit(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=MAX_CREDITS)


def budget_field(help_text: Any) -> forms.IntegerField:
    """The credits that a key or device may spend in a month."""
    return forms.IntegerField(
        label=_("Credits a month"),
        required=False,
        min_value=1,
        max_value=MAX_CREDITS,
        help_text=help_text,
    )


class LimitsForm(forms.Form):
    """A base for forms that have a `name`. Its fields are shown apart, below the others."""

    requests_per_minute = _limit(_("Requests a minute"))
    tokens_per_minute = _limit(_("Tokens a minute"))
    max_concurrent = _limit(_("Answers at the same time"))

    def clean_name(self) -> str:
        """In one line: it stands in mails, and is the subject of some."""
        name = " ".join(self.cleaned_data["name"].split())
        if not name.isprintable():
            raise forms.ValidationError(gettext("A name has only letters, digits and signs."))
        return name

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
