"""Django's test client for sessions that are named by a digest of their cookie (accounts/login/sessions.py)."""

from typing import Any

from django.conf import settings
from django.test import Client

from accounts.login.sessions import SessionStore


class Browser(Client):
    """Django's own puts the session's key into the cookie."""

    @property
    def session(self) -> SessionStore:
        """That of the cookie; a new one if there is none."""
        cookie = self.cookies.get(settings.SESSION_COOKIE_NAME)
        store = SessionStore.from_cookie(cookie.value if cookie else None)
        if not cookie:
            store.save()
            self.cookies[settings.SESSION_COOKIE_NAME] = str(store.cookie)
        return store

    def _set_login_cookies(self, request: Any) -> None:
        self.cookies[settings.SESSION_COOKIE_NAME] = request.session.cookie
