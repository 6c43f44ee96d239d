"""The sums of a user's usage in a range of days, read in one statement.

Closed quarters come from the roll-up, later usage from the completions. The statement
reads where one ends and the other begins itself, so nothing is missing or counted twice while
`tick` folds. Refunded credits count on the day of the refund.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import User
from llmproxy.usage.statements import ANSWERS_OF_ROW, FAILURES_OF_ROW


@dataclass(slots=True)
class Sum:
    """What was used: numbers of answers and of failed requests, tokens, and whole credits.

    `charged` and `refunded` are two numbers: a refund may come days after its charge.
    """

    answers: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    charged: int = 0
    uncollected: int = 0
    refunded: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in the order of COLUMNS."""
        return tuple(getattr(self, name) for name in COLUMNS)


COLUMNS = tuple(column.name for column in fields(Sum))


@dataclass(frozen=True, slots=True)
class Part:
    """What one credential used of one model. `name` is the last known name of the credential."""

    model: str
    credential: str
    name: str
    used: Sum


@dataclass(slots=True)
class Usage:
    """The sums of a range: of all, of each day in order, and by model and by credential.

    `names` has the name that each credential had last, as the completions say.
    """

    total: Sum
    days: list[Sum]
    models: dict[str, Sum] = field(default_factory=dict)
    credentials: dict[str, Sum] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def read(
    user: User,
    borders: Sequence[datetime],
    *,
    model: str | None = None,
    credential: str | None = None,
) -> Usage:
    """Read the usage between the first and the last of the borders of days.

    `model` and `credential` narrow it down.
    """
    usage = Usage(Sum(), [Sum() for _ in borders[1:]])
    with connection.cursor() as cursor:
        cursor.execute(_BY_EACH, _make_parameters(user, borders, model, credential))
        for level, day, name, key, last_name, *numbers in cursor.fetchall():
            row = Sum(*numbers)
            if level == _BY_DAY:
                usage.days[day - 1] = row
            elif level == _BY_MODEL:
                usage.models[name] = row
            elif level == _BY_CREDENTIAL:
                usage.credentials[key], usage.names[key] = row, last_name
            else:
                usage.total = row
    return usage


def read_parts(
    user: User,
    borders: Sequence[datetime],
    *,
    model: str | None = None,
    credential: str | None = None,
) -> list[Part]:
    """Read the usage of the range by model and credential, in the order of their names."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_PART, _make_parameters(user, borders, model, credential))
        rows = cursor.fetchall()
    return [Part(used_model, key, name, Sum(*rest)) for used_model, key, name, *rest in rows]


def read_days(user: User, borders: Sequence[datetime]) -> list[Sum]:
    """Read the sums of each day only."""
    days = [Sum() for _ in borders[1:]]
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAYS, _make_parameters(user, borders, None, None))
        for day, *numbers in cursor.fetchall():
            days[day - 1] = Sum(*numbers)
    return days


def read_days_of(
    user: User, borders: Sequence[datetime], credentials: Sequence[str]
) -> dict[str, list[int]]:
    """Read the credits charged on each day to each of these credentials that was used."""
    days: dict[str, list[int]] = {}
    parameters = _make_parameters(user, borders, None, None) | {"credentials": list(credentials)}
    with connection.cursor() as cursor:
        cursor.execute(_BY_CREDENTIAL_AND_DAY, parameters)
        for credential, day, charged in cursor.fetchall():
            days.setdefault(credential, [0] * (len(borders) - 1))[day - 1] = charged
    return days


def _make_parameters(
    user: User, borders: Sequence[datetime], model: str | None, credential: str | None
) -> dict[str, Any]:
    return {
        "user": user.pk,
        "since": borders[0],
        "until": borders[-1],
        "borders": list(borders),
        "model": model,
        "credential": credential,
    }


_BY_DAY, _BY_MODEL, _BY_CREDENTIAL = 0b011, 0b101, 0b110  # what GROUPING returns
_PLAIN = "prompt_tokens, cached_tokens, completion_tokens, charged, uncollected"
_SUMS = ", ".join(f"sum({column})::bigint AS {column}" for column in COLUMNS)
# The planner does not know up to when quarters are closed. With a plain comparison it expects too
# few of them and sorts them on disk, and without an upper id a third of all completions.
_ROWS = f"""
SELECT quarter AS moment, model, credential, credential_name, answers, failures, {_PLAIN},
       0::bigint AS refunded
  FROM usage_quarters
 WHERE user_id = %(user)s AND quarter >= %(since)s AND quarter < %(until)s
   AND quarter + interval '0' < (SELECT until FROM usage_folds)
 UNION ALL
SELECT created_at, model, credential, credential_name, {ANSWERS_OF_ROW}, {FAILURES_OF_ROW},
       {_PLAIN}, 0
  FROM completions
 WHERE user_id = %(user)s AND created_at >= %(since)s AND created_at < %(until)s
   AND id BETWEEN COALESCE((SELECT first_id FROM usage_folds), 0) AND {2**62}
   AND created_at >= COALESCE((SELECT until FROM usage_folds), '-infinity')
 UNION ALL
SELECT r.created_at, COALESCE(c.model, u.description), COALESCE(c.credential, ''),
       COALESCE(c.credential_name, ''), 0, 0, 0, 0, 0, 0, 0, r.amount
  FROM credit_transactions r
  JOIN credit_transactions u ON u.id = r.reverses_id AND u.type = 'usage'
  LEFT JOIN completions c ON c.hold_id = u.hold_id
 WHERE r.user_id = %(user)s AND r.reverses_id IS NOT NULL AND r.type = 'refund'
   AND r.created_at >= %(since)s AND r.created_at < %(until)s
"""  # noqa: S608 – the names are those of columns
# All rows are put together once; the sums by each are then made of the few that this gives.
_PARTS = f"""
SELECT width_bucket(moment, %(borders)s::timestamptz[]) AS day, model, credential,
       max(credential_name COLLATE "C") AS name, {_SUMS}
  FROM ({_ROWS}) every
 WHERE (%(model)s::text IS NULL OR model = %(model)s)
   AND (%(credential)s::text IS NULL OR credential = %(credential)s)
 GROUP BY 1, 2, 3
"""  # noqa: S608
_BY_EACH = f"""
SELECT GROUPING(day, model, credential), day, model, credential, max(name), {_SUMS}
  FROM ({_PARTS}) parts
 GROUP BY GROUPING SETS ((day), (model), (credential), ()) HAVING count(*) > 0
"""  # noqa: S608
_BY_PART = f"""
SELECT model, credential, max(name), {_SUMS} FROM ({_PARTS}) parts GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608
_BY_DAYS = f"SELECT day, {_SUMS} FROM ({_PARTS}) parts GROUP BY 1"  # noqa: S608
_BY_CREDENTIAL_AND_DAY = f"""
SELECT credential, width_bucket(moment, %(borders)s::timestamptz[]) AS day, sum(charged)::bigint
  FROM ({_ROWS}) every
 WHERE credential = ANY(%(credentials)s)
 GROUP BY 1, 2 HAVING sum(charged) > 0
"""  # noqa: S608
