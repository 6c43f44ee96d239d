"""The browsers in which a user is logged in: allauth's rows beside Django's sessions."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet
from django.db.transaction import atomic

from accounts.access import events
from accounts.models import AuthEvent, User
from accounts.toolbox import request_source
from accounts.toolbox.request_source import Source

Browser: TypeAlias = Any  # allauth's UserSession, which carries no types


def every(user: User) -> QuerySet[Browser]:
    """All that are known, logged in or not."""
    rows: QuerySet[Browser] = UserSession.objects.filter(user=user)
    return rows


def of(user: User) -> list[Browser]:
    """Those that are logged in now, the last seen first; rows of others are deleted."""
    found: list[Browser] = UserSession.objects.purge_and_list(user)
    return sorted(found, key=lambda browser: browser.last_seen_at, reverse=True)


def end(*, user: User, browsers: Iterable[Browser], source: Source) -> int:
    """Log these browsers of the user out, at their next request; returns how many."""
    ended = 0
    with atomic():
        for browser in browsers:
            browser.end()
            name = request_source.describe(browser.user_agent)
            events.record(AuthEvent.Kind.SESSION_ENDED, user=user, source=source, device=name)
            ended += 1
    return ended


def forget_ended() -> int:
    """Delete the rows whose session is gone; returns how many."""
    session = Session.objects.filter(session_key=OuterRef("session_key"))
    return int(UserSession.objects.filter(~Exists(session)).delete()[0])
