"""Django's test client for our sessions, whose key is a digest of the cookie.

See accounts/login/sessions.py.
"""

from typing import Any

from django.conf import settings
from django.test import Client

from accounts.login.sessions import SessionStore


class Browser(Client):
    """A client that stores the cookie's value; Django's client would store the session's key."""

    @property
    def session(self) -> SessionStore:
        """The session of the cookie; a new session if there is no cookie."""
        cookie = self.cookies.get(settings.SESSION_COOKIE_NAME)
        store = SessionStore.from_cookie(cookie.value if cookie else None)
        if not cookie:
            store.save()
            self.cookies[settings.SESSION_COOKIE_NAME] = str(store.cookie)
        return store

    def _set_login_cookies(self, request: Any) -> None:
        self.cookies[settings.SESSION_COOKIE_NAME] = request.session.cookie
