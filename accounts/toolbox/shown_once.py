"""Secrets that are shown once: a new API key, a new secret of an OAuth client.

The answer to the form that makes a secret is a redirect, and the secret waits in the session for
the page that shows it. So a reload or another language on that page loses nothing, and "back" sends
no form again. It is encrypted there, and gone after SHOWN_SECONDS, at log-out, or when the page has
been left by its own link.
"""

import time
from contextlib import suppress

from django.http import HttpRequest

from accounts.toolbox import encryption

PURPOSE = "secrets shown once"
SHOWN_SECONDS = 10 * 60
_STORE = "shown_once"  # session key; the value is {name: [encrypted secret, time of its end]}


def keep_secret(request: HttpRequest, *, name: str, secret: str) -> None:
    """Keep a secret for the page that shows it. `name` says of what it is: `key:12`."""
    ends_at = time.time() + SHOWN_SECONDS
    kept = [encryption.encrypt(secret, purpose=PURPOSE), ends_at]
    request.session[_STORE] = {**_list_kept(request), name: kept}


def read_secret(request: HttpRequest, *, name: str) -> str | None:
    """Return a secret that is still kept; None if it is gone."""
    with suppress(KeyError, encryption.Unreadable):
        encrypted, _ends_at = _list_kept(request)[name]
        return encryption.decrypt(encrypted, purpose=PURPOSE)
    return None


def forget_secrets(request: HttpRequest) -> None:
    """Remove all secrets: their page has been left."""
    if _STORE in request.session:
        del request.session[_STORE]


def forget_expired_secrets(request: HttpRequest) -> None:
    """Remove the secrets whose time is over; the others stay."""
    kept = _list_kept(request)
    if kept != request.session.get(_STORE, {}):
        request.session[_STORE] = kept


def _list_kept(request: HttpRequest) -> dict[str, tuple[str, float]]:
    now = time.time()
    stored = request.session.get(_STORE, {})
    return {name: kept for name, kept in stored.items() if kept[1] > now}
