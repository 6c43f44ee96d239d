"""How providers did, by day: calls, failures, time to the first byte, and what they reported against what was charged.

From the completions of a week, which the primary key bounds, and at most once a minute however many look.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.filters import MARGIN
from accounts.keyset import edge
from llmproxy.exceptions import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import Completion, Provider

DAYS = 7
CACHE_SECONDS = 60
CACHE_KEY = "llmproxy.provider_days"

# Each attempt is a call; one that was not the last led to the next provider. Who leaves, or asks for what cannot be, is
# no failure of the provider's. What was answered, reported and charged belongs to the last provider asked.
_BY_DAY = """
WITH recent AS (
    SELECT *, (created_at AT TIME ZONE %(zone)s)::date AS day FROM completions
     WHERE id >= %(first)s AND created_at >= %(since)s
), asked AS (
    SELECT day, a.attempt ->> 'provider' AS provider, count(*) AS calls,
           count(*) FILTER (WHERE a.attempt ->> 'error' = ANY (%(failures)s)) AS failures,
           count(*) FILTER (WHERE a.number < jsonb_array_length(attempts)) AS fallbacks
      FROM recent, jsonb_array_elements(attempts) WITH ORDINALITY AS a(attempt, number) GROUP BY 1, 2
), answered AS (
    SELECT day, provider,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY first_byte_ms) AS first_byte_ms,
           sum(prompt_tokens + completion_tokens) FILTER (WHERE usage_source IN ('exact', 'capped')) AS tokens,
           sum(charged) AS charged, max(created_at) FILTER (WHERE status = 'completed') AS last_success
      FROM recent WHERE provider <> '' GROUP BY 1, 2
)
SELECT day, provider, COALESCE(calls, 0), COALESCE(failures, 0), COALESCE(fallbacks, 0), first_byte_ms,
       COALESCE(tokens, 0), COALESCE(charged, 0), last_success
  FROM asked FULL JOIN answered USING (day, provider) ORDER BY day DESC, provider
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
    rows = cache.get(CACHE_KEY)
    if rows is None:
        rows = [asdict(row) for row in _ask()]
        cache.set(CACHE_KEY, rows, CACHE_SECONDS)
    return [ProviderDay(**row) for row in rows]


def last_successes() -> dict[str, datetime]:
    """When each provider last answered to the end, by slug; within the last DAYS."""
    found = [(row.provider, row.last_success) for row in by_day() if row.last_success is not None]
    return {slug: max(at for one, at in found if one == slug) for slug, _at in found}


def _ask() -> Iterator[ProviderDay]:
    since = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    asked: dict[str, Any] = {
        "failures": [kind.code for kind in (UpstreamError, UpstreamUnavailable, UpstreamTimeout)],
        "zone": timezone.get_current_timezone_name(),
        "since": since,
        "first": edge(Completion.objects.all(), "id", "created_at", since - MARGIN),
    }
    names = dict(Provider.objects.values_list("slug", "name"))
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, asked)
        for row in cursor.fetchall():
            yield ProviderDay(names.get(row[1], row[1]), *row)
