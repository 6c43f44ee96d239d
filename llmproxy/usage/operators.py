"""What all users used, for the first page of the admin: from the hours of the roll-up."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from llmproxy.usage.statements import ANSWERS_OF_ROW


@dataclass(frozen=True, slots=True)
class Total:
    """Charged credits, and answers of all users and of calls without one."""

    charged: int
    answers: int


def sum_since(since: datetime) -> Total:
    """Sum up from the hour of this moment on, in one statement, as a user's page does."""
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, {"since": since})
        return Total(*cursor.fetchone())


_SINCE = f"""
SELECT COALESCE(sum(charged), 0)::bigint, COALESCE(sum(answers), 0)::bigint
  FROM (SELECT charged, answers FROM usage_hours
         WHERE hour >= date_bin('1 hour', %(since)s, '2000-01-01 00:00:00+00')
           AND hour < (SELECT hours_until FROM usage_folds)
         UNION ALL
        SELECT charged, {ANSWERS_OF_ROW} FROM completions
         WHERE created_at >= %(since)s
           AND id >= COALESCE((SELECT hours_first_id FROM usage_folds), 0)
           AND created_at >= COALESCE((SELECT hours_until FROM usage_folds), '-infinity')) every
"""  # noqa: S608 – the name is that of an expression
