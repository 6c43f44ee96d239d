"""The figures of the operator's charts, read from the roll-ups: a statement for each kind."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from accounts.models import ApiKey, User
from accounts.time_zones import borders
from deviceauth.models import DeviceSession
from llmproxy.models import ActiveDay, UsageFold, UsageTop
from llmproxy.receipts.callers import DEVICE, KEY
from llmproxy.usage.steps import HOUR
from llmproxy.usage.whole_site.days import find_begin, find_day, get_zone
from llmproxy.usage.whole_site.rollups import BUCKETS

WEEK = 7


@dataclass(frozen=True, slots=True)
class Span:
    """The periods of a chart: 24 hours, 7 or 30 days, or 13 periods of a week for 90 days.

    `limits` are the moments at which periods begin and end. `step` is in days, 0 for hours.
    """

    days: int
    now: datetime
    begin: datetime
    first_day: date
    step: int
    limits: tuple[datetime, ...]

    @property
    def periods(self) -> int:
        return len(self.limits) - 1


@dataclass(frozen=True, slots=True)
class Sums:
    """What was used of a model at a provider in a period.

    `cost` is in US dollars, of `costed` completions that were charged `costed_charged` credits.
    """

    period: int
    provider: str
    model: str
    answers: int
    failures: int
    charged: int
    cost: Decimal
    costed: int
    costed_charged: int


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The median and the 95th percentile in milliseconds, of so many answers."""

    p50: float
    p95: float
    answers: int


@dataclass(frozen=True, slots=True)
class Top:
    """What a user, or one device or key of a user, used. `credential` is empty for browsers."""

    user: User
    credential: str
    name: str
    charged: int
    answers: int
    failures: int


def find_span(days: int, now: datetime) -> Span:
    """Return the periods of a range. Where days do not make whole weeks, the first is shorter."""
    begin = find_begin(days, now)
    if days == 1:
        limits = [begin + number * HOUR for number in range(25)]
        return Span(days, now, begin, find_day(begin), 0, tuple(limits))
    first = find_day(begin)
    midnights = borders(first, days, get_zone())
    step = WEEK if days > WEEK * 5 else 1
    kept = [midnights[0], *midnights[days % step or step :: step]]
    return Span(days, now, begin, first, step, tuple(kept))


def find_end() -> datetime | None:
    """Return up to when the figures count; None if nothing has been folded yet."""
    return UsageFold.objects.values_list("hours_until", flat=True).first()


def read_sums(span: Span) -> list[Sums]:
    """Read the sums of each period, provider and model."""
    return [Sums(*row) for row in _query(_SUMS[span.step == 0], span)]


def read_percentiles(
    span: Span,
) -> dict[tuple[str, str], tuple[Percentiles, dict[int, Percentiles]]]:
    """Read the latencies by measure and provider: of the whole range, and of each period."""
    parts: dict[tuple[str, str], dict[int, dict[int, int]]] = {}
    for period, provider, measure, bucket, answers in _query(_LATENCIES[span.step == 0], span):
        periods = parts.setdefault((measure, provider), defaultdict(dict))
        periods[period][bucket] = answers
    return {
        key: (
            _find_percentiles(_merge(list(periods.values()))),
            {period: _find_percentiles(buckets) for period, buckets in periods.items()},
        )
        for key, periods in parts.items()
    }


def read_active(span: Span) -> dict[date, int]:
    """Read how many users were active on each day of the range that has a row."""
    return dict(
        ActiveDay.objects.filter(day__gte=span.first_day, day__lte=find_day(span.now)).values_list(
            "day", "users"
        )
    )


def read_joined(span: Span) -> dict[date, int]:
    """Count the users who joined on each day of the range, by their rows."""
    days = (find_day(span.now) - span.first_day).days + 1
    limits = borders(span.first_day, days, get_zone())
    with connection.cursor() as cursor:
        cursor.execute(_JOINED, {"limits": limits[:-1], "begin": limits[0]})
        return {span.first_day + timedelta(days=number - 1): users for number, users in cursor}


