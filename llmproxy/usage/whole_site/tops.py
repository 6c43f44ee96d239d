"""The users, devices and keys that used most credits in each range of days, as a roll-up."""

from datetime import datetime
from typing import Any

from llmproxy.usage.whole_site.days import RANGES, find_begin
from llmproxy.usage.whole_site.rollups import Rollup

PLACES = 10
_SUMMED = ("charged", "answers", "failures")

# All ranges are summed in one pass over the quarters of the longest one.
_PARTS = ", ".join(
    f"COALESCE(sum({name}) FILTER (WHERE quarter >= %(since_{days})s), 0)::bigint AS {name}_{days}"
    for days in RANGES
    for name in _SUMMED
)
_ROWS_OF_RANGES = ", ".join(
    f"({days}, {', '.join(f'{name}_{days}' for name in _SUMMED)})" for days in RANGES
)
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _SUMMED)
TOPS = Rollup(
    "usage_tops",
    ("days", "kind", "place"),
    ("user_id", "credential", *_SUMMED),
    f"""SELECT days::smallint, kind, place::smallint, user_id, credential, {", ".join(_SUMMED)}
  FROM (SELECT *, row_number() OVER (PARTITION BY days, kind
                                     ORDER BY charged DESC, answers DESC, user_id, credential)
                      AS place
          FROM (SELECT days, CASE GROUPING(credential) WHEN 1 THEN 'user' ELSE 'credential' END
                           AS kind,
                       user_id, COALESCE(credential, '') AS credential, {_SUMS}
                  FROM (SELECT user_id, credential, {_PARTS}
                          FROM usage_quarters
                         WHERE quarter >= %(since_{max(RANGES)})s AND quarter < %(until)s
                         GROUP BY user_id, credential) parts,
                       LATERAL (VALUES {_ROWS_OF_RANGES}) AS used(days, {", ".join(_SUMMED)})
                 GROUP BY GROUPING SETS ((days, user_id), (days, user_id, credential))) summed
         WHERE answers + failures > 0) ranked
 WHERE place <= {PLACES}""",  # noqa: S608 – all names are from this module
    "true",
)


def bound_ranges(until: datetime) -> dict[str, Any]:
    """Return the parameters of the roll-up: where each range begins, and where all end."""
    return {"until": until, **{f"since_{days}": find_begin(days, until) for days in RANGES}}
