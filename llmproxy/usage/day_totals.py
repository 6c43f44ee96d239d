"""What all users used in several days, for the first page of the admin, from the hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from llmproxy.usage.statements import ANSWERS_OF_ROW


@dataclass(frozen=True, slots=True)
class DayTotal:
    """Charged credits, answers, and what was not collected, of all users and of calls without."""

    charged: int
    answers: int
    uncollected: int


def sum_spans(spans: Sequence[tuple[datetime, datetime]]) -> list[DayTotal]:
    """Sum up each span, from its first hour up to its last one, in one statement.

    Both ends are rounded down to hours, as the roll-up has them; what is not folded yet is added
    from the completions. An end in the future is right for a span that goes on.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SPANS, {"begins": [begin for begin, _ in spans], "ends": [end for _, end in spans]}
        )
        return [DayTotal(*row) for _number, *row in cursor.fetchall()]


# The open part is read once for all spans: it may be some thousand rows.
_SPANS = f"""
WITH spans AS (
    SELECT number, date_bin('1 hour', span.begin, '2000-01-01 00:00:00+00') AS begin,
           date_bin('1 hour', span.until, '2000-01-01 00:00:00+00') AS until
      FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[])
           WITH ORDINALITY AS span(begin, until, number)
), open AS MATERIALIZED (
    SELECT created_at, charged, {ANSWERS_OF_ROW} AS answers, uncollected FROM completions
     WHERE id >= COALESCE((SELECT hours_first_id FROM usage_folds), 0)
       AND created_at >= COALESCE((SELECT hours_until FROM usage_folds), '-infinity')
       AND created_at >= (SELECT min(begin) FROM spans)
)
SELECT number, COALESCE(sum(charged), 0)::bigint, COALESCE(sum(answers), 0)::bigint,
       COALESCE(sum(uncollected), 0)::bigint
  FROM spans LEFT JOIN LATERAL (
        SELECT charged, answers, uncollected FROM usage_hours
         WHERE hour >= spans.begin AND hour < spans.until
           AND hour < (SELECT hours_until FROM usage_folds)
         UNION ALL
        SELECT charged, answers, uncollected FROM open
         WHERE created_at >= spans.begin AND created_at < spans.until) every ON true
 GROUP BY number ORDER BY number
"""  # noqa: S608 – the name is that of an expression
