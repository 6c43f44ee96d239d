"""How providers did, by day: calls, failures, time to the first byte, and what they reported against what was charged.

From the completions of each day, which the primary key bounds: of a day that is over once, of the present one at most
once a minute, however many look.
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

# Each attempt is a call; one that was not the last led to the next provider. Who leaves, or asks for what cannot be, is
# no failure of the provider's. What was answered, reported and charged belongs to the last provider asked.
_BY_DAY = """
WITH recent AS (
    SELECT * FROM completions
     WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(since)s AND created_at < %(until)s
), asked AS (
    SELECT a.attempt ->> 'provider' AS provider, count(*) AS calls,
           count(*) FILTER (WHERE a.attempt ->> 'error' = ANY (%(failures)s)) AS failures,
           count(*) FILTER (WHERE a.number < jsonb_array_length(attempts)) AS fallbacks
      FROM recent, jsonb_array_elements(attempts) WITH ORDINALITY AS a(attempt, number) GROUP BY 1
), answered AS (
    SELECT provider, percentile_disc(0.5) WITHIN GROUP (ORDER BY first_byte_ms) AS first_byte_ms,
           sum(prompt_tokens + completion_tokens) FILTER (WHERE usage_source IN ('exact', 'capped')) AS tokens,
           sum(charged) AS charged, max(created_at) FILTER (WHERE status = 'completed') AS last_success
      FROM recent WHERE provider <> '' GROUP BY 1
)
SELECT provider, COALESCE(calls, 0), COALESCE(failures, 0), COALESCE(fallbacks, 0), first_byte_ms,
       COALESCE(tokens, 0), COALESCE(charged, 0), last_success
  FROM asked FULL JOIN answered USING (provider) ORDER BY provider
"""


@dataclass(frozen=True, slots=True)
class ProviderDay:
    """One provider on one day of the operator's time zone. `tokens` are those that it reported itself."""

    name: str
    day: date
    provider: str
    calls: int
    failures: int
    fallbacks: int
    first_byte_ms: int | None
    tokens: int
    charged: int
    last_success: datetime | None

    @property
    def failed_percent(self) -> float:
        return 100 * self.failures / self.calls if self.calls else 0


def by_day() -> list[ProviderDay]:
    """Newest day first."""
    today = timezone.localdate()
    days = {
        f"llmproxy.providers.{day}": day
        for day in (today - timedelta(days=ago) for ago in range(DAYS))
    }
    known = cache.get_many(days)
    for key, day in days.items():
        if key not in known:
            known[key] = _asked(day)
            is_final = _start(day + timedelta(days=1)) + MARGIN < timezone.now()
            cache.set(key, known[key], FINAL_SECONDS if is_final else CACHE_SECONDS)
    names = dict(Provider.objects.values_list("slug", "name"))
    return [
        ProviderDay(names.get(row[0], row[0]), day, *row)
        for key, day in days.items()
        for row in known[key]
    ]


def last_successes() -> dict[str, datetime]:
    """When each provider last answered to the end, by slug; within the last DAYS."""
    found = [(row.provider, row.last_success) for row in by_day() if row.last_success is not None]
    return {slug: max(at for one, at in found if one == slug) for slug, _at in found}


def asked() -> set[str]:
    """Whom somebody's completion was sent to within the last DAYS, by slug."""
    return {row.provider for row in by_day() if row.calls}


def since() -> datetime:
    """The beginning of the last DAYS."""
    return _start(timezone.localdate() - timedelta(days=DAYS - 1))


def _asked(day: date) -> list[tuple[Any, ...]]:
    since, until = _start(day), _start(day + timedelta(days=1))
    rows = Completion.objects.all()
    asked: dict[str, Any] = {
        "failures": [kind.code for kind in (UpstreamError, UpstreamUnavailable, UpstreamTimeout)],
        "since": since,
        "until": until,
        "first": find_first_key(rows, "id", "created_at", since - MARGIN),
        "last": find_first_key(rows, "id", "created_at", until + MARGIN),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, asked)
        return list(cursor.fetchall())


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
