"""From a file that was read to rows: first a draft that nothing reads, then, in one step, current.

Importing replaces what was current in the days and scopes of the file, so a file that is imported
twice, or one that overlaps another, counts once. Replaced rows stay as history.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.db.transaction import atomic

from accounts.models import User
from llmproxy.models import Provider, ProviderRequest, ProviderUsage, UsageImport
from llmproxy.reconciliation.files import File
from llmproxy.reconciliation.formats import COST, Line

DRAFT_AGE = timedelta(days=1)
BATCH = 2000
CENT_PARTS = Decimal("0.0000000001")
MOST_SHOWN = 100


class ImportChanged(Exception):
    """What would be replaced is no longer what somebody saw, or the draft is gone."""


@dataclass(slots=True)
class Sums:
    """What a provider says about a day or more; a number that no file has is None."""

    requests: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None

    def add(self, other: "Sums | Line | ProviderUsage") -> None:
        for name in self.__slots__:
            own, value = getattr(self, name), getattr(other, name)
            if value is not None:
                setattr(self, name, value if own is None else own + value)

    @property
    def tokens(self) -> int | None:
        if self.prompt_tokens is None:
            return None
        return self.prompt_tokens + (self.completion_tokens or 0)


@dataclass(frozen=True, slots=True)
class DayDiff:
    """A day and a scope before and after an import; None where there is nothing."""

    day: date
    scope: str
    old: Sums | None
    new: Sums | None

    @property
    def kind(self) -> str:
        """`new`, `gone`, `same` or `changed`."""
        if self.old is None or self.new is None:
            return "new" if self.old is None else "gone"
        return "same" if self.old == self.new else "changed"


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do, by day and scope. `digest` names what would be replaced."""

    draft: UsageImport
    days: list[DayDiff]
    totals: Sums
    digest: str

    @property
    def is_useless(self) -> bool:
        return all(day.kind == "same" for day in self.days)

    def count(self, kind: str) -> int:
        return sum(day.kind == kind for day in self.days)


def find_provider(file: File) -> Provider | None:
    """The provider whose URL or name tells that the file is its own; None if none or several."""
    vendor = file.format.vendor
    word = vendor.removeprefix("api.").partition(".")[0]
    found = list(Provider.objects.filter(base_url__contains=vendor)[:2])
    if not found:
        named = Q(slug__icontains=word) | Q(name__icontains=word)
        found = list(Provider.objects.filter(named)[:2])
    return found[0] if len(found) == 1 else None


@atomic
def make_draft(file: File, *, provider: Provider, file_name: str, user: User | None) -> UsageImport:
    """Store a file so that it can be looked at. Old drafts are deleted."""
    UsageImport.objects.filter(imported_at=None, created_at__lt=Now() - DRAFT_AGE).delete()
    draft = UsageImport.objects.create(
        provider=provider.slug,
        file_format=file.format.name,
        scopes=list(file.format.scopes),
        file_name="".join(filter(str.isprintable, file_name))[:200],
        digest=file.digest,
        lines=len(file.lines),
        left_out=dict(file.left_out),
        first_day=file.first_day,
        last_day=file.last_day,
        imported_by=user,
    )
    ProviderUsage.objects.bulk_create(_build_usages(draft, file), batch_size=BATCH)
    requests = [_build_request(draft, line, line.at) for line in file.lines if line.at]
    ProviderRequest.objects.bulk_create(requests, batch_size=BATCH)
    return draft


def _build_usages(draft: UsageImport, file: File) -> Iterator[ProviderUsage]:
    """Yield one row for each day, model and scope."""
    sums: dict[tuple[date, str], Sums] = defaultdict(Sums)
    for line in file.lines:
        if not line.is_empty:
            sums[line.day, line.model].add(line)
    for (day, model), found in sorted(sums.items()):
        for scope in draft.scopes:
            is_cost = scope == COST
            yield ProviderUsage(
                usage_import=draft,
                provider=draft.provider,
                day=day,
                scope=scope,
                model=model,
                requests=None if is_cost else found.requests,
                prompt_tokens=None if is_cost else found.prompt_tokens,
                cached_tokens=None if is_cost else found.cached_tokens,
                completion_tokens=None if is_cost else found.completion_tokens,
                cost=(found.cost or Decimal(0)).quantize(CENT_PARTS) if is_cost else None,
            )


def _build_request(draft: UsageImport, line: Line, at: datetime) -> ProviderRequest:
    return ProviderRequest(
        usage_import=draft,
        provider=draft.provider,
        upstream_id=line.upstream_id,
        created_at=at,
        model=line.model,
        prompt_tokens=line.prompt_tokens or 0,
        completion_tokens=line.completion_tokens or 0,
        cost=(line.cost or Decimal(0)).quantize(CENT_PARTS),
    )


def preview(draft: UsageImport) -> Preview:
    """Compare a draft with what is current."""
    current = list(_list_current(draft).order_by("pk"))
    fresh = list(draft.usages.order_by("pk"))
    old, new = _sum_up(current), _sum_up(fresh)
    days = [
        DayDiff(day, scope, old.get((day, scope)), new.get((day, scope)))
        for day, scope in sorted(old.keys() | new.keys())
    ]
    totals = Sums()
    for row in fresh:
        totals.add(row)
    keys = ",".join(str(row.pk) for row in current)
    digest = hashlib.sha256(f"{draft.pk}:{keys}".encode()).hexdigest()[:32]
    return Preview(draft, days, totals, digest)


def _list_current(draft: UsageImport) -> QuerySet[ProviderUsage]:
    """The rows that an import of this draft replaces."""
    return ProviderUsage.objects.filter(
        is_current=True,
        provider=draft.provider,
        scope__in=draft.scopes,
        day__range=(draft.first_day, draft.last_day),
    )


def _sum_up(rows: list[ProviderUsage]) -> dict[tuple[date, str], Sums]:
    sums: dict[tuple[date, str], Sums] = defaultdict(Sums)
    for row in rows:
        sums[row.day, row.scope].add(row)
    return dict(sums)


def import_draft(draft_id: int, *, digest: str, user: User | None) -> Preview:
    """Make the rows of a draft current, as `digest` of its preview says. Raises ImportChanged."""
    with atomic():
        draft = UsageImport.objects.select_for_update().filter(pk=draft_id, imported_at=None)
        found = draft.first()
        if found is None:
            raise ImportChanged
        # Two imports for one provider wait for each other.
        list(Provider.objects.filter(slug=found.provider).select_for_update(no_key=True))
        seen = preview(found)
        if seen.digest != digest:
            raise ImportChanged
        _replace(found)
        draft.update(imported_at=Now(), imported_by=user)
    return seen


def _replace(draft: UsageImport) -> None:
    _list_current(draft).update(is_current=False, replaced_by=draft)
    ProviderRequest.objects.filter(
        is_current=True,
        provider=draft.provider,
        created_at__date__range=(draft.first_day, draft.last_day),
    ).delete()
    draft.usages.update(is_current=True)
    draft.requests.update(is_current=True)
