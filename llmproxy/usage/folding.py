"""Folds completions, that is, sums them up in the roll-ups of usage. `manage.py tick` calls it.

Each quarter of an hour that is over is computed as a whole, so doing it again does no harm, and
answers are not slowed down by counting. The last hours are computed again each time, because a
completion may be committed later than its time says.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.transaction import atomic

from accounts.toolbox.keyset import find_first_key
from llmproxy.models import Completion, UsageFold, UsageQuarter
from llmproxy.usage import statements

QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
MARGIN = timedelta(hours=1)  # the most by which the order of keys and that of times may differ
OPEN_MARGIN = timedelta(minutes=10)  # the same, for what pages read; no statement takes this long
GRACE = timedelta(minutes=2)  # time from the end of a quarter until it is folded
AGAIN = timedelta(hours=2)  # time before the end of what is folded that is computed again
STEP_ROWS = 20_000  # completions of one step, approximately; an hour is never divided
ROUND_SECONDS = 20.0  # An old installation is folded in several rounds.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def fold(*, seconds: float = ROUND_SECONDS) -> int:
    """Fold all quarters that ended GRACE ago, step by step; return the number of steps.

    After `seconds` no further step begins: the next call goes on.
    """
    end = round_down(_read_clock() - GRACE, QUARTER)
    start, stop, steps = _find_start(end), time.monotonic() + seconds, 0
    while start is not None and start < end and (not steps or time.monotonic() < stop):
        start = _fold_step(start, end)
        steps += 1
    return steps


def rebuild(user_id: int) -> None:
    """Compute the closed quarters of one user again, step by step.

    Quarters without completions are deleted. An open quarter is not touched.
    """
    until = UsageFold.objects.values_list("until", flat=True).first()
    own = Completion.objects.filter(user=user_id)
    start = _find_first_moment(user_id)
    while until is not None and start is not None and start < until:
        step_end = _find_step_end(own, start, until)
        parameters = {"user": user_id, **_bound(own, start, step_end)}
        with atomic(), connection.cursor() as cursor:
            _lock()
            cursor.execute(statements.DELETE_QUARTERS, parameters)
            cursor.execute(statements.FOLD_QUARTERS_OF_USER, parameters)
        start = step_end


def round_down(moment: datetime, unit: timedelta) -> datetime:
    """Return the last whole `unit` of UTC at or before the moment."""
    return moment - (moment - EPOCH) % unit


def _read_clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0].astimezone(UTC)


def _find_start(end: datetime) -> datetime | None:
    """Return where to begin, on a whole hour; None if nothing new is over."""
    until = UsageFold.objects.values_list("until", flat=True).first()
    if until is not None:  # It is later than `end` if the clock of the database was set back.
        return round_down(min(until, end) - AGAIN, HOUR) if until != end else None
    first = Completion.objects.order_by("pk").values_list("created_at", flat=True).first()
    return round_down(min(first or end, end) - AGAIN, HOUR)


def _find_first_moment(user_id: int) -> datetime | None:
    """Return the hour of the first quarter or completion of a user."""
    own = Completion.objects.filter(user=user_id).order_by("pk")
    quarters = UsageQuarter.objects.filter(user=user_id).order_by("quarter")
    firsts = [own.values_list("created_at", flat=True).first()]
    firsts.append(quarters.values_list("quarter", flat=True).first())
    known = [first for first in firsts if first is not None]
    return round_down(min(known) - MARGIN, HOUR) if known else None


def _fold_step(start: datetime, end: datetime) -> datetime:
    """Fold about STEP_ROWS completions from `start` on; return where the next step begins."""
    every = Completion.objects.all()
    step_end = _find_step_end(every, start, end)
    parameters = _bound(every, start, step_end)
    first_open = find_first_key(every, "id", "created_at", step_end - OPEN_MARGIN)
    with atomic(), connection.cursor() as cursor:
        _lock()
        cursor.execute(statements.FOLD_QUARTERS, parameters)
        cursor.execute(statements.FOLD_HOURS, parameters)
        cursor.execute(statements.MOVE_END, {"until": step_end, "first_id": first_open})
    return step_end


def _lock() -> None:
    """Take the lock against another fold, which could write older figures."""
    UsageFold.objects.bulk_create([UsageFold(id=UsageFold.ONLY)], ignore_conflicts=True)
    list(UsageFold.objects.select_for_update())


def _find_step_end(rows: QuerySet[Completion], start: datetime, end: datetime) -> datetime:
    """Return the end of a step, on a whole hour but for the last one."""
    first = find_first_key(rows, "id", "created_at", start)
    times = rows.filter(pk__gte=first).order_by("pk").values_list("created_at", flat=True)
    beyond = next(iter(times[STEP_ROWS : STEP_ROWS + 1]), None)
    if beyond is None:
        return end
    return min(max(round_down(beyond, HOUR), start + HOUR), end)


def _bound(rows: QuerySet[Completion], start: datetime, end: datetime) -> dict[str, Any]:
    """Return the parameters of a step. Times have no index, so keys bound what is read."""
    first = find_first_key(rows, "id", "created_at", start - MARGIN)
    last = find_first_key(rows, "id", "created_at", end + MARGIN)
    return {"first": first, "last": last, "start": start, "end": end}
