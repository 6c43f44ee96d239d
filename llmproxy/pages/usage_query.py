"""What the address of the page of usage may say: which days, which model or credential."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MOST_DAYS = 366
EARLIEST = date(2000, 1, 1)
DAYS = {"7": 7, "30": 30, "90": 90}
MONTH, OWN = "month", "own"
RANGES = [
    ("7", gettext_lazy("7 days")),
    ("30", gettext_lazy("30 days")),
    ("90", gettext_lazy("90 days")),
    (MONTH, gettext_lazy("This month")),
]
SHOWN = [
    ("credits", gettext_lazy("Credits")),
    ("answers", gettext_lazy("Answers")),
    ("tokens", gettext_lazy("Tokens")),
]
BROWSER = "browser"  # stands in the address for requests without a device or key


class DayField(forms.DateField):
    """A day as browsers send it, whatever the language of the page."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            input_formats=["%Y-%m-%d"],
            error_messages={"invalid": gettext_lazy("Enter a day such as 2026-11-30.")},
            **options,
        )


class UsageQuery(forms.Form):
    """The query of the page. `first` and `last` are days of the reader's zone, both included."""

    range = forms.ChoiceField(
        required=False,
        choices=[*RANGES, (OWN, "")],
        error_messages={"invalid_choice": gettext_lazy("Choose one of the ranges.")},
    )
    first = DayField(label=gettext_lazy("First day"))
    last = DayField(label=gettext_lazy("Last day"))
    show = forms.ChoiceField(
        required=False,
        choices=SHOWN,
        error_messages={"invalid_choice": gettext_lazy("Choose credits, answers or tokens.")},
    )
    model = forms.CharField(required=False, max_length=200)
    credential = forms.CharField(required=False, max_length=64)

    def __init__(self, data: Any, *, today: date) -> None:
        super().__init__(data)
        self.today = today

    def clean(self) -> dict[str, Any]:
        """Find the days, and raise ValidationError if there are none or too many of them."""
        cleaned: dict[str, Any] = self.cleaned_data
        if not self.errors:
            cleaned["first"], cleaned["last"] = self._find_days(cleaned)
        return cleaned

    def _find_days(self, cleaned: dict[str, Any]) -> tuple[date, date]:
        first, last, named = cleaned["first"], cleaned["last"], cleaned["range"]
        if named == MONTH:
            return self.today.replace(day=1), self.today
        if named in DAYS or (named != OWN and not (first or last)):
            return self.today - timedelta(days=DAYS.get(named, 30) - 1), self.today
        last = last or self.today
        if min(first or last, last) < EARLIEST:
            raise forms.ValidationError(_("Choose days from the year 2000 on."))
        first = first or max(last - timedelta(days=29), EARLIEST)
        if first > last:
            raise forms.ValidationError(_("The first day is after the last one."))
        if last > self.today:
            raise forms.ValidationError(_("The last day can be today at the latest."))
        if (last - first).days >= MOST_DAYS:
            raise forms.ValidationError(
                _("Choose at most %(days)s days at a time.") % {"days": MOST_DAYS}
            )
        return first, last


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query that can be answered. An empty `model` or `credential` is any."""

    named: str
    first: date
    last: date
    show: str
    model: str
    credential: str

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def query(self) -> str:
        """The days as the query string of other pages has them."""
        return f"first={self.first}&last={self.last}"

    @property
    def narrowing(self) -> dict[str, str | None]:
        """The arguments of `sums.read` that narrow it down."""
        credential = "" if self.credential == BROWSER else self.credential or None
        return {"model": self.model or None, "credential": credential}

    def link(self, **changes: str | None) -> str:
        """Return the query string of this page with some parameters changed; None removes one."""
        own = self.named == OWN
        parameters = {
            "range": self.named,
            "first": self.first.isoformat() if own else None,
            "last": self.last.isoformat() if own else None,
            "show": self.show if self.show != SHOWN[0][0] else None,
            "model": self.model or None,
            "credential": self.credential or None,
            **changes,
        }
        return "?" + urlencode(
            {name: text for name, text in parameters.items() if text is not None}
        )


def read_query(query: UsageQuery) -> Wanted:
    """Return what a valid query asks for."""
    cleaned = query.cleaned_data
    has_days = bool(query.data.get("first") or query.data.get("last"))
    return Wanted(
        cleaned["range"] or (OWN if has_days else "30"),
        cleaned["first"],
        cleaned["last"],
        cleaned["show"] or SHOWN[0][0],
        cleaned["model"],
        cleaned["credential"],
    )
