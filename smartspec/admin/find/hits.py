"""What the box shows: rows that match, and the lists whose title begins as was typed."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Model
from django.http import HttpRequest

from smartspec.admin.descriptions import describe
from smartspec.admin.find.finders import find_rows
from smartspec.admin.find.terms import Term
from smartspec.admin.sidebar import SECTIONS, build_navigation
from smartspec.admin.viewing import link_page

MOST = 50  # of all kinds together
MOST_LISTS = 5
SHORTEST = 2  # characters of the title of a list


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of the results: what it is called, what it is, and its page."""

    title: str
    text: str
    link: str
    icon: str


@dataclass(frozen=True, slots=True)
class Hits:
    """All that matches. `is_cut` says that there is more than is shown."""

    rows: list[Hit]
    lists: list[Hit]
    is_cut: bool = False

    @property
    def all(self) -> list[Hit]:
        return [*self.rows, *self.lists]


def find_hits(request: HttpRequest, term: Term) -> Hits:
    """Return what matches a term, of what the reader may view."""
    if not (term.text or term.token):
        return Hits([], [])
    found = find_rows(request, term)
    rows = [_make_hit(request, row) for row in found.rows[:MOST]]
    lists = [] if term.is_secret else list(_list_pages(request, term.text))[:MOST_LISTS]
    return Hits(rows, lists, found.is_cut or len(found.rows) > MOST)


def _make_hit(request: HttpRequest, row: Model) -> Hit:
    description = describe(request, row)
    icon = _ICONS.get(row._meta.label_lower, "data_object")
    return Hit(description.title, description.text, link_page(row), icon)


def _list_pages(request: HttpRequest, text: str) -> Iterator[Hit]:
    """Yield the entries of the menu of which a word begins with the text."""
    typed = text.casefold()
    if len(typed) < SHORTEST:
        return
    for section in build_navigation(request):
        for item in section["items"]:
            title = str(item["title"])
            folded = title.casefold()
            begins = folded.startswith(typed) or f" {typed}" in folded
            if begins and ("permission" not in item or item["permission"](request)):
                yield Hit(title, str(section["title"]), str(item["link"]), item["icon"])


_ICONS = {label: icon for _title, items in SECTIONS for label, icon in items}
