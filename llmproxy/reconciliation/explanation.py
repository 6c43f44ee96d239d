"""What explains a difference on one day with one provider: models, reasons, and completions.

Where the provider lists its requests, each is compared with the completion that has its id. Else
the completions are listed of which our count is not the provider's, or may not be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from accounts.toolbox.keyset import find_first_key
from llmproxy.models import Completion, Deployment, ProviderRequest, ProviderUsage, UsageHour
from llmproxy.reconciliation.days import Ours, start_of
from llmproxy.reconciliation.imports import Sums
from llmproxy.reconciliation.model_names import normalise_model

MOST_LINES = 200  # of a page
MOST_EXPORTED = 50_000
# The most by which keys and times of completions may be out of order, and by which a provider's
# time of a request may differ from that of our completion, which is that of its end.
MARGIN = timedelta(hours=1)
LEAST_USD = Decimal("0.000001")


@dataclass(slots=True)
class ModelRow:
    """A model on both sides. `key` is its normalised name, `names` are those of our models."""

    key: str
    names: list[str]
    ours: Ours
    theirs: Sums


@dataclass(frozen=True, slots=True)
class Reason:
    """How many completions may differ for one reason, with their tokens and known cost."""

    kind: str
    completions: int
    tokens: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One completion, one request of the provider, or both. What one side lacks is None."""

    kind: str
    at: datetime
    completion: int | None
    generation_id: str | None
    upstream_id: str
    model: str
    our_prompt: int | None
    our_completion: int | None
    our_cost: Decimal | None
    their_prompt: int | None
    their_completion: int | None
    their_cost: Decimal | None

    @property
    def tokens(self) -> int:
        """Their tokens without ours."""
        theirs = (self.their_prompt or 0) + (self.their_completion or 0)
        return theirs - (self.our_prompt or 0) - (self.our_completion or 0)

    @property
    def cost(self) -> Decimal:
        """Their cost without ours, as far as known, in US dollars."""
        return (self.their_cost or Decimal(0)) - (self.our_cost or Decimal(0))


class Explanation:
    """A provider's day, or one model of it. `key` is a normalised name, empty for all models."""

    def __init__(self, provider: str, day: date, *, key: str = "") -> None:
        self.provider, self.day, self.key = provider, day, key
        self.start, self.end = start_of(day), start_of(day + timedelta(days=1))
        self._upstream_names = _read_upstream_names(provider)

    @property
    def has_requests(self) -> bool:
        """Whether the provider has listed its requests of this day."""
        return self._list_requests().exists()

    def list_models(self) -> list[ModelRow]:
        """Our models and theirs, those with the most tokens first."""
        rows: dict[str, ModelRow] = {}
        for hour in UsageHour.objects.filter(
            hour__gte=self.start, hour__lt=self.end, provider=self.provider
        ):
            row = self._find_row(rows, self._find_key(hour.model))
            if hour.model not in row.names:
                row.names.append(hour.model)
            _add_hour(row.ours, hour)
        for usage in ProviderUsage.objects.filter(
            is_current=True, provider=self.provider, day=self.day
        ):
            self._find_row(rows, normalise_model(usage.model)).theirs.add(usage)
        found = [row for row in rows.values() if self.key in ("", row.key)]
        return sorted(found, key=lambda row: -max(row.ours.tokens, row.theirs.tokens or 0))

    def list_reasons(self) -> list[Reason]:
        """The reasons for which a provider may count otherwise, without those of no completion."""
        with connection.cursor() as cursor:
            cursor.execute(_REASONS, self._bound())
            found = [Reason(*row) for row in cursor.fetchall()]
            if not self.key:
                cursor.execute(_FELL_BACK, self._bound())
                found += [Reason("fell_back", row[0], 0, None) for row in cursor.fetchall()]
        return [reason for reason in found if reason.completions]

    def list_differences(self, *, most: int = MOST_LINES) -> list[Difference]:
        """The completions and requests that differ or may differ, the largest difference first."""
        statement = _BY_REQUEST if self.has_requests else _DOUBTFUL
        with connection.cursor() as cursor:
            cursor.execute(statement, self._bound() | {"most": most, "least": LEAST_USD})
            return [Difference(*row) for row in cursor.fetchall()]

    def _find_key(self, model: str) -> str:
        return normalise_model(self._upstream_names.get(model, model))

    @staticmethod
    def _find_row(rows: dict[str, ModelRow], key: str) -> ModelRow:
        return rows.setdefault(key, ModelRow(key, [], Ours(), Sums()))

    def _list_requests(self) -> QuerySet[ProviderRequest]:
        near = (self.start - MARGIN, self.end + MARGIN)
        return ProviderRequest.objects.filter(
            is_current=True, provider=self.provider, created_at__range=near
        )

    def _bound(self) -> dict[str, Any]:
        """The parameters of a statement. Times have no index, so keys bound what is read."""
        rows = Completion.objects.all()
        ours, theirs = [], []
        if self.key:
            names = Deployment.objects.filter(provider__slug=self.provider).values_list(
                "model__name", flat=True
            )
            hours = UsageHour.objects.filter(
                hour__gte=self.start, hour__lt=self.end, provider=self.provider
            ).values_list("model", flat=True)
            ours = [name for name in {*names, *hours} if self._find_key(name) == self.key]
            said = self._list_requests().values_list("model", flat=True).distinct()
            theirs = [name for name in said if normalise_model(name) == self.key]
        return {
            "provider": self.provider,
            "day": self.day,
            "start": self.start,
            "end": self.end,
            "near_start": self.start - MARGIN,
            "near_end": self.end + MARGIN,
            "first": find_first_key(rows, "id", "created_at", self.start - 2 * MARGIN),
            "last": find_first_key(rows, "id", "created_at", self.end + 2 * MARGIN),
            "is_whole": not self.key,
            "ours": ours,
            "theirs": theirs,
        }


