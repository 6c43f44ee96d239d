"""How long ago the person at a browser proved who they are."""

import time

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


def is_stale(request: HttpRequest, user: User) -> bool:
    """Whether it was so long ago that this browser may be in other hands, for something as lasting as a device."""
    proofs = [record["at"] for record in get_authentication_records(request, user)]
    if not proofs and user.last_login:  # a session that the log-in page did not begin
        proofs = [user.last_login.timestamp()]
    return time.time() - max(proofs, default=0) > settings.DEVICE_FRESH_LOG_IN_SECONDS
