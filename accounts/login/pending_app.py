"""The secret of an authenticator app that is being set up, in the session of the browser.

It stays the same for ten minutes, over reloads, changes of language and wrong codes. Otherwise an
app that has scanned the picture would show codes of a secret that is gone.
"""

import time

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.http import HttpRequest

from accounts.toolbox.encryption import Unreadable

SECONDS = 600
KEY = "pending_app"


def read(request: HttpRequest) -> str | None:
    """Return the secret, or None if there is none of the last ten minutes."""
    pending = request.session.get(KEY)
    if pending is None or not 0 <= time.time() - pending["since"] < SECONDS:
        return None
    try:
        return str(get_adapter().decrypt(pending["secret"]))
    except Unreadable:
        return None


def begin(request: HttpRequest) -> str:
    """Draw a secret, store it encrypted, and return it."""
    secret: str = generate_totp_secret()
    request.session[KEY] = {"secret": get_adapter().encrypt(secret), "since": int(time.time())}
    return secret


def end(request: HttpRequest) -> None:
    request.session.pop(KEY, None)