def _read_upstream_names(provider: str) -> dict[str, str]:
    rows = Deployment.objects.filter(provider__slug=provider).exclude(upstream_name="")
    return dict(rows.values_list("model__name", "upstream_name"))


def _add_hour(ours: Ours, hour: UsageHour) -> None:
    for name in ("answers", "failures", "prompt_tokens", "completion_tokens"):
        setattr(ours, name, getattr(ours, name) + getattr(hour, name))
    if hour.provider_cost is not None:
        ours.cost = (ours.cost or Decimal(0)) + hour.provider_cost
        ours.costed += hour.answers if hour.costed_completions is None else hour.costed_completions


def list_columns() -> Iterator[str]:
    """The columns of an exported explanation, which are not translated."""
    yield from ("kind", "time_utc", "generation_id", "upstream_id", "model")
    yield from ("our_prompt_tokens", "our_completion_tokens", "our_cost_usd")
    yield from ("their_prompt_tokens", "their_completion_tokens", "their_cost_usd")
    yield from ("token_difference", "cost_difference_usd")


def list_cells(line: Difference) -> list[Any]:
    """One line of an exported explanation."""
    return [
        line.kind,
        line.at.isoformat(),
        line.generation_id or "",
        line.upstream_id,
        line.model,
        line.our_prompt,
        line.our_completion,
        None if line.our_cost is None else format(line.our_cost, "f"),
        line.their_prompt,
        line.their_completion,
        None if line.their_cost is None else format(line.their_cost, "f"),
        line.tokens if line.their_prompt is not None else None,
        format(line.cost, "f") if line.their_cost is not None else None,
    ]


