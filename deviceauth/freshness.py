"""How long ago the user of a browser session authenticated."""

import time

from django.conf import settings
from django.http import HttpRequest

from accounts.login.freshness import read_last_proof
from accounts.models import User


def is_stale(request: HttpRequest, user: User) -> bool:
    """Return whether the last authentication is older than DEVICE_FRESH_LOG_IN_SECONDS.

    A device keeps access for long, so connecting one needs a recent authentication: somebody else
    may use the browser by now.
    """
    proof = read_last_proof(request, user)
    if proof is None and user.last_login:  # the session was not created by the log-in page
        proof = user.last_login.timestamp()
    return time.time() - (proof or 0) > settings.DEVICE_FRESH_LOG_IN_SECONDS
