"""The rows of the list of requests: found by an index, page by page.

Model, device and ids have no index of their own, because every completion would pay for it. So a
page looks through at most WINDOW rows of the user, and the next one goes on where it ended.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet

from accounts import time_zones
from accounts.models import User
from accounts.toolbox.keyset import find_first_key, list_before
from credits.models import Transaction
from llmproxy.models import Completion
from llmproxy.pages.activity.query import BROWSER, find_borders
from llmproxy.receipts import explain, finish_reasons, states
from llmproxy.receipts.callers import Caller, find_callers

PAGE = 50
WINDOW = 10_000  # rows of the user that one page or one chunk of an export looks through
MARGIN = timedelta(hours=1)  # most by which ids and times of writing may be out of order
ID_PREFIX, REQUEST_PREFIX = "gen_", "req_"


@dataclass(frozen=True, slots=True)
class Row:
    """`day` is in the reader's time zone."""

    completion: Completion
    state: str
    word: str
    ending: str
    refunded: int
    caller: Caller
    day: date


@dataclass(frozen=True, slots=True)
class Page:
    """`before` is the id of the receipt before which the next page begins, empty on the last page.

    `searched_until` is the time of the oldest row that was looked through, if older ones may match.
    """

    rows: list[Row]
    before: str
    searched_until: datetime | None = None

    @property
    def days(self) -> list[tuple[date, list[Row]]]:
        """The rows by day, newest first."""
        return [(day, list(rows)) for day, rows in groupby(self.rows, attrgetter("day"))]


class Rows:
    """The completions of a user that match cleaned filters."""

    def __init__(self, user: User, cleaned: dict[str, Any]) -> None:
        self.user, self.cleaned = user, cleaned
        self.own = Completion.objects.filter(user=user)
        self.receipt = _find_receipt(self.own, cleaned["q"]) if cleaned["q"] else None
        narrow = any(cleaned[name] for name in ("q", "model", "credential"))
        self.is_slow = narrow and self.receipt is None

    def cut_page(self, before: int | None) -> Page:
        """Return the newest PAGE rows below the id `before`."""
        rows, floor = self._read(before, PAGE + 1)
        shown = self.describe(rows[:PAGE])
        if len(rows) > PAGE:
            return Page(shown, rows[PAGE - 1].generation_id)
        if floor is None:
            return Page(shown, "")
        oldest = self.own.get(pk=floor)
        return Page(shown, oldest.generation_id, oldest.created_at)

    def read_chunks(self, before: int | None, size: int) -> Iterator[list[Completion]]:
        """Yield all rows below the id `before`, newest first, at most `size` at a time."""
        while True:
            rows, floor = self._read(before, size)
            yield rows
            if len(rows) == size:
                before = rows[-1].pk
            elif floor is not None:
                before = floor
            else:
                return

    def _read(self, before: int | None, size: int) -> tuple[list[Completion], int | None]:
        """Return rows, and the id at which the look ended, None if there are no older ones."""
        found = self._filter()
        floor = self._find_floor(before) if self.is_slow else None
        if floor is not None:
            found = found.filter(pk__gte=floor)
        return list_before(found, "pk", before, size), floor

    def _find_floor(self, before: int | None) -> int | None:
        """Return the id of the last row to look at. The index alone answers, without the table."""
        below = self.own if before is None else self.own.filter(pk__lt=before)
        ids = below.order_by("-pk").values_list("pk", flat=True)
        return next(iter(ids[WINDOW - 1 : WINDOW]), None)

    def _filter(self) -> QuerySet[Completion]:
        rows, cleaned = self._filter_days(), self.cleaned
        if cleaned["model"]:
            rows = rows.filter(model=cleaned["model"])
        if cleaned["credential"]:
            wanted = "" if cleaned["credential"] == BROWSER else cleaned["credential"]
            rows = rows.filter(credential=wanted)
        if cleaned["state"]:
            rows = _filter_state(rows, self.user, cleaned["state"])
        if self.receipt is not None:
            return rows.filter(pk=self.receipt)
        return _search(rows, cleaned["q"]) if cleaned["q"] else rows

    def _filter_days(self) -> QuerySet[Completion]:
        """Return the rows of the days. Times have no index, so ids bound what is read."""
        rows = self.own
        days = find_borders(self.user, self.cleaned["first"], self.cleaned["last"])
        if days.start:
            first = find_first_key(self.own, "id", "created_at", days.start - MARGIN)
            rows = rows.filter(pk__gte=first, created_at__gte=days.start)
        if days.end:
            last = find_first_key(self.own, "id", "created_at", days.end + MARGIN)
            rows = rows.filter(pk__lt=last, created_at__lt=days.end)
        return rows

    def describe(self, rows: Iterable[Completion]) -> list[Row]:
        rows = list(rows)
        refunds = explain.sum_refunds(self.user, rows)
        callers = find_callers(self.user, {row.credential: row.credential_name for row in rows})
        days = _list_days(rows, self.user)
        return [
            _describe(row, refunds.get(row.hold_id or 0, 0), callers[row.credential], day)
            for row, day in zip(rows, days, strict=True)
        ]


def _describe(row: Completion, refunded: int, caller: Caller, day: date) -> Row:
    state = states.find_state(row, refunded)
    ending = "" if state == states.ANSWERED else finish_reasons.describe_ending(row)
    return Row(row, state, states.describe_state(row, state), ending, refunded, caller, day)


def _list_days(rows: list[Completion], user: User) -> list[date]:
    """Return the day of each row.

    Rows of the same moment may be out of order by their time. A day never begins twice, so such a
    row counts with the day of the row before it.
    """
    zone = time_zones.zone_of(user)
    return list(accumulate((row.created_at.astimezone(zone).date() for row in rows), min))


def _filter_state(rows: QuerySet[Completion], user: User, state: str) -> QuerySet[Completion]:
    """Return the rows in a state. Those that are not completed have an index of their own."""
    if state == states.REFUNDED:
        usages = Transaction.objects.filter(
            user=user, type=Transaction.Type.USAGE, reversals__isnull=False
        )
        return rows.filter(hold__in=usages.values("hold"))
    status = next(status for status, name in states.BY_STATUS.items() if name == state)
    if status == Completion.Status.COMPLETED:
        return rows.filter(status=status)
    return rows.filter(status=status).exclude(status=Completion.Status.COMPLETED)


def _find_receipt(own: QuerySet[Completion], typed: str) -> int | None:
    """Return the id of the row whose receipt is searched by its id or its address."""
    text = typed.rstrip("/").rpartition("/")[2]
    found = own.filter(generation_id__in=[text, f"{ID_PREFIX}{text}"])
    return found.values_list("pk", flat=True).first()


def _search(rows: QuerySet[Completion], typed: str) -> QuerySet[Completion]:
    ids = [typed, f"{REQUEST_PREFIX}{typed}"]
    return rows.filter(Q(request_id__in=ids) | Q(trace_id=typed))