_OURS = """
    SELECT id, generation_id, upstream_id, model, status, usage_source, prompt_tokens,
           completion_tokens, provider_cost, created_at
      FROM completions
     WHERE id >= %(first)s AND id < %(last)s AND provider = %(provider)s
       AND created_at >= %(near_start)s AND created_at < %(near_end)s
       AND (%(is_whole)s OR model = ANY (%(ours)s))
"""
_IN_DAY = "created_at >= %(start)s AND created_at < %(end)s"
# The first that applies names a completion. A completion that failed before anything was generated
# has no tokens here, but the provider may have billed it.
_KIND = """
    CASE WHEN status = 'failed' THEN 'failed'
         WHEN status = 'interrupted' THEN 'interrupted'
         WHEN usage_source = 'estimated' THEN 'estimated'
         WHEN usage_source = 'capped' THEN 'capped'
         WHEN upstream_id = '' THEN 'no_upstream_id'
         WHEN provider_cost IS NULL THEN 'no_cost' END
"""
_REASONS = f"""
SELECT kind, count(*), sum(prompt_tokens + completion_tokens)::bigint, sum(provider_cost)
  FROM (SELECT ours.*, {_KIND} AS kind FROM ({_OURS}) ours WHERE {_IN_DAY}) named
 WHERE kind IS NOT NULL GROUP BY kind ORDER BY 3 DESC
"""  # noqa: S608 – all parts are constants
_FELL_BACK = """
SELECT count(*) FROM completions
 WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(start)s AND created_at < %(end)s
   AND attempts -> 1 IS NOT NULL AND provider <> %(provider)s
   AND attempts @> jsonb_build_array(jsonb_build_object('provider', %(provider)s::text))
"""
_DOUBTFUL = f"""
SELECT kind, created_at, id, generation_id, upstream_id, model, prompt_tokens, completion_tokens,
       provider_cost, NULL, NULL, NULL
  FROM (SELECT ours.*, {_KIND} AS kind FROM ({_OURS}) ours WHERE {_IN_DAY}) named
 WHERE kind IS NOT NULL
 ORDER BY prompt_tokens + completion_tokens DESC, id LIMIT %(most)s
"""  # noqa: S608 – all parts are constants
_BY_REQUEST = f"""
WITH ours AS ({_OURS}), theirs AS (
    SELECT upstream_id, created_at, model, prompt_tokens, completion_tokens, cost
      FROM provider_requests
     WHERE is_current AND provider = %(provider)s
       AND created_at >= %(near_start)s AND created_at < %(near_end)s
       AND (%(is_whole)s OR model = ANY (%(theirs)s))
), pairs AS (
    SELECT o.id, o.generation_id, o.created_at AS our_time, o.prompt_tokens AS our_prompt,
           o.completion_tokens AS our_completion, o.provider_cost AS our_cost,
           o.status, o.usage_source,
           t.created_at AS their_time, t.prompt_tokens AS their_prompt,
           t.completion_tokens AS their_completion, t.cost AS their_cost,
           COALESCE(t.upstream_id, o.upstream_id) AS upstream_id,
           COALESCE(o.model, t.model) AS model
      FROM ours o FULL JOIN theirs t ON t.upstream_id = o.upstream_id
), named AS (
    SELECT *, CASE
        WHEN id IS NULL THEN 'only_theirs'
        WHEN their_time IS NULL THEN CASE
            WHEN our_prompt + our_completion = 0 AND COALESCE(our_cost, 0) = 0 THEN NULL
            ELSE 'only_ours' END
        WHEN our_prompt + our_completion <> their_prompt + their_completion THEN 'tokens'
        WHEN (our_time AT TIME ZONE 'UTC')::date <> (their_time AT TIME ZONE 'UTC')::date
            THEN 'other_day'
        WHEN our_cost IS NOT NULL AND abs(our_cost - their_cost) > %(least)s THEN 'cost' END AS kind
      FROM pairs
     WHERE (our_time >= %(start)s AND our_time < %(end)s)
        OR (their_time >= %(start)s AND their_time < %(end)s)
)
SELECT kind, COALESCE(our_time, their_time), id, generation_id, upstream_id, model, our_prompt,
       our_completion, our_cost, their_prompt, their_completion, their_cost
  FROM named WHERE kind IS NOT NULL
 ORDER BY abs(COALESCE(their_prompt, 0) + COALESCE(their_completion, 0)
              - COALESCE(our_prompt, 0) - COALESCE(our_completion, 0)) DESC,
          abs(COALESCE(their_cost, 0) - COALESCE(our_cost, 0)) DESC, 2 LIMIT %(most)s
"""  # noqa: S608 – all parts are constants
