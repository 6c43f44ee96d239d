"""Pages of a list that only grows, cut by key.

Each page is a short walk of an index, however long the list is: no OFFSET, which reads all it skips, and no
COUNT. `?before=` and `?after=` carry the key at the edge of the page they lead from.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

Row = TypeVar("Row", bound=Model)
BEFORE, AFTER = "before", "after"
MAX_KEY = 2**63 - 1


class KeysetPaginator:
    """What Unfold's template asks of a paginator; it counts nothing."""

    template_name = "accounts/keyset_pages.html"


class KeysetChangeList(ChangeList):
    """Newest first by the key that the admin's `keyset` names: unique and indexed among the rows it gives with it."""

    key: str

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.before, self.after = (number(request.GET.get(name)) for name in (BEFORE, AFTER))
        super().__init__(request, *args, **kwargs)
        # Another filter starts at the newest: forms and links repeat what they find here.
        kept = request.GET.copy()
        for params in (kept, self.params, self.filter_params):
            for name in (BEFORE, AFTER):
                params.pop(name, None)
        request.GET = kept  # type: ignore[assignment]  # it asks for an immutable one

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        wanted = super().get_filters_params(params)
        return {name: value for name, value in wanted.items() if name not in (BEFORE, AFTER)}

    def get_queryset(self, request: HttpRequest, *args: Any) -> QuerySet[Any]:
        self.key = self.model_admin.keyset(request)[1]
        rows: QuerySet[Any] = super().get_queryset(request, *args)
        return rows

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        return [f"-{self.key}"]

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        if self.after is None:
            page = cut_page(self.queryset, self.key, self.before, size)
            rows, self.has_older, self.has_newer = (
                page.rows,
                page.before is not None,
                self.before is not None,
            )
        else:
            rows = list(
                self.queryset.filter(**{f"{self.key}__gt": self.after}).order_by(self.key)[
                    : size + 1
                ]
            )
            self.has_older, self.has_newer = True, len(rows) > size
            rows = rows[:size][::-1]
        self._show(rows)

    def _show(self, rows: list[Any]) -> None:
        # Unfold shows how many there are where the two differ; nobody counted.
        self.result_list, self.result_count, self.full_result_count = rows, len(rows), len(rows)
        self.show_full_result_count, self.show_admin_actions = False, True
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator()

    @property
    def older(self) -> str:
        """Leads to the page of older rows; empty on the last one."""
        rows = self.result_list
        return (
            self.get_query_string({BEFORE: getattr(rows[-1], self.key)})
            if rows and self.has_older
            else ""
        )

    @property
    def newer(self) -> str:
        rows = self.result_list
        return (
            self.get_query_string({AFTER: getattr(rows[0], self.key)})
            if rows and self.has_newer
            else ""
        )

    @property
    def newest(self) -> str:
        """Leads back to the first page."""
        return self.get_query_string() if self.has_newer or not self.result_list else ""


def number(text: str | None) -> int | None:
    """A key of an address; None if there is none. Raises IncorrectLookupParameters, which leads to the list."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_KEY):
        raise IncorrectLookupParameters
    return int(text)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first. `before` is the key for the page of older ones, None on the last."""

    rows: list[Row]
    before: int | None


def cut_page(rows: QuerySet[Row], key: str, before: int | None, size: int) -> Page[Row]:
    """At most `size` of the newest rows with a key below `before`."""
    found = walk(rows, key, before, size + 1)
    return Page(found[:size], getattr(found[size - 1], key) if len(found) > size else None)


def walk(rows: QuerySet[Row], key: str, before: int | None, size: int) -> list[Row]:
    """The newest `size` rows with a key below `before`, newest first."""
    older = rows if before is None else rows.filter(**{f"{key}__lt": before})
    return list(older.order_by(f"-{key}")[:size])


def edge(rows: QuerySet[Any], key: str, stamp: str, moment: datetime) -> int:
    """The key at which rows begin to be written at or after `moment`, found by halving.

    The time of writing has no index, which every insert would pay for; but keys are given in its order, but
    for what happens at once. Some 25 look-ups among 10 million rows.
    """
    low, high = 0, (rows.order_by(f"-{key}").values_list(key, flat=True).first() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = rows.filter(**{f"{key}__gte": middle}).order_by(key).values_list(key, stamp).first()
        if found is not None and found[1] < moment:
            low = found[0] + 1
        else:
            high = middle
    return low
