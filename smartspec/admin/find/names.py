"""Rows by a name or its beginning: users, devices, API keys, models and providers.

Whole names come first, then those that only begin so. Each of the two reads its own part of an
index, so that a name that a million devices have costs no more than a rare one.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from accounts.email_addresses import MAX_LENGTH, PREFIX, normalise_for_lookup
from accounts.models import ApiKey, User
from deviceauth.models import DeviceSession
from llmproxy.models import LanguageModel, Provider
from smartspec.admin.find.terms import Term

SHORTEST = 2  # characters of a beginning
MOST = 11  # rows of a beginning that are read


def find_users(term: Term) -> Iterable[User]:
    """Return users by an email address in any spelling, or by its beginning."""
    rows = User.objects.all()
    whole = normalise_for_lookup(term.text)
    found: Iterator[User] = iter(())
    if "@" in term.text:
        found = iter(rows.filter(email=whole))
    beginning = find_beginning(whole)
    if beginning:
        found = chain(found, rows.filter(email__startswith=beginning).order_by("email")[:MOST])
    return found


def find_beginning(address: str) -> str:
    """Return the beginning of an address as it is stored; empty if there can be none.

    A domain in Unicode that is not typed whole matches all international domains of the mailbox.
    """
    name, at, host = address.partition("@")
    if len(address) < SHORTEST or len(address) > MAX_LENGTH or " " in address:
        return ""
    return address if host.isascii() else f"{name}{at}{PREFIX}"


def find_devices(term: Term) -> Iterable[DeviceSession]:
    return _find_named(DeviceSession.objects.select_related("user"), term.text)


def find_keys(term: Term) -> Iterable[ApiKey]:
    return _find_named(ApiKey.objects.select_related("user"), term.text)


def _find_named(rows: QuerySet[Any], name: str) -> Iterator[Any]:
    if not name:
        return iter(())
    named = rows.annotate(lower_name=Lower("name"))
    whole = named.filter(lower_name=name.lower()).order_by("-pk")[:MOST]
    if len(name) < SHORTEST:
        return iter(whole)
    beginning = named.filter(lower_name__startswith=name.lower()).order_by()[:MOST]
    return chain(whole, beginning)


def find_models(term: Term) -> Iterable[LanguageModel]:
    if len(term.text) < SHORTEST:
        return ()
    return LanguageModel.objects.filter(name__istartswith=term.text).order_by("name")


def find_providers(term: Term) -> Iterable[Provider]:
    if len(term.text) < SHORTEST:
        return ()
    named = Q(name__istartswith=term.text) | Q(slug__istartswith=term.text)
    return Provider.objects.filter(named).order_by("name")


FINDERS: tuple[tuple[type[Any], Callable[[Term], Iterable[Any]]], ...] = (
    (User, find_users),
    (DeviceSession, find_devices),
    (ApiKey, find_keys),
    (LanguageModel, find_models),
    (Provider, find_providers),
)
