"""Keyset pagination for lists that only grow.

Each page is a short index scan, however long the list is. There is no OFFSET, which reads every row
that it skips, and no COUNT. `?before=` and `?after=` carry the first or last key of the page
that links.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from unfold.views import ChangeList

Row = TypeVar("Row", bound=Model)
BEFORE, AFTER = "before", "after"
MAX_KEY = 2**63 - 1


class KeysetPaginator:
    """The attribute that Unfold's template reads from a paginator. Rows are never counted."""

    template_name = "accounts/keyset_pages.html"


class KeysetChangeList(ChangeList):
    """A list of the admin, newest first, ordered by the key that `ModelAdmin.keyset` names.

    The key must be unique and indexed within the rows that `keyset` returns.
    """

    key: str

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.before, self.after = (parse_key(request.GET.get(name)) for name in (BEFORE, AFTER))
        super().__init__(request, *args, **kwargs)
        # Filter forms and links repeat these parameters, but a new filter starts at the newest row.
        kept = request.GET.copy()
        for params in (kept, self.params, self.filter_params):
            for name in (BEFORE, AFTER):
                params.pop(name, None)
        request.GET = kept  # type: ignore[assignment]  # typed as immutable

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        filters = super().get_filters_params(params)
        return {name: value for name, value in filters.items() if name not in (BEFORE, AFTER)}

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
        # Unfold shows a total if the two counts differ; we do not know the total.
        self.result_list, self.result_count, self.full_result_count = rows, len(rows), len(rows)
        self.show_full_result_count, self.show_admin_actions = False, True
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator()

    @property
    def older(self) -> str:
        """The query string of the next older page; empty on the last page."""
        rows = self.result_list
        return (
            self.get_query_string({BEFORE: getattr(rows[-1], self.key)})
            if rows and self.has_older
            else ""
        )

    @property
    def newer(self) -> str:
        """The query string of the next newer page; empty on the first page."""
        rows = self.result_list
        return (
            self.get_query_string({AFTER: getattr(rows[0], self.key)})
            if rows and self.has_newer
            else ""
        )

    @property
    def newest(self) -> str:
        """The query string of the first page; empty if this is it."""
        return self.get_query_string() if self.has_newer or not self.result_list else ""


def parse_key(text: str | None) -> int | None:
    """Parse a key from a query string; None if it is empty.

    Raises IncorrectLookupParameters, which the admin answers with a redirect to the unfiltered
    list.
    """
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_KEY):
        raise IncorrectLookupParameters
    return int(text)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first. `before` is the key for the next older page, None on the last page."""

    rows: list[Row]
    before: int | None


def cut_page(rows: QuerySet[Row], key: str, before: int | None, size: int) -> Page[Row]:
    """Return at most `size` of the newest rows whose key is below `before`."""
    newest = list_before(rows, key, before, size + 1)
    return Page(newest[:size], getattr(newest[size - 1], key) if len(newest) > size else None)


def list_before(rows: QuerySet[Row], key: str, before: int | None, size: int) -> list[Row]:
    """Return the newest `size` rows whose key is below `before`, newest first."""
    older = rows if before is None else rows.filter(**{f"{key}__lt": before})
    return list(older.order_by(f"-{key}")[:size])


def find_first_key(rows: QuerySet[Any], key: str, stamp: str, moment: datetime) -> int:
    """Return the first key whose row was written at or after `moment`, by binary search.

    The column `stamp` has no index, because every insert would pay for it. Keys are assigned in the
    order of writing, except for rows written at the same time, so a caller allows a margin. A
    search takes about 25 look-ups in 10 million rows, in one statement.
    """
    # The oldest and the newest row, and the first from the middle on, as the ORM looks for them.
    oldest = rows.order_by(key).values_list(key)[:1]
    newest = rows.order_by(f"-{key}").values_list(key)[:1]
    from_middle = RawSQL("(search.low + search.high) / 2", ())
    row = rows.filter(**{f"{key}__gte": from_middle}).order_by(key).values_list(key, stamp)[:1]
    try:
        parts = [part.query.sql_with_params() for part in (oldest, newest, row)]
    except EmptyResultSet:  # The ORM knows that there are no rows.
        return 0
    with connections[rows.db].cursor() as cursor:
        (first, last, found) = parts
        texts = _SEARCH.format(first[0], last[0], found[0])
        cursor.execute(texts, (*first[1], *last[1], moment, moment, *found[1]))
        return int(cursor.fetchone()[0])


# `low` only grows, and each step halves what is between the two.
_SEARCH = """
WITH RECURSIVE search (low, high) AS (
    SELECT COALESCE(({})::bigint, 0), COALESCE(({})::bigint, 0) + 1
     UNION ALL
    SELECT CASE WHEN found.stamp < %s THEN found.key + 1 ELSE low END,
           CASE WHEN found.stamp < %s THEN high ELSE (low + high) / 2 END
      FROM search LEFT JOIN LATERAL ({}) AS found (key, stamp) ON true
     WHERE low < high
)
SELECT max(low) FROM search
"""
