"""Folds completions into the hours and days over all users, and quarters into figures of people.

The hours follow the clock by a minute: the last hours, the open one too, are computed as a whole
each time. What an older version has folded is computed again, oldest first, while there is time.
"""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.transaction import atomic

from accounts.toolbox.keyset import find_first_key
from llmproxy.models import ActiveDay, Completion, LatencyDay, UsageDay, UsageFold, UsageQuarter
from llmproxy.usage import steps
from llmproxy.usage.steps import AGAIN, HOUR, MARGIN, OPEN_MARGIN, QUARTER, round_down
from llmproxy.usage.whole_site import rollups, tops
from llmproxy.usage.whole_site.days import bound_day, bound_days, find_day, list_days

GRACE = timedelta(seconds=10)  # time from a completion until it is folded
STEP_ROWS = steps.STEP_ROWS


def fold(*, now: datetime, seconds: float) -> None:
    """Fold what was written until GRACE before `now`, step by step.

    After `seconds` no further step of a kind begins: the next call goes on.
    """
    end = (now - GRACE).replace(microsecond=0)
    stop = time.monotonic() + seconds
    row = _prepare(end)
    _fold_range(_find_start(row, end), end, stop)
    row.refresh_from_db()
    if row.filled_until is not None and row.hours_until is not None:
        _fold_range(row.filled_until, row.hours_until, stop)
    _fold_people(stop)


def write_range(start: datetime, end: datetime, until: datetime) -> None:
    """Compute the hours between two moments, and the days that they touch.

    The caller holds the lock. No completion from `until` on counts.
    """
    hours = steps.bound(Completion.objects.all(), start, end, margin=_margin(start, end))
    with connection.cursor() as cursor:
        for rollup in rollups.OF_HOURS:
            cursor.execute(rollup.write, hours)
        for day in list_days(start, end):
            parameters = bound_day(day, until)
            for rollup in rollups.OF_DAYS:
                cursor.execute(rollup.write, parameters)


def _prepare(end: datetime) -> UsageFold:
    """Return how far it is folded, for a clock that may have been set back, and another zone."""
    with atomic():
        row = steps.lock()
        if row.zone != settings.SELLER_TIME_ZONE:
            for model in (UsageDay, LatencyDay, ActiveDay):
                model.objects.all().delete()
            row.zone, row.filled_until, row.people_until = settings.SELLER_TIME_ZONE, None, None
        if row.filled_until is None:
            first = Completion.objects.order_by("pk").values_list("created_at", flat=True).first()
            row.filled_until = round_down(min(first or end, end) - MARGIN, HOUR)
        if row.hours_until is not None and row.hours_until > end:
            row.hours_until, row.filled_until = end, min(row.filled_until, end)
        row.save()
    return row


def _find_start(row: UsageFold, end: datetime) -> datetime:
    """Return where to begin. Once in a quarter of an hour more is computed again than otherwise."""
    if row.hours_until is None:
        return row.filled_until or end
    is_same_quarter = round_down(row.hours_until, QUARTER) == round_down(end, QUARTER)
    return row.hours_until - (OPEN_MARGIN if is_same_quarter else AGAIN)


def _margin(start: datetime, end: datetime) -> timedelta:
    """Return by how much keys and times may differ; at the open end it is less."""
    return OPEN_MARGIN if end - start < AGAIN else MARGIN


def _fold_range(first: datetime, end: datetime, stop: float) -> None:
    start, is_first = round_down(first, HOUR), True
    while start < end and (is_first or time.monotonic() < stop):
        start, is_first = _fold_step(start, end), False


def _fold_step(start: datetime, end: datetime) -> datetime:
    """Fold about STEP_ROWS completions from `start` on; return where the next step begins."""
    every = Completion.objects.all()
    step_end = steps.find_step_end(every, start, end, step_rows=STEP_ROWS)
    first_open = find_first_key(every, "id", "created_at", step_end - OPEN_MARGIN)
    with atomic():
        row = steps.lock()
        until = max(step_end, row.hours_until or step_end)
        write_range(start, step_end, until)
        if until != row.hours_until:
            row.hours_until, row.hours_first_id = until, first_open
        if row.filled_until is not None and start <= row.filled_until:
            row.filled_until = max(row.filled_until, step_end)
        row.save()
    return step_end


def _fold_people(stop: float) -> None:
    """Count the active users of each day, and then who used most, if a quarter has been closed."""
    row = UsageFold.objects.get()
    if row.until is None or row.people_until == row.until:
        return
    if row.people_until is None:
        quarters = UsageQuarter.objects.order_by("quarter").values_list("quarter", flat=True)
        start = min(quarters.first() or row.until, row.until)
    else:
        start = min(row.people_until, row.until) - AGAIN
    is_first = True
    while start < row.until and (is_first or time.monotonic() < stop):
        start, is_first = _count_people(start, row.until), False


def _count_people(start: datetime, until: datetime) -> datetime:
    """Count the active users of some days from `start` on; return where the next ones begin."""
    parameters = bound_days(find_day(start), until)
    end: datetime = parameters["until"]
    with atomic(), connection.cursor() as cursor:
        steps.lock()
        cursor.execute(rollups.ACTIVE_DAYS.write, parameters)
        if end == until:
            cursor.execute(tops.TOPS.write, tops.bound_ranges(end))
        UsageFold.objects.update(people_until=end)
    return end
