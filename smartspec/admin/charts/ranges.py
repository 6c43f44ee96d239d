"""The choice of a range in the address, and how its periods are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.dateformat import format as format_date
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from llmproxy.usage.whole_site.days import find_day, get_zone
from llmproxy.usage.whole_site.figures import Span

PARAMETER = "range"


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time as the address names it."""

    name: str
    days: int
    label: Promise


RANGES = (
    Range("24h", 1, _("24 hours")),
    Range("7d", 7, _("7 days")),
    Range("30d", 30, _("30 days")),
    Range("90d", 90, _("90 days")),
)
DEFAULT = RANGES[1]


def find_range(name: str) -> Range:
    """Return the range of this name, or the default one."""
    return next((one for one in RANGES if one.name == name), DEFAULT)


def label_periods(span: Span) -> list[str]:
    """Return the name of each period in the reader's language, in the operator's zone."""
    starts = [moment.astimezone(get_zone()) for moment in span.limits[:-1]]
    if span.step == 0:
        return [_label_hour(start, starts) for start in starts]
    ends = [find_day(end) - timedelta(days=1) for end in span.limits[1:]]
    return [_label_days(start.date(), end) for start, end in zip(starts, ends, strict=True)]


def label_days(days: Sequence[date]) -> list[str]:
    return [format_date(day, "j M") for day in days]


def _label_hour(start: datetime, starts: list[datetime]) -> str:
    is_first_of_day = start == starts[0] or start.hour == 0
    return format_date(start, "j M H:i" if is_first_of_day else "H:i")


def _label_days(first: date, last: date) -> str:
    if first >= last:
        return format_date(first, "j M")
    return f"{format_date(first, 'j M')} – {format_date(last, 'j M')}"
