"""Browser sessions whose cookie cannot be read off the database: a row is named by the digest of what the cookie holds.

Everywhere in Django a session's key is that digest; only this middleware sees the cookie's own value. What a
session holds, such as a code that was mailed, is encrypted.
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
LENGTH = 40  # of Django's column: 160 bits in hexadecimal


def digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()[:LENGTH]


class SessionStore(db.SessionStore):
    """`cookie` is what the browser holds; None for a session that the server looks up by itself."""

    cookie: str | None = None

    @classmethod
    def of(cls, cookie: str | None) -> "SessionStore":
        store = cls(digest(cookie) if cookie else None)
        store.cookie = cookie
        return store

    def encode(self, session_dict: dict[str, Any]) -> str:
        return encryption.encrypt(super().encode(session_dict), purpose=PURPOSE)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            return dict(super().decode(encryption.decrypt(str(session_data), purpose=PURPOSE)))
        except encryption.Unreadable:  # its key is gone: the person logs in again
            return {}

    def _get_new_session_key(self) -> str:
        self.cookie = secrets.token_urlsafe(32)
        return digest(self.cookie)


class SessionMiddleware(DjangoSessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        request.session = SessionStore.of(request.COOKIES.get(settings.SESSION_COOKIE_NAME))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and cookie.value:  # Django has put the key there
            value = str(request.session.cookie)  # type: ignore[attr-defined]
            cookie.set(cookie.key, value, value)
        return response