def read_tops(span: Span) -> tuple[list[Top], list[Top]]:
    """Read the users, and the devices and keys, that used most credits."""
    rows = list(UsageTop.objects.filter(days=span.days).order_by("place").select_related("user"))
    names = _find_names([row.credential for row in rows if row.kind == UsageTop.Kind.CREDENTIAL])
    tops = [
        (row.kind, Top(row.user, row.credential, names.get(row.credential, ""), *_pick(row)))
        for row in rows
    ]
    users = [top for kind, top in tops if kind == UsageTop.Kind.USER]
    return users, [top for kind, top in tops if kind == UsageTop.Kind.CREDENTIAL]


def _pick(row: UsageTop) -> tuple[int, int, int]:
    return row.charged, row.answers, row.failures


def _find_names(credentials: Sequence[str]) -> dict[str, str]:
    """Return the present names of devices and keys, by credential."""
    parts = [credential.partition(":") for credential in credentials]
    keys = ApiKey.objects.filter(pk__in=[own for kind, _, own in parts if kind == KEY])
    devices = DeviceSession.objects.filter(
        token_family__in=[own for kind, _, own in parts if kind == DEVICE]
    )
    return {row.credential: row.name for rows in (keys, devices) for row in rows}


def _query(statement: str, span: Span) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {
        "begin": span.begin,
        "first_day": span.first_day,
        "last_day": find_day(span.now),
        "step": span.step or 1,
        "shift": -span.days % (span.step or 1),  # the first period is the short one
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _merge(parts: Sequence[dict[int, int]]) -> dict[int, int]:
    merged: dict[int, int] = {}
    for part in parts:
        for bucket, answers in part.items():
            merged[bucket] = merged.get(bucket, 0) + answers
    return merged


def _find_percentiles(buckets: dict[int, int]) -> Percentiles:
    number = sum(buckets.values())
    return Percentiles(
        _find_rank(buckets, number * 0.5), _find_rank(buckets, number * 0.95), number
    )


def _find_rank(buckets: dict[int, int], rank: float) -> float:
    """Return the time of the answer of this rank, as if a bucket's answers were spread evenly."""
    below = 0
    for bucket, answers in sorted(buckets.items()):
        if below + answers >= rank:
            low, high = (2 ** (edge / BUCKETS) for edge in (bucket, bucket + 1))
            return float(low + (high - low) * (rank - below) / answers)
        below += answers
    return 0.0


_DAY = "((day - %(first_day)s::date + %(shift)s) / %(step)s)::int"
_HOUR = "(extract(epoch FROM hour - %(begin)s) / 3600)::int"
_IN_DAYS = "day >= %(first_day)s AND day <= %(last_day)s"
_IN_HOURS = "hour >= %(begin)s"
_SUMMED = """provider, model, sum(answers)::bigint, sum(failures)::bigint, sum(charged)::bigint,
       COALESCE(sum(provider_cost), 0), COALESCE(sum(costed_completions), 0)::bigint,
       COALESCE(sum(costed_charged), 0)::bigint"""
_COUNTED = "provider, measure, bucket, sum(answers)::bigint"
# Of days, and of hours.
_SUMS = (
    f"SELECT {_DAY}, {_SUMMED} FROM usage_days WHERE {_IN_DAYS} GROUP BY 1, 2, 3",  # noqa: S608
    f"SELECT {_HOUR}, {_SUMMED} FROM usage_hours WHERE {_IN_HOURS} GROUP BY 1, 2, 3",  # noqa: S608
)
_LATENCIES = (
    f"SELECT {_DAY}, {_COUNTED} FROM usage_latency_days"  # noqa: S608
    f" WHERE {_IN_DAYS} GROUP BY 1, 2, 3, 4",
    f"SELECT {_HOUR}, {_COUNTED} FROM usage_latency_hours"  # noqa: S608
    f" WHERE {_IN_HOURS} GROUP BY 1, 2, 3, 4",
)
_JOINED = """
SELECT width_bucket(date_joined, %(limits)s::timestamptz[]), count(*)
  FROM users WHERE date_joined >= %(begin)s GROUP BY 1
"""
