"""The frame of all relations: a title, the kind of the rows, and the rows, each by an index."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from smartspec.admin.descriptions import describe
from smartspec.admin.viewing import link_page, may_view

MOST = 10  # rows of one relation
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of one model. `find` is called only if the reader may view the model.

    `link` leads to the list of all, if there can be more than MOST.
    """

    model: type[Any]
    find: Callable[[], Iterable[Model | None]]
    title: Text = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One relative: its name, what it is, and its page."""

    title: str
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Group:
    """The links of one relation."""

    title: str
    links: list[Link]
    more: str = ""


def show_relations(request: HttpRequest, relations: Iterable[Relation]) -> Iterator[Group]:
    """Yield the links of each relation that has some, of what the reader may view."""
    for relation in relations:
        if not may_view(request, relation.model):
            continue
        rows = list(islice((row for row in relation.find() if row is not None), MOST))
        if rows or relation.link:
            name = capfirst(str(relation.title or relation.model._meta.verbose_name_plural))
            yield Group(name, [_make_link(request, row) for row in rows], relation.link)


def _make_link(request: HttpRequest, row: Model) -> Link:
    description = describe(request, row)
    return Link(description.title, " · ".join(description.facts), link_page(row))


def list_entries(row: Model) -> Relation:
    """Return the newest entries of the administrators' log about a row."""

    def find() -> Iterable[Model]:
        kind = ContentType.objects.get_for_model(row)
        entries = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk))
        return entries.select_related("user").order_by("-pk")[:MOST]

    history = f"admin:{row._meta.app_label}_{row._meta.model_name}_history"
    return Relation(LogEntry, find, _("Administrator log"), reverse(history, args=[row.pk]))
