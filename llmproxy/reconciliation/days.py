"""Tokens and cost of each provider and day (UTC): theirs against ours, from the roll-up."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from llmproxy.models import Provider, ProviderUsage, UsageFold
from llmproxy.reconciliation.imports import Sums

# A difference counts if it is more than this part of the larger side, and more than the least one.
DRIFT_SHARE = Decimal("0.01")
LEAST_TOKENS, LEAST_USD = 1000, Decimal("0.01")
DRIFT_DAYS = 35  # how far back `list_drifts` looks
_OURS = """
SELECT provider, (hour AT TIME ZONE 'UTC')::date AS day, sum(answers)::bigint,
       sum(failures)::bigint, sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint,
       sum(provider_cost),
       sum(CASE WHEN provider_cost IS NULL THEN 0
                ELSE COALESCE(costed_completions, answers) END)::bigint
  FROM usage_hours
 WHERE hour >= %(start)s AND hour < %(end)s AND provider <> ''
   AND (%(provider)s = '' OR provider = %(provider)s)
 GROUP BY 1, 2
"""


@dataclass(slots=True)
class Ours:
    """What our completions sum up to. `costed` is the number of those whose cost is known."""

    answers: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal | None = None
    costed: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def is_cost_known(self) -> bool:
        """Whether the cost of every answer is known."""
        return self.costed >= self.answers


@dataclass(frozen=True, slots=True)
class ProviderDay:
    """One provider on one day. `is_closed` is false while our day is not over or not folded."""

    provider: str
    name: str
    day: date
    ours: Ours
    theirs: Sums
    is_closed: bool

    @property
    def token_drift(self) -> int | None:
        """Their tokens without ours; None if they are not known."""
        return None if self.theirs.tokens is None else self.theirs.tokens - self.ours.tokens

    @property
    def cost_drift(self) -> Decimal | None:
        """Their cost without ours in US dollars; None if one of them is not known."""
        if self.theirs.cost is None or not self.ours.is_cost_known:
            return None
        return self.theirs.cost - (self.ours.cost or 0)

    @property
    def tokens_differ(self) -> bool:
        ours, theirs = self.ours.tokens, self.theirs.tokens or 0
        return is_drift(self.token_drift, max(ours, theirs), LEAST_TOKENS)

    @property
    def cost_differs(self) -> bool:
        ours, theirs = self.ours.cost or Decimal(0), self.theirs.cost or Decimal(0)
        return is_drift(self.cost_drift, max(ours, theirs), LEAST_USD)

    @property
    def state(self) -> str:
        """`differs`, `agrees`, `open` (our day is not over), `partial` or `no_file`."""
        if self.theirs == Sums():
            return "no_file"
        if not self.is_closed:
            return "open"
        if self.tokens_differ or self.cost_differs:
            return "differs"
        is_whole = self.token_drift is not None and self.cost_drift is not None
        return "agrees" if is_whole else "partial"


def is_drift(difference: Decimal | int | None, larger: Decimal | int, least: Decimal | int) -> bool:
    """Whether a difference is worth a look: see DRIFT_SHARE."""
    if difference is None:
        return False
    return abs(Decimal(difference)) > max(DRIFT_SHARE * Decimal(larger), Decimal(least))


def list_days(first: date, last: date, *, provider: str = "") -> list[ProviderDay]:
    """All days with completions or with a file, newest first; `provider` is a slug, or all."""
    start, end = start_of(first), start_of(last + timedelta(days=1))
    ours = _read_ours(start, end, provider)
    theirs = _read_theirs(first, last, provider)
    names = dict(Provider.objects.values_list("slug", "name"))
    until = UsageFold.objects.values_list("hours_until", flat=True).first()
    return [
        ProviderDay(
            slug,
            names.get(slug, slug),
            day,
            ours.get((slug, day), Ours()),
            theirs.get((slug, day), Sums()),
            is_closed=until is not None and start_of(day + timedelta(days=1)) <= until,
        )
        for day, slug in sorted(
            ((day, slug) for slug, day in ours.keys() | theirs.keys()),
            key=lambda pair: (-pair[0].toordinal(), names.get(pair[1], pair[1])),
        )
    ]


def list_drifts() -> list[ProviderDay]:
    """The days of the last DRIFT_DAYS on which a provider's bill differs from ours."""
    today = timezone.now().astimezone(UTC).date()
    if not ProviderUsage.objects.filter(is_current=True).exists():
        return []
    days = list_days(today - timedelta(days=DRIFT_DAYS), today)
    return [day for day in days if day.state == "differs"]


def start_of(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def _read_ours(start: datetime, end: datetime, provider: str) -> dict[tuple[str, date], Ours]:
    with connection.cursor() as cursor:
        cursor.execute(_OURS, {"start": start, "end": end, "provider": provider})
        return {(row[0], row[1]): Ours(*row[2:]) for row in cursor.fetchall()}


def _read_theirs(first: date, last: date, provider: str) -> dict[tuple[str, date], Sums]:
    rows = ProviderUsage.objects.filter(is_current=True, day__range=(first, last))
    if provider:
        rows = rows.filter(provider=provider)
    sums = (Sum(name) for name in Sums.__slots__)
    found = rows.order_by().values_list("provider", "day").annotate(*sums)
    return {(slug, day): Sums(*numbers) for slug, day, *numbers in found}
