"""How providers answered in the last minutes, against the day before, for the operator.

At most SAMPLE completions of the last minutes and DAY_SAMPLE of the day are read, by their primary
keys, so the cost does not grow with the number of completions. Refusals before a provider is asked
(401, 402, 429, 503) have no completion, and so are not in these figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from accounts.toolbox.keyset import find_first_key
from llmproxy.exceptions import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import Completion

RECENT = timedelta(minutes=15)
DAY = timedelta(days=1)
MARGIN = timedelta(minutes=2)  # the most by which the order of keys and that of times may differ
SAMPLE = 1500  # of a fair share of 10 %, it is at most 2 points off, 19 times in 20
DAY_SAMPLE = 500  # What is common is 3 points off at most: it matters only if it has doubled.
EVERY = ""  # instead of the slug of a provider: all answers together

# The failures of a provider. A caller who disconnects or sends a wrong request is no failure.
FAILURES = [kind.code for kind in (UpstreamError, UpstreamUnavailable, UpstreamTimeout)]

# LATERAL with OFFSET makes PostgreSQL look each id up, instead of reading the whole table.
_SUMS = """
WITH wanted AS (
    SELECT generate_series(%(middle)s::bigint, %(last)s::bigint, %(recent_step)s::bigint) AS id
     UNION ALL
    SELECT generate_series(%(first)s::bigint, %(middle)s::bigint - 1, %(day_step)s::bigint)
), picked AS (
    SELECT found.* FROM wanted,
           LATERAL (SELECT attempts, status, error, first_byte_ms, uncollected,
                           COALESCE(user_id, 0) AS caller, created_at >= %(since)s AS is_recent
                      FROM completions
                     WHERE completions.id = wanted.id AND created_at >= %(day)s OFFSET 0) AS found
), asked AS (
    SELECT is_recent, a.attempt ->> 'provider' AS provider, caller,
           a.attempt ->> 'error' = ANY (%(failures)s) AS has_failed,
           CASE WHEN a.number = jsonb_array_length(attempts) THEN first_byte_ms END AS first_byte_ms
      FROM picked, jsonb_array_elements(attempts) WITH ORDINALITY AS a(attempt, number)
     UNION ALL
    SELECT is_recent, '', caller, status = 'failed' AND error = ANY (%(failures)s), first_byte_ms
      FROM picked
)
SELECT is_recent, provider, count(*), count(*) FILTER (WHERE has_failed),
       count(DISTINCT caller) FILTER (WHERE has_failed),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY first_byte_ms)
  FROM asked GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Calls within a span, from a sample. `first_byte_ms` is the median; None without answers."""

    calls: int = 0
    failures: int = 0
    failing_callers: int = 0
    first_byte_ms: int | None = None

    @property
    def share(self) -> float:
        """The share of failures, from 0 to 1."""
        return self.failures / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class RecentAnswers:
    """The last RECENT, and the DAY before it, by the slug of the provider or EVERY."""

    recent: dict[str, Span] = field(default_factory=dict)
    before: dict[str, Span] = field(default_factory=dict)

    def find(self, slug: str) -> tuple[Span, Span]:
        """Return the recent span and the one before it; both are empty without calls."""
        return self.recent.get(slug, Span()), self.before.get(slug, Span())


def read_recent_answers(now: datetime) -> RecentAnswers:
    """Return the figures of both spans."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, _bound(now))
        return _arrange(cursor.fetchall())


def _bound(now: datetime) -> dict[str, Any]:
    rows = Completion.objects.all()
    first = find_first_key(rows, "id", "created_at", now - DAY - MARGIN)
    middle = find_first_key(rows, "id", "created_at", now - RECENT - MARGIN)
    last = rows.order_by("-id").values_list("id", flat=True).first() or 0
    return {
        "first": first,
        "middle": middle,
        "last": last,
        "recent_step": 1 + max(last - middle, 0) // SAMPLE,
        "day_step": 1 + max(middle - first, 0) // DAY_SAMPLE,
        "since": now - RECENT,
        "day": now - DAY,
        "failures": FAILURES,
    }


def _arrange(rows: Iterable[tuple[Any, ...]]) -> RecentAnswers:
    answers = RecentAnswers()
    for is_recent, provider, *figures in rows:
        (answers.recent if is_recent else answers.before)[provider] = Span(*figures)
    return answers
