"""Which rows match a term: at most MOST of each kind, each found by an index.

A finder looks up one kind of row. It is asked only if the reader may view that kind.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from smartspec.admin.find import ids, names, numbers, payments, secrets
from smartspec.admin.find.terms import Term
from smartspec.admin.viewing import may_view

MOST = 10  # rows of one kind

Finder = tuple[type[Any], Callable[[Term], Iterable[Model]]]

# Whole secrets first: a term in which one is found is asked of nothing else.
SECRETS: tuple[Finder, ...] = secrets.FINDERS
OTHERS: tuple[Finder, ...] = (
    *ids.FINDERS,
    *payments.FINDERS,
    *names.FINDERS,
    *secrets.ENDINGS,
    *numbers.FINDERS,
)


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that match. `is_cut` says that a kind has more than MOST of them."""

    rows: list[Model]
    is_cut: bool = False


def find_rows(request: HttpRequest, term: Term) -> Found:
    """Return what matches, of the kinds that the reader may view."""
    found = _ask(request, term, SECRETS)
    if found.rows or term.token:
        return found
    return _ask(request, term, secrets.ENDINGS if term.is_key else OTHERS)


def _ask(request: HttpRequest, term: Term, finders: Iterable[Finder]) -> Found:
    rows: dict[tuple[type[Model], Any], Model] = {}
    is_cut = False
    for model, find in finders:
        if not may_view(request, model):
            continue
        matching = list(islice(find(term), MOST + 1))
        is_cut |= len(matching) > MOST
        rows |= {(model, row.pk): row for row in matching[:MOST]}
    return Found(list(rows.values()), is_cut)


def list_kinds(request: HttpRequest) -> Iterator[type[Model]]:
    """Yield the kinds of rows that the reader may find."""
    kinds = dict.fromkeys(model for model, _find in (*SECRETS, *OTHERS))
    return (model for model in kinds if may_view(request, model))
