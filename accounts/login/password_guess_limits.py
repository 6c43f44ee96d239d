"""Wrong passwords, counted so that nobody guesses one and nobody locks another person out (docs/decisions/0011).

The numbers are in settings.ACCOUNT_RATE_LIMITS; allauth counts them in the cache, which is in the database.
"""

from functools import partial
from typing import Any

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import network

RECENT = 50  # entries that are looked at
_consume = partial(ratelimit.consume, app="allauth.account")


class TooManyGuesses(Exception):
    """No password is looked at now, right or wrong."""


def key(email: str, address: str) -> str:
    """One account as tried from one address."""
    return f"{email.lower()}:{network(address)}"


def count(request: HttpRequest, email: str, address: str) -> list[Any]:
    """Count a try for its address, and for the account wherever it is tried from. What is returned rolls back.

    The account's limit does not hold where its owner has been before. Raises TooManyGuesses.
    """
    of_address = _consume(request, action="guesses_of_address")
    if not of_address:
        raise TooManyGuesses
    at_account = _consume(request, action="guesses_at_account", key=email.lower())
    if not at_account and not _has_been_at(email, address):
        raise TooManyGuesses
    return [of_address, at_account] if at_account else [of_address]


def count_reset(request: HttpRequest, email: str, address: str) -> None:
    """Count a mail with a link, of a network and of the account, so that strangers leave some to its owner.

    The account's limit does not hold where its owner has been before. Raises TooManyGuesses.
    """
    if not _consume(request, action="resets_from_network", key=key(email, address)):
        raise TooManyGuesses
    if not _consume(request, action="resets_of_account", key=email.lower()) and not _has_been_at(
        email, address
    ):
        raise TooManyGuesses


def forget(request: HttpRequest, user: User) -> None:
    """Let somebody with a new password try it and their second factor: what was counted was about the old one."""
    ratelimit.clear(request, app="allauth.account", action="guesses_at_account", key=user.email)
    ratelimit.clear(
        request, app="allauth.account", action="login_failed", key=f"mfa-auth-user-{user.pk}"
    )


def _has_been_at(email: str, address: str) -> bool:
    """Whether the owner lately logged in there, or chose a new password through their mail."""
    proofs = (AuthEvent.Kind.LOGGED_IN, AuthEvent.Kind.PASSWORD_RESET)
    entered = AuthEvent.objects.filter(user__email=email.lower(), kind__in=proofs)
    lately = entered.order_by("-id").values_list("address", flat=True)[:RECENT]
    return network(address) in {network(each) for each in lately}
