"""The browsers in which a user is logged in: allauth's UserSession beside Django's sessions."""

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


def list_known(user: User) -> QuerySet[Browser]:
    """Return all known browsers of a user, including those that are logged out."""
    rows: QuerySet[Browser] = UserSession.objects.filter(user=user)
    return rows


def list_logged_in(user: User) -> list[Browser]:
    """Return the browsers that are logged in now, the last seen first; delete the other rows."""
    browsers: list[Browser] = UserSession.objects.purge_and_list(user)
    return sorted(browsers, key=lambda browser: browser.last_seen_at, reverse=True)


def end(*, user: User, browsers: Iterable[Browser], source: Source) -> int:
    """Log these browsers of the user out, from their next request on; return the number."""
    ended = 0
    with atomic():
        for browser in browsers:
            browser.end()
            name = request_source.describe_user_agent(browser.user_agent)
            events.record(AuthEvent.Kind.SESSION_ENDED, user=user, source=source, device=name)
            ended += 1
    return ended


def delete_ended() -> int:
    """Delete the rows of sessions that no longer exist; return the number."""
    session = Session.objects.filter(session_key=OuterRef("session_key"))
    return int(UserSession.objects.filter(~Exists(session)).delete()[0])
