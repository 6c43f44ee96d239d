"""The statements that write the roll-ups. Their columns follow the table of price kinds."""

from llmproxy.metering.price_kinds import COUNT_COLUMNS, EXTRA_COUNTS

# What a completion counts as. A caller who left got a part of an answer, and paid for it.
ANSWERS_OF_ROW = "(status <> 'failed')::int"
FAILURES_OF_ROW = "(status = 'failed')::int"
_EXTRAS = ", ".join(
    f"'{count}', NULLIF(sum((extras -> 'counts' ->> '{count}')::bigint), 0)"
    for count in EXTRA_COUNTS
)
_SUMS = {
    "answers": f"sum({ANSWERS_OF_ROW})",
    "failures": f"sum({FAILURES_OF_ROW})",
    **{count: f"sum({count})" for count in (*COUNT_COLUMNS, "charged", "uncollected")},
    "extras": f"NULLIF(jsonb_strip_nulls(jsonb_build_object({_EXTRAS})), '{{}}')",
}


def _write_fold(table: str, key: dict[str, str], values: dict[str, str], condition: str) -> str:
    """Return a statement that computes the rows of a range anew.

    Rows that would not change are left alone: even an unsuccessful update would write to their
    pages. They are inserted in the order of the key, so that two folds cannot lock each other out.
    """
    columns, names = [*key, *values], ", ".join(key)
    changed = ", ".join(values)
    known = ", ".join(f"known.{name}" for name in values)
    fresh = ", ".join(f"fresh.{name}" for name in values)
    selected = ", ".join(f"{sql} AS {name}" for name, sql in (key | values).items())
    return f"""
INSERT INTO {table} ({", ".join(columns)})
SELECT {names}, {fresh}
  FROM (SELECT {selected} FROM completions
         WHERE id >= %(first)s AND id < %(last)s
           AND created_at >= %(start)s AND created_at < %(end)s AND {condition}
         GROUP BY {", ".join(key.values())}) fresh
  LEFT JOIN {table} known USING ({names})
 WHERE ROW({known}) IS DISTINCT FROM ROW({fresh})
 ORDER BY {names}
    ON CONFLICT ({names}) DO UPDATE
       SET ({changed}) = ROW({", ".join(f"EXCLUDED.{name}" for name in values)})
"""  # noqa: S608 – all names are from this module and the table of price kinds


_QUARTER_KEY = {
    "user_id": "user_id",
    "quarter": "date_bin('15 minutes', created_at, '2000-01-01 00:00:00+00')",
    "model": "model",
    "credential": "credential",
}
_QUARTER_VALUES = {"credential_name": "max(credential_name)", **_SUMS}
HOUR_KEY = {
    "hour": "date_bin('1 hour', created_at, '2000-01-01 00:00:00+00')",
    "provider": "provider",
    "model": "model",
}
HOUR_VALUES = {
    **_SUMS,
    "provider_cost": "sum(provider_cost)",
    "costed_completions": "count(provider_cost)",
    "costed_charged": "COALESCE(sum(charged) FILTER (WHERE provider_cost IS NOT NULL), 0)",
}
FOLD_QUARTERS = _write_fold("usage_quarters", _QUARTER_KEY, _QUARTER_VALUES, "user_id IS NOT NULL")
FOLD_QUARTERS_OF_USER = _write_fold(
    "usage_quarters", _QUARTER_KEY, _QUARTER_VALUES, "user_id = %(user)s"
)
DELETE_QUARTERS = """
DELETE FROM usage_quarters
 WHERE user_id = %(user)s AND quarter >= %(start)s AND quarter < %(end)s
"""
MOVE_END = "UPDATE usage_folds SET until = %(until)s, first_id = %(first_id)s"
