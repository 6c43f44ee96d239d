"""How long ago the user of a browser session authenticated."""

import time

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


def is_stale(request: HttpRequest, user: User) -> bool:
    """Return whether the last authentication is older than DEVICE_FRESH_LOG_IN_SECONDS.

    A device keeps access for long, so connecting one needs a recent authentication: somebody else
    may use the browser by now.
    """
    proofs = [record["at"] for record in get_authentication_records(request, user)]
    if not proofs and user.last_login:  # the session was not created by the log-in page
        proofs = [user.last_login.timestamp()]
    return time.time() - max(proofs, default=0) > settings.DEVICE_FRESH_LOG_IN_SECONDS
