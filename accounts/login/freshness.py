"""When the user of a browser session last proved who they are, at log-in or later."""

import time

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from accounts.models import User


def read_last_proof(request: HttpRequest, user: User) -> float | None:
    """Return the time of the last password, code or passkey of this session, in seconds since 1970.

    None if the session was not created by the log-in page.
    """
    proofs = [float(record["at"]) for record in get_authentication_records(request, user)]
    return max(proofs, default=None)


def has_proved(request: HttpRequest, user: User, *, seconds: int) -> bool:
    """Return whether the user proved who they are in this session within the last `seconds`."""
    proof = read_last_proof(request, user)
    return proof is not None and time.time() - proof <= seconds
