"""Folds completions, that is, sums them up in the roll-ups of usage. `manage.py tick` calls it.

Each quarter of an hour that is over is computed as a whole, so doing it again does no harm, and
answers are not slowed down by counting. The last hours are computed again each time, because a
completion may be committed later than its time says.
"""

import time
from datetime import datetime, timedelta

from django.db import connection
from django.db.transaction import atomic

from accounts.toolbox.keyset import find_first_key
from llmproxy.models import Completion, UsageFold, UsageQuarter
from llmproxy.usage import statements
from llmproxy.usage.steps import (
    AGAIN,
    HOUR,
    MARGIN,
    OPEN_MARGIN,
    QUARTER,
    ROUND_SECONDS,
    STEP_ROWS,
    bound,
    find_step_end,
    lock,
    read_clock,
    round_down,
)
from llmproxy.usage.whole_site import folding as whole_site

GRACE = timedelta(minutes=2)  # time from the end of a quarter until it is folded


def fold(*, seconds: float = ROUND_SECONDS) -> int:
    """Fold all quarters that ended GRACE ago, step by step; return the number of steps.

    The roll-ups over all users follow. After `seconds` no further step begins: the next call goes
    on.
    """
    now = _read_clock()
    end = round_down(now - GRACE, QUARTER)
    start, stop, steps = _find_start(end), time.monotonic() + seconds, 0
    while start is not None and start < end and (not steps or time.monotonic() < stop):
        start = _fold_step(start, end)
        steps += 1
    whole_site.fold(now=now, seconds=max(stop - time.monotonic(), 0))
    return steps


def rebuild(user_id: int) -> None:
    """Compute the closed quarters of one user again, step by step.

    Quarters without completions are deleted. An open quarter is not touched.
    """
    until = UsageFold.objects.values_list("until", flat=True).first()
    own = Completion.objects.filter(user=user_id)
    start = _find_first_moment(user_id)
    while until is not None and start is not None and start < until:
        step_end = find_step_end(own, start, until, step_rows=STEP_ROWS)
        parameters = {"user": user_id, **bound(own, start, step_end)}
        with atomic(), connection.cursor() as cursor:
            lock()
            cursor.execute(statements.DELETE_QUARTERS, parameters)
            cursor.execute(statements.FOLD_QUARTERS_OF_USER, parameters)
        start = step_end


def _read_clock() -> datetime:
    return read_clock()


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
    step_end = find_step_end(every, start, end, step_rows=STEP_ROWS)
    parameters = bound(every, start, step_end)
    first_open = find_first_key(every, "id", "created_at", step_end - OPEN_MARGIN)
    with atomic(), connection.cursor() as cursor:
        lock()
        cursor.execute(statements.FOLD_QUARTERS, parameters)
        cursor.execute(statements.MOVE_END, {"until": step_end, "first_id": first_open})
    return step_end
