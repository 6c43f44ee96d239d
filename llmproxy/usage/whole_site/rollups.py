"""The roll-ups over all users as statements: how rows are computed, written, and compared."""

import math
from dataclasses import dataclass
from textwrap import indent

from llmproxy.models import LatencyHour
from llmproxy.usage.statements import ANSWERS_OF_ROW, FAILURES_OF_ROW, HOUR_KEY, HOUR_VALUES

BUCKETS = 4  # of a latency, from one power of two to the next


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums.

    `fresh` is a query that computes the rows of a range, with the columns `key` and `values`.
    `known` is the condition under which a row of the table belongs to that range. Both have the
    same parameters.
    """

    table: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    fresh: str
    known: str

    @property
    def write(self) -> str:
        """A statement that makes the rows of the range those that `fresh` computes.

        Rows that are right are left alone: even an update without effect would write pages.
        """
        names, columns = ", ".join(self.key), ", ".join((*self.key, *self.values))
        same_key = " AND ".join(f"fresh.{name} = {self.table}.{name}" for name in self.key)
        return f"""
WITH fresh AS MATERIALIZED (
{indent(self.fresh, "    ")}
), gone AS (
    DELETE FROM {self.table}
     WHERE {self.known} AND NOT EXISTS (SELECT FROM fresh WHERE {same_key})
)
INSERT INTO {self.table} ({columns})
SELECT {names}, {self._list_values("fresh")}
  FROM fresh LEFT JOIN {self.table} known USING ({names})
 WHERE ROW({self._list_values("known")}) IS DISTINCT FROM ROW({self._list_values("fresh")})
 ORDER BY {names}
    ON CONFLICT ({names}) DO UPDATE
       SET ({", ".join(self.values)}) = ROW({self._list_values("EXCLUDED")})
"""  # noqa: S608 – all names are from this module and the table of price kinds

    @property
    def compare(self) -> str:
        """A query for the number of rows of the range that differ from what `fresh` computes."""
        names = ", ".join(self.key)
        return f"""
SELECT count(*)
  FROM (SELECT * FROM {self.table} WHERE {self.known}) known
  FULL JOIN (
{indent(self.fresh, "    ")}
       ) fresh USING ({names})
 WHERE ROW({self._list_values("known")}) IS DISTINCT FROM ROW({self._list_values("fresh")})
"""  # noqa: S608

    def _list_values(self, row: str) -> str:
        return ", ".join(f"{row}.{name}" for name in self.values)


_IN_RANGE = "id >= %(first)s AND id < %(last)s AND created_at >= %(start)s AND created_at < %(end)s"
# The last hour of a range may be open: its row belongs to the range as soon as it has begun.
_HOUR_KNOWN = "hour >= %(start)s AND hour < %(end)s"
_DAY_KNOWN = "day = %(day)s"

_HOUR_COLUMNS = ", ".join(f"{sql} AS {name}" for name, sql in (HOUR_KEY | HOUR_VALUES).items())
HOURS = Rollup(
    "usage_hours",
    tuple(HOUR_KEY),
    tuple(HOUR_VALUES),
    f"""SELECT {_HOUR_COLUMNS}
  FROM completions
 WHERE {_IN_RANGE}
 GROUP BY {", ".join(HOUR_KEY.values())}""",  # noqa: S608
    _HOUR_KNOWN,
)

# A failed answer took no time that says anything; one that a caller left has no whole time.
_FIRST, _WHOLE = LatencyHour.Measure.FIRST.value, LatencyHour.Measure.WHOLE.value
LATENCY_HOURS = Rollup(
    "usage_latency_hours",
    ("hour", "provider", "measure", "bucket"),
    ("answers",),
    f"""SELECT {HOUR_KEY["hour"]} AS hour, provider, measure,
       floor(ln(GREATEST(ms, 1)::float8) * {BUCKETS / math.log(2)!r})::smallint AS bucket,
       count(*) AS answers
  FROM completions,
       LATERAL (VALUES ('{_FIRST}', CASE WHEN status <> 'failed' THEN first_byte_ms END),
                       ('{_WHOLE}', CASE WHEN status = 'completed' THEN total_ms END))
           AS timed(measure, ms)
 WHERE {_IN_RANGE} AND provider <> '' AND ms IS NOT NULL
 GROUP BY 1, 2, 3, 4""",  # noqa: S608
    _HOUR_KNOWN,
)

# A day is made of whole hours, and where its zone is half an hour off, of the pieces beside them.
_WHOLE_HOURS = "hour >= %(whole_from)s AND hour < %(whole_to)s"
_PIECES = (
    "id >= %(first)s AND id < %(last)s"
    " AND (created_at >= %(begin)s AND created_at < %(whole_from)s"
    " OR created_at >= %(whole_to)s AND created_at < %(until)s)"
)
_DAY_VALUES = {
    "answers": ANSWERS_OF_ROW,
    "failures": FAILURES_OF_ROW,
    "charged": "charged",
    "provider_cost": "provider_cost",
    "costed_completions": "(provider_cost IS NOT NULL)::int",
    "costed_charged": "CASE WHEN provider_cost IS NULL THEN 0 ELSE charged END",
}
_DAY_SUMS = ", ".join(
    f"sum({name}) AS {name}"
    if name == "provider_cost"  # it is not known of all
    else f"COALESCE(sum({name}), 0)::bigint AS {name}"
    for name in _DAY_VALUES
)
DAYS = Rollup(
    "usage_days",
    ("day", "provider", "model"),
    tuple(_DAY_VALUES),
    f"""SELECT %(day)s::date AS day, provider, model, {_DAY_SUMS}
  FROM (SELECT provider, model, {", ".join(_DAY_VALUES)} FROM usage_hours WHERE {_WHOLE_HOURS}
         UNION ALL
        SELECT provider, model, {", ".join(_DAY_VALUES.values())}
          FROM completions WHERE {_PIECES}) every
 GROUP BY provider, model""",  # noqa: S608
    _DAY_KNOWN,
)
_PIECES_OF_LATENCY = LATENCY_HOURS.fresh.replace(_IN_RANGE, _PIECES)
LATENCY_DAYS = Rollup(
    "usage_latency_days",
    ("day", "provider", "measure", "bucket"),
    ("answers",),
    f"""SELECT %(day)s::date AS day, provider, measure, bucket, sum(answers)::bigint AS answers
  FROM (SELECT provider, measure, bucket, answers FROM usage_latency_hours WHERE {_WHOLE_HOURS}
         UNION ALL
        SELECT provider, measure, bucket, answers FROM (
{indent(_PIECES_OF_LATENCY, "            ")}
        ) pieces) every
 GROUP BY provider, measure, bucket""",  # noqa: S608
    _DAY_KNOWN,
)

# Several days in one statement: quarters begin where days do, in every zone.
ACTIVE_DAYS = Rollup(
    "usage_active_days",
    ("day",),
    ("users",),
    """SELECT %(day)s::date + width_bucket(quarter, %(borders)s::timestamptz[]) - 1 AS day,
       count(DISTINCT user_id) AS users
  FROM usage_quarters
 WHERE quarter >= %(begin)s AND quarter < %(until)s
 GROUP BY 1""",
    "day >= %(day)s AND day <= %(last_day)s",
)

OF_HOURS, OF_DAYS = (HOURS, LATENCY_HOURS), (DAYS, LATENCY_DAYS)
