"""How each provider answered in each quarter of an hour of the last day, for the public page.

The figures are computed from completions, of which at most SAMPLE a quarter are read, by one
request at a time and at most once in FRESH_SECONDS. A quarter that is over is computed once. So
visitors cause a bounded load, whatever the number of completions.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import Error, connection

from accounts.database.faults import find_fault
from accounts.toolbox.keyset import find_first_key
from llmproxy.exceptions import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import Completion

logger = logging.getLogger(__name__)

QUARTER = timedelta(minutes=15)
DAY_QUARTERS = 96
SAMPLE = 500
FRESH_SECONDS = 20
LOCK_SECONDS = 30
KEPT_SECONDS = 24 * 3600
SETTLES_WITHIN = timedelta(minutes=2)  # from drawing a key to writing its row
SLOW_MS = 15_000  # until the first byte
KEY, LOCK = "llmproxy.quarters", "llmproxy.quarters.lock"

Row = tuple[Any, ...]  # the slug of a provider, and the arguments of Figures
# The content of the cache: plain values, because workers of two versions may share it for a while.
Counted = dict[datetime, list[Row]]

# LATERAL with OFFSET makes PostgreSQL look each id up, instead of reading the whole table.
_BY_QUARTER = """
WITH picked AS (
    SELECT found.*
      FROM generate_series(%(first)s::bigint, %(last)s::bigint, %(step)s::bigint) AS wanted(id),
           LATERAL (SELECT attempts, first_byte_ms, COALESCE(user_id, 0) AS caller,
                           date_bin('15 minutes', created_at, 'epoch') AS begin
                      FROM completions WHERE completions.id = wanted.id OFFSET 0) AS found
), asked AS (
    SELECT begin, a.attempt ->> 'provider' AS provider, caller,
           a.attempt ->> 'error' = ANY (%(failures)s) AS has_failed,
           a.number = jsonb_array_length(attempts) AND first_byte_ms > %(slow_ms)s AS was_slow
      FROM picked, jsonb_array_elements(attempts) WITH ORDINALITY AS a(attempt, number)
)
SELECT begin, provider, count(*), count(*) FILTER (WHERE has_failed),
       count(*) FILTER (WHERE was_slow), count(DISTINCT caller) FILTER (WHERE has_failed)
  FROM asked GROUP BY begin, provider
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The calls to a provider within a quarter. `failing_callers` are users whose calls failed.

    A caller who disconnects or sends a wrong request is no failure.
    """

    calls: int
    failures: int
    slow: int
    failing_callers: int


@dataclass(frozen=True, slots=True)
class Day:
    """The figures of the last DAY_QUARTERS, oldest first, by the slug of the provider.

    `at` is when they were computed; None if another request is about to compute the first ones.
    """

    at: datetime | None
    quarters: list[tuple[datetime, dict[str, Figures]]]


def read_day(now: datetime) -> Day:
    """Return the figures. While one request computes new ones, the others get the last ones."""
    at, counted = cache.get(KEY, (None, {}))
    is_fresh = at is not None and now - at < timedelta(seconds=FRESH_SECONDS)
    if not is_fresh and _take_lock():
        try:
            at, counted = now, _count_missing(counted, at, now)
            cache.set(KEY, (at, counted), KEPT_SECONDS)
        finally:
            cache.delete(LOCK)
    unpacked = [
        (begin, {slug: Figures(*figures) for slug, *figures in rows})
        for begin, rows in sorted(counted.items())
    ]
    return Day(at, unpacked)


def _take_lock() -> bool:
    """Whether this request may compute figures; never if the database can only be read."""
    try:
        return bool(cache.add(LOCK, "1", LOCK_SECONDS))
    except Error as error:
        fault = find_fault(error)
        if fault is None or not fault.reads:
            raise
        logger.warning("the status of providers is not computed: %s", fault.name)
        return False


def _count_missing(counted: Counted, at: datetime | None, now: datetime) -> Counted:
    """Return the figures of the last day; `counted` at the moment `at` are used where they last."""
    current = floor_to_quarter(now)
    begins = [current - QUARTER * back for back in reversed(range(DAY_QUARTERS))]
    final = {
        begin: counted[begin]
        for begin in begins
        if begin in counted and at is not None and begin + QUARTER + SETTLES_WITHIN < at
    }
    missing = [begin for begin in begins if begin not in final]  # the current one at least
    fresh = _count(missing[0], now)
    return final | {begin: fresh.get(begin, []) for begin in missing}


def floor_to_quarter(moment: datetime) -> datetime:
    """Return the begin of the quarter of an hour (UTC) in which this moment is."""
    return moment - timedelta(seconds=moment.timestamp() % QUARTER.total_seconds())


def _count(begin: datetime, end: datetime) -> Counted:
    """Count the quarters between these moments, from at most SAMPLE rows each on average."""
    completions = Completion.objects.all()
    first = find_first_key(completions, "id", "created_at", begin - SETTLES_WITHIN)
    last = completions.order_by("-id").values_list("id", flat=True).first() or 0
    most = SAMPLE * (1 + (end - begin) // QUARTER)
    parameters: dict[str, Any] = {
        "first": first,
        "last": last,
        "step": 1 + max(last - first, 0) // most,
        "failures": [kind.code for kind in (UpstreamError, UpstreamUnavailable, UpstreamTimeout)],
        "slow_ms": SLOW_MS,
    }
    counted: Counted = {}
    with connection.cursor() as cursor:
        cursor.execute(_BY_QUARTER, parameters)
        for quarter, *row in cursor.fetchall():
            counted.setdefault(quarter.astimezone(UTC), []).append(tuple(row))
    return counted
