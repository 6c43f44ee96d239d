"""Rows by their number, of every kind that has a page: one look at a primary key each."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import QuerySet

from accounts.models import ApiKey, User
from credits.models import (
    Approval,
    CodeBatch,
    Grant,
    Hold,
    Purchase,
    RedemptionCode,
    Transaction,
)
from deviceauth.models import DeviceSession
from llmproxy.models import Completion
from smartspec.admin.find.terms import Term

RELATED: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (User, ()),
    (Transaction, ("user",)),
    (Completion, ("user",)),
    (Hold, ("user",)),
    (Purchase, ("user",)),
    (Approval, ()),
    (Grant, ("user",)),
    (ApiKey, ("user",)),
    (DeviceSession, ("user",)),
    (RedemptionCode, ("batch", "user")),
    (CodeBatch, ()),
)


def _find_by_number(model: type[Any], related: tuple[str, ...]) -> Callable[[Term], Iterable[Any]]:
    def find(term: Term) -> Iterable[Any]:
        if term.number is None:
            return ()
        rows: QuerySet[Any] = model._default_manager.filter(pk=term.number)
        return rows.select_related(*related) if related else rows

    return find


FINDERS = tuple((model, _find_by_number(model, related)) for model, related in RELATED)
