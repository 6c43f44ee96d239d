"""The parts of a tab: tables of the newest rows, each with a link to the whole list."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.text import capfirst

from accounts.models import User
from smartspec.admin.viewing import link_list, link_page, may_view

NEWEST = 10
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, and what it shows of a row.

    Numbers stand on the right. What is minor is left out on a phone; the page of the row has it.
    """

    title: Text
    show: Callable[[Any], Any]
    is_number: bool = False
    is_minor: bool = False

    @property
    def classes(self) -> str:
        return " ".join(["number"] * self.is_number + ["minor"] * self.is_minor)


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row with their columns. The first one leads to `link`, if there is one."""

    cells: list[tuple[Column, Any]]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A table. `link` leads to the whole list of it."""

    title: str
    columns: Sequence[Column]
    rows: list[Row]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Who is shown, and to whom."""

    request: HttpRequest
    user: User

    def list_rows(
        self,
        model: type[Model],
        rows: Iterable[Any],
        columns: Sequence[Column],
        *,
        title: Text = "",
        link: str = "",
        **filters: Any,
    ) -> Section | None:
        """Return the table of these rows; None if the reader may not view their model.

        The table leads to `link`, or to the list of the model with these `filters`.
        """
        if not may_view(self.request, model):
            return None
        name = str(title) or capfirst(str(model._meta.verbose_name_plural))
        shown = [
            Row([(column, column.show(row)) for column in columns], link_page(row)) for row in rows
        ]
        if filters:
            link = link_list(model, **filters)
        return Section(name, columns, shown, link)


def show_number(number: int | None) -> str:
    return "–" if number is None else intcomma(number)
