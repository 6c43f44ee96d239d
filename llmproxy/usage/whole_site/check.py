"""Invariant 20: the roll-ups over all users are what their sources say. The audit calls it.

Nothing is compared that the next fold computes again anyway: the last two hours, and a day that is
not over. What differs is computed again, as for the quarters of a user (invariant 18).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.transaction import atomic

from accounts.time_zones import borders
from llmproxy.models import Completion, UsageDay, UsageFold, UsageHour
from llmproxy.usage import steps
from llmproxy.usage.steps import AGAIN, HOUR, MARGIN, is_read_only, round_down
from llmproxy.usage.whole_site.days import bound_day, bound_days, find_day, get_zone, list_days
from llmproxy.usage.whole_site.folding import write_range
from llmproxy.usage.whole_site.rollups import ACTIVE_DAYS, OF_DAYS, OF_HOURS, Rollup
from llmproxy.usage.whole_site.tops import TOPS, bound_ranges

INVARIANT = 20
TEXT = "The hours and days of usage of all users are the sums of the completions behind them."
STEP_ROWS = 200_000  # completions that one statement compares, approximately
REPAIRED = "nothing more: they have been computed again"
UNREPAIRED = "an audit of a database that takes writes, which computes them again"


@dataclass(frozen=True, slots=True)
class Extent:
    """What is compared: the times of hours and days, and where the figures of people end."""

    start: datetime
    end: datetime
    people_end: datetime | None


def find_differences(since: datetime | None) -> Iterator[tuple[str, str]]:
    """Yield what differs, and what would correct it or has done so."""
    extent = _find_extent(since)
    if extent is None:
        return
    yield from _compare_hours(extent)
    yield from _compare_days(extent)
    if extent.people_end is not None:
        yield from _compare_active(extent.start, extent.people_end - AGAIN)
        yield from _compare_tops(extent.people_end)


def _find_extent(since: datetime | None) -> Extent | None:
    """Return what can be compared; None if nothing is folded, or a fold is only on its way."""
    row = UsageFold.objects.first()
    if row is None or row.hours_until is None or row.filled_until is None:
        return None
    end = round_down(min(row.filled_until, row.hours_until) - AGAIN, HOUR)
    start = since or _find_first_moment(end)
    people_end = row.people_until if row.people_until == row.until else None
    return Extent(round_down(min(start, end), HOUR), end, people_end)


def _find_first_moment(end: datetime) -> datetime:
    """Return a moment before the first completion and before the first row of a roll-up."""
    completions = Completion.objects.order_by("pk").values_list("created_at", flat=True)
    hours = UsageHour.objects.order_by("hour").values_list("hour", flat=True)
    days = UsageDay.objects.order_by("day").values_list("day", flat=True)
    found = [moment for moment in (completions.first(), hours.first()) if moment is not None]
    if first_day := days.first():
        found.append(borders(first_day, 1, get_zone())[0])
    return min(found, default=end) - MARGIN


def _compare_hours(extent: Extent) -> Iterator[tuple[str, str]]:
    every, start = Completion.objects.all(), extent.start
    while start < extent.end:
        end = steps.find_step_end(every, start, extent.end, step_rows=STEP_ROWS)
        number = _count(OF_HOURS, steps.bound(every, start, end))
        if number:
            yield _describe("hours", start, end, number), _write_hours(start, end)
        start = end


def _compare_days(extent: Extent) -> Iterator[tuple[str, str]]:
    for day in list_days(extent.start, extent.end):
        if day.end <= extent.end:
            number = _count(OF_DAYS, parameters := bound_day(day, day.end))
            if number:
                remedy = _write(OF_DAYS, parameters)
                yield _describe("days", day.begin, day.end, number), remedy


def _compare_active(start: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    day, last = find_day(start), find_day(end)  # the last one is not over
    midnight = borders(last, 1, get_zone())[0]
    while day < last:
        parameters = bound_days(day, midnight)
        day = min(parameters["last_day"] + timedelta(days=1), last)
        parameters["last_day"] = day - timedelta(days=1)
        number = _count((ACTIVE_DAYS,), parameters)
        if number:
            remedy = _write((ACTIVE_DAYS,), parameters)
            yield _describe("days of users", parameters["begin"], midnight, number), remedy


def _compare_tops(until: datetime) -> Iterator[tuple[str, str]]:
    parameters = bound_ranges(until)
    number = _count((TOPS,), parameters)
    if number and UsageFold.objects.filter(people_until=until, until=until).exists():
        remedy = _write((TOPS,), parameters)
        yield _describe("first places", parameters["since_90"], until, number), remedy


def _describe(what: str, start: datetime, end: datetime, number: int) -> str:
    return (
        f"{number} rows of the {what} of usage from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        " UTC differ from what is behind them"
    )


def _count(rollups: tuple[Rollup, ...], parameters: dict[str, Any]) -> int:
    number = 0
    with connection.cursor() as cursor:
        for rollup in rollups:
            cursor.execute(rollup.compare, parameters)
            number += cursor.fetchone()[0]
    return number


def _write_hours(start: datetime, end: datetime) -> str:
    if is_read_only():
        return UNREPAIRED
    with atomic():
        row = steps.lock()
        write_range(start, end, row.hours_until or end)
    return REPAIRED


def _write(rollups: tuple[Rollup, ...], parameters: dict[str, Any]) -> str:
    if is_read_only():
        return UNREPAIRED
    with atomic(), connection.cursor() as cursor:
        steps.lock()
        for rollup in rollups:
            cursor.execute(rollup.write, parameters)
    return REPAIRED
