"""The geometry of charts: where each bar is, in the units of the drawing. Templates write the SVG.

A drawing is as wide as WIDTH and is stretched to its place on the page; texts are outside of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from django.utils.dateformat import format as format_date

from llmproxy.usage.sums import COLUMNS, Sum

WIDTH, HEIGHT = 1000, 160
GAP = 0.25  # of the place of a bar
MOST_BARS = 90  # Above that, a bar is a week.
SMALL_HEIGHT = 16  # of a chart in a table
LEAST_HEIGHT = 2  # A bar that is not 0 can be seen.


@dataclass(frozen=True)
class Period:
    """One bar's days, both included, and what was used in them."""

    first: date
    last: date
    used: Sum

    @property
    def days(self) -> str:
        """The days as the query string of other pages has them."""
        return f"first={self.first}&last={self.last}"

    @cached_property
    def label(self) -> str:
        """The days in the reader's language."""
        last = format_date(self.last, "j M Y")
        return last if self.first == self.last else f"{format_date(self.first, 'j M')} – {last}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle as texts for SVG, which no language writes otherwise; what it stands for."""

    title: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left to right. `top` is the value of a bar as high as the drawing."""

    bars: list[Bar]
    top: int
    is_weekly: bool
    width: int = WIDTH
    height: int = HEIGHT


def group_days(first: date, days: Sequence[Sum]) -> list[Period]:
    """Return one period for each day, or for each week from Monday if there are too many days."""
    if len(days) <= MOST_BARS:
        return [Period(day, day, used) for day, used in _number_days(first, days)]
    periods: list[Period] = []
    for day, used in _number_days(first, days):
        if periods and day.weekday():
            last = periods[-1]
            periods[-1] = Period(last.first, day, add(last.used, used))
        else:
            periods.append(Period(day, day, used))
    return periods


def add(one: Sum, other: Sum) -> Sum:
    """Return the sum of two sums."""
    return Sum(*(getattr(one, name) + getattr(other, name) for name in COLUMNS))


def draw_bars(periods: Sequence[Period], measure: str) -> Chart:
    """Draw the attribute `measure` of each sum: charged, answers or tokens."""
    values = [getattr(period.used, measure) for period in periods]
    top = max(values, default=0)
    place = WIDTH / max(len(values), 1)
    bars = []
    for number, (period, value) in enumerate(zip(periods, values, strict=True)):
        height = max(HEIGHT * value / top, LEAST_HEIGHT) if value > 0 else 0
        box = (number * place + place * GAP / 2, HEIGHT - height, place * (1 - GAP), height)
        title = f"{period.label}: {value:,}"
        bars.append(Bar(title, *(f"{side:.2f}" for side in box)))
    return Chart(bars, top, any(period.first != period.last for period in periods))


def draw_path(values: Sequence[int]) -> str:
    """Draw bars as one path in a box of one unit a bar and SMALL_HEIGHT: for charts in a table."""
    top = max(values, default=0)
    return "".join(
        f"M{place} {SMALL_HEIGHT}v-{max(round(SMALL_HEIGHT * value / top), 1)}h.75V{SMALL_HEIGHT}"
        for place, value in enumerate(values)
        if value > 0
    )


def _number_days(first: date, days: Sequence[Sum]) -> list[tuple[date, Sum]]:
    return [(first + timedelta(days=number), used) for number, used in enumerate(days)]
