"""Figures of each provider by day: calls, failures, time to the first byte, tokens and charges.

An answer that was cut off is one whose provider took too long. It may have generated something that
the operator pays for, so these are counted apart from other failures.

They are computed from the completions of a day, which a range of the primary key bounds. A day that
is over is computed once, the present day at most once a minute; the cache has the results.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.admin.filters import MARGIN
from accounts.toolbox.keyset import find_first_key
from llmproxy.exceptions import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import Completion, Provider

DAYS = 7
CACHE_SECONDS = 60
FINAL_SECONDS = (DAYS + 1) * 24 * 3600

# Each attempt is a call; each one but the last is a fallback. A caller who disconnects or sends a
# wrong request is no failure of the provider. Answer, usage and charge belong to the last provider.
_BY_DAY = """
WITH recent AS (
    SELECT * FROM completions
     WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(since)s AND created_at < %(until)s
), asked AS (
    SELECT a.attempt ->> 'provider' AS provider, count(*) AS calls,
           count(*) FILTER (WHERE a.attempt ->> 'error' = ANY (%(failures)s)) AS failures,
           count(*) FILTER (WHERE a.attempt ->> 'error' = %(cut_off)s) AS cut_offs,
           count(*) FILTER (WHERE a.number < jsonb_array_length(attempts)) AS fallbacks
      FROM recent, jsonb_array_elements(attempts) WITH ORDINALITY AS a(attempt, number) GROUP BY 1
), answered AS (
    SELECT provider, percentile_disc(0.5) WITHIN GROUP (ORDER BY first_byte_ms) AS first_byte_ms,
           sum(prompt_tokens + completion_tokens)
               FILTER (WHERE usage_source IN ('exact', 'capped')) AS tokens,
           sum(charged) AS charged,
           max(created_at) FILTER (WHERE status = 'completed') AS last_success
      FROM recent WHERE provider <> '' GROUP BY 1
)
SELECT provider, COALESCE(calls, 0), COALESCE(failures, 0), COALESCE(cut_offs, 0),
       COALESCE(fallbacks, 0), first_byte_ms, COALESCE(tokens, 0), COALESCE(charged, 0),
       last_success
  FROM asked FULL JOIN answered USING (provider) ORDER BY provider
"""


@dataclass(frozen=True, slots=True)
class ProviderDay:
    """A provider's figures of one day in the operator's time zone. It reported the `tokens`."""

    name: str
    day: date
    provider: str
    calls: int
    failures: int
    cut_offs: int
    fallbacks: int
    first_byte_ms: int | None
    tokens: int
    charged: int
    last_success: datetime | None

    @property
    def failed_percent(self) -> float:
        return 100 * self.failures / self.calls if self.calls else 0


def list_days() -> list[ProviderDay]:
    """The figures of the last DAYS, newest day first."""
    today = timezone.localdate()
    days = {
        f"llmproxy.provider_days.{day}": day
        for day in (today - timedelta(days=ago) for ago in range(DAYS))
    }
    known = cache.get_many(days)
    for key, day in days.items():
        if key not in known:
            known[key] = _query_day(day)
            is_final = _start_of_day(day + timedelta(days=1)) + MARGIN < timezone.now()
            cache.set(key, known[key], FINAL_SECONDS if is_final else CACHE_SECONDS)
    names = dict(Provider.objects.values_list("slug", "name"))
    return [
        ProviderDay(names.get(row[0], row[0]), day, *row)
        for key, day in days.items()
        for row in known[key]
    ]


def find_last_successes() -> dict[str, datetime]:
    """The time of each provider's last complete answer within the last DAYS, by slug."""
    latest: dict[str, datetime] = {}
    for row in list_days():
        if row.last_success is not None:
            latest[row.provider] = max(row.last_success, latest.get(row.provider, row.last_success))
    return latest


def count_cut_offs() -> dict[str, int]:
    """The answers of each provider that were cut off within the last DAYS, by slug."""
    counts: dict[str, int] = {}
    for row in list_days():
        counts[row.provider] = counts.get(row.provider, 0) + row.cut_offs
    return counts


def list_asked() -> set[str]:
    """The slugs of the providers that were asked for a completion within the last DAYS."""
    return {row.provider for row in list_days() if row.calls}


def get_window_start() -> datetime:
    """The first moment of the last DAYS."""
    return _start_of_day(timezone.localdate() - timedelta(days=DAYS - 1))


def _query_day(day: date) -> list[tuple[Any, ...]]:
    since, until = _start_of_day(day), _start_of_day(day + timedelta(days=1))
    rows = Completion.objects.all()
    parameters: dict[str, Any] = {
        "failures": [kind.code for kind in (UpstreamError, UpstreamUnavailable, UpstreamTimeout)],
        "cut_off": UpstreamTimeout.code,
        "since": since,
        "until": until,
        "first": find_first_key(rows, "id", "created_at", since - MARGIN),
        "last": find_first_key(rows, "id", "created_at", until + MARGIN),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, parameters)
        return list(cursor.fetchall())


def _start_of_day(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
