"""Rows by an id that the service has made: users, completions with their holds, webhooks.

A trace ID may come from the caller, so many completions can have the same one.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from accounts.models import User, WebhookEndpoint
from accounts.toolbox.diagnosis.traces import TRACE_ID
from credits.models import Hold
from llmproxy.models import Completion
from smartspec.admin.find.terms import Term

PUBLIC_ID = re.compile(r"usr_[\w-]{2,}\Z", re.ASCII)
SHORTEST_TRACE = 12  # characters; a shorter one is looked for in the list of completions


def find_users(term: Term) -> Iterable[User]:
    """Return users by their public id or its beginning."""
    if not PUBLIC_ID.match(term.text):
        return ()
    return User.objects.filter(public_id__startswith=term.text).order_by("public_id")[:20]


def find_completions(term: Term) -> Iterable[Completion]:
    """Return completions by their id, their request ID or their trace ID."""
    rows = Completion.objects.select_related("user")
    if term.text.startswith("gen_"):
        return rows.filter(generation_id=term.text)
    if term.text.startswith("req_"):
        keys = Completion.objects.list_keys(request_id=term.text)
    elif _may_be_trace(term.text):
        keys = Completion.objects.list_keys(trace_id=term.text)
    else:
        return ()
    return rows.filter(pk__in=keys).order_by("-pk")[:20] if keys else ()


def _may_be_trace(text: str) -> bool:
    """Whether a text is worth the look-up, which reads more than others: no name or address is."""
    return len(text) >= SHORTEST_TRACE and "@" not in text and TRACE_ID.match(text) is not None


def find_open_holds(term: Term) -> Iterable[Hold]:
    """Return the hold of a completion that is still running, and has no row of its own yet."""
    if not term.text.startswith("gen_"):
        return ()
    running = Hold.objects.filter(state=Hold.State.OPEN, reference_id=term.text)
    return running.select_related("user")[:20]


def find_endpoints(term: Term) -> Iterable[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(public_id=term.text).select_related("user")


FINDERS: tuple[tuple[type[Any], Callable[[Term], Iterable[Any]]], ...] = (
    (User, find_users),
    (Completion, find_completions),
    (Hold, find_open_holds),
    (WebhookEndpoint, find_endpoints),
)
