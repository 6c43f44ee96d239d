"""The form of the settings at run time: a field for each of accounts/operation/variables.py."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models.operation import MAX_REASON
from accounts.operation.current import Snapshot
from accounts.operation.variables import (
    PRICE_PLACES,
    VARIABLES,
    Number,
    Price,
    Switch,
    Text,
    Variable,
)
from accounts.toolbox.typed.names import clean_name

MAX_DIGITS = 12


class TextField(forms.CharField):
    """A text on one line, without characters that change how the text around them is read."""

    def to_python(self, value: Any) -> str:
        try:
            return clean_name(str(super().to_python(value) or ""))
        except ValidationError:
            raise ValidationError(
                _("The text has a character that cannot be shown, or none that can. Correct it.")
            ) from None


class ReasonForm(forms.Form):
    reason = TextField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Other administrators can read this."),
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(),
    )


class SettingsForm(forms.Form):
    """A field for each setting. `number` is the last change that the page had seen.

    The name in `restore`, which a button sends, gets the value of the environment again.
    """

    def __init__(self, now: Snapshot, data: QueryDict | None = None) -> None:
        initial = {name: now.read_value(name) for name in VARIABLES}
        super().__init__(data, initial=initial)
        self.sent = QueryDict() if data is None else data
        self.fields = {name: build_field(variable) for name, variable in VARIABLES.items()}
        self.now = now

    @property
    def number(self) -> int:
        """The last change that the page had seen; -1 if it does not say."""
        text = self.sent.get("number", "")
        return int(text) if text.isdecimal() and len(text) < 10 else -1

    @property
    def restored(self) -> frozenset[str]:
        """The names that get the value of the environment again."""
        return frozenset(self.sent.getlist("restore")) & VARIABLES.keys()

    @property
    def wanted(self) -> dict[str, Any]:
        """The values that were typed."""
        return {name: self.cleaned_data[name] for name in VARIABLES}

    def full_clean(self) -> None:
        """Let the buttons that restore a value work whatever stands in its field."""
        super().full_clean()
        for name in self.restored & self.errors.keys():
            del self.errors[name]
            self.cleaned_data[name] = self.now.read_value(name)


def merge_typed(sent: QueryDict, shown: Snapshot | None, now: Snapshot) -> QueryDict:
    """Return the data of a form with what was typed, and else the present values.

    A value was typed if it differs from the one that the page had shown.
    """
    merged = sent.copy()
    merged["number"] = str(now.number)
    merged.pop("restore", None)
    for name, variable in VARIABLES.items():
        field = build_field(variable)
        typed = field.widget.value_from_datadict(sent, {}, name)
        if shown is not None and not field.has_changed(shown.read_value(name), typed):
            merged.setlist(name, _write_value(now.read_value(name)))
    return merged


def _write_value(value: Any) -> list[str]:
    """Return a value as a form sends it. A switch that is off is not sent."""
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, Decimal):
        return [f"{value:f}"]
    return ["" if value is None else str(value)]


def build_field(variable: Variable) -> forms.Field:
    """Return the form field of a setting."""
    options: dict[str, Any] = {"label": variable.label, "help_text": variable.help}
    match variable:
        case Number():
            least, most = variable.limits
            return forms.IntegerField(
                **options,
                validators=[_make_validator(least, most)],
                widget=UnfoldAdminIntegerFieldWidget(),
            )
        case Price():
            least, most = variable.limits
            return forms.DecimalField(
                **options,
                required=False,
                max_digits=MAX_DIGITS,
                decimal_places=PRICE_PLACES,
                validators=[_make_validator(least, most)],
                widget=UnfoldAdminDecimalFieldWidget(),
            )
        case Switch():
            return forms.BooleanField(**options, required=False, widget=UnfoldBooleanSwitchWidget())
        case Text():
            return TextField(
                **options,
                required=False,
                max_length=variable.most,
                widget=UnfoldAdminTextInputWidget(),
            )
    raise TypeError(f"{variable.name} has no field")


def _make_validator(least: int | Decimal, most: int) -> Callable[[Any], None]:
    def validate(value: Any) -> None:
        if not least <= value <= most:
            raise ValidationError(
                _("Enter a number from %(least)s to %(most)s.")
                % {"least": intcomma(least), "most": intcomma(most)}
            )

    return validate
