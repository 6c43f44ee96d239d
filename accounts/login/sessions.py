"""Browser sessions that a copy of the database does not give access to.

A session's row, and its key everywhere in Django, is the digest of the cookie's value; only this
module sees the value itself. The data of a session is encrypted, because it can hold a mailed code
(docs/decisions/0013-a-session-is-named-by-a-digest.md).
"""

import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponse

from accounts.toolbox import encryption

PURPOSE = "sessions"
LENGTH = 40  # hexadecimal digits (160 bits), as many as Django's column has


def digest_cookie(cookie: str) -> str:
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()[:LENGTH]


class SessionStore(db.SessionStore):
    """`cookie` is the value in the browser; None for a session that the server looks up by key."""

    cookie: str | None = None

    @classmethod
    def from_cookie(cls, cookie: str | None) -> "SessionStore":
        store = cls(digest_cookie(cookie) if cookie else None)
        store.cookie = cookie
        return store

    def encode(self, session_dict: dict[str, Any]) -> str:
        return encryption.encrypt(super().encode(session_dict), purpose=PURPOSE)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            return dict(super().decode(encryption.decrypt(str(session_data), purpose=PURPOSE)))
        except encryption.Unreadable:  # its key was removed, so the user logs in again
            return {}

    def _get_new_session_key(self) -> str:
        self.cookie = secrets.token_urlsafe(32)
        return digest_cookie(self.cookie)


class SessionMiddleware(DjangoSessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        request.session = SessionStore.from_cookie(
            request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        )

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and cookie.value:  # Django has set the key
            value = str(request.session.cookie)  # type: ignore[attr-defined]
            cookie.set(cookie.key, value, value)
        return response
