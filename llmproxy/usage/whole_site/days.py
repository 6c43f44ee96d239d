"""The days of the operator's zone, SELLER_TIME_ZONE, and the ranges of time that charts show."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from accounts.time_zones import borders
from llmproxy.models import Completion
from llmproxy.usage.steps import HOUR, OPEN_MARGIN, bound, round_down

MOST_DAYS = 31  # of one statement
RANGES = (1, 7, 30, 90)  # days; the first one is 24 hours


@dataclass(frozen=True, slots=True)
class Day:
    """A day from `begin` until `end`; the whole hours of UTC in it are from the inner two."""

    day: date
    begin: datetime
    whole_from: datetime
    whole_to: datetime
    end: datetime

    @property
    def has_pieces(self) -> bool:
        """True if the day begins or ends within an hour of UTC, as in India."""
        return self.begin < self.whole_from or self.whole_to < self.end


def get_zone() -> ZoneInfo:
    """Return the operator's zone."""
    return ZoneInfo(settings.SELLER_TIME_ZONE)


def find_day(moment: datetime) -> date:
    """Return the day of this moment in the operator's zone."""
    return moment.astimezone(get_zone()).date()


def find_begin(days: int, now: datetime) -> datetime:
    """Return where the last so many days begin: 24 hours with the present one, or a midnight."""
    if days == 1:
        return round_down(now, HOUR) - 23 * HOUR
    return borders(find_day(now) - timedelta(days=days - 1), 1, get_zone())[0]


def list_days(start: datetime, end: datetime) -> Iterator[Day]:
    """Yield each day of which something is between these moments. A day that never was is none."""
    first = find_day(start)
    count = (find_day(end) - first).days + 1
    limits = borders(first, count, get_zone())
    for number, (begin, day_end) in enumerate(pairwise(limits)):
        if begin < day_end and begin < end and start < day_end:
            whole_from = round_down(begin + HOUR - timedelta(microseconds=1), HOUR)
            yield Day(
                first + timedelta(days=number),
                begin,
                whole_from.astimezone(UTC),
                round_down(day_end, HOUR).astimezone(UTC),
                day_end,
            )


def bound_day(day: Day, until: datetime) -> dict[str, Any]:
    """Return the parameters of the roll-ups of a day, of which nothing from `until` on counts."""
    parameters = {
        "day": day.day,
        "begin": day.begin,
        "whole_from": day.whole_from,
        "whole_to": day.whole_to,
        "until": min(day.end, until),
        "first": 0,
        "last": 0,
    }
    if day.has_pieces:
        every = Completion.objects.all()
        keys = bound(every, day.begin, day.end, margin=OPEN_MARGIN)
        parameters |= {"first": keys["first"], "last": keys["last"]}
    return parameters


def bound_days(first: date, until: datetime) -> dict[str, Any]:
    """Return the parameters of ACTIVE_DAYS for at most MOST_DAYS from `first` on, up to `until`."""
    limits = borders(first, min((find_day(until) - first).days + 1, MOST_DAYS), get_zone())
    return {
        "day": first,
        "last_day": first + timedelta(days=len(limits) - 2),
        "borders": limits[:-1],
        "begin": limits[0],
        "until": min(limits[-1], until),
    }
