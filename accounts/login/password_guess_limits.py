"""Limits of wrong passwords: they stop guessing without locking owners out (docs/decisions/0011).

The limits are in settings.ACCOUNT_RATE_LIMITS. allauth counts in the cache, which is a database
table.
"""

from functools import partial
from typing import Any

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from accounts.email_addresses import normalise_for_lookup
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import network

RECENT = 50  # log-ins of the account that are compared
_consume = partial(ratelimit.consume, app="allauth.account")


class TooManyGuesses(Exception):
    """The limit is reached: no password is checked, right or wrong."""


def build_limit_key(email: str, address: str) -> str:
    """Return the key of a limit for one account from one network."""
    return f"{normalise_for_lookup(email)}:{network(address)}"


def count_guess(request: HttpRequest, email: str, address: str) -> list[Any]:
    """Count a log-in attempt for its address and for the account.

    Returns the usages, whose rollback() uncounts them after a right password. The limit of the
    account does not apply to a network from which its owner has logged in before. Raises
    TooManyGuesses.
    """
    address_usage = _consume(request, action="guesses_of_address")
    if not address_usage:
        raise TooManyGuesses
    account_usage = _consume(request, action="guesses_at_account", key=normalise_for_lookup(email))
    if not account_usage and not _has_logged_in_from(email, address):
        raise TooManyGuesses
    return [address_usage, account_usage] if account_usage else [address_usage]


def count_reset(request: HttpRequest, email: str, address: str) -> None:
    """Count a password reset mail for its network and for the account.

    Each network has a small limit, so strangers cannot use up the mails of the owner. The limit of
    the account does not apply to a network from which its owner has logged in. Raises
    TooManyGuesses.
    """
    if not _consume(request, action="resets_from_network", key=build_limit_key(email, address)):
        raise TooManyGuesses
    if not _consume(
        request, action="resets_of_account", key=normalise_for_lookup(email)
    ) and not _has_logged_in_from(email, address):
        raise TooManyGuesses


def clear_guesses(request: HttpRequest, user: User) -> None:
    """Clear the counts of an account after a new password: they were about the old one.

    This also clears the count of wrong codes of its second factor.
    """
    ratelimit.clear(
        request,
        app="allauth.account",
        action="guesses_at_account",
        key=normalise_for_lookup(user.email),
    )
    ratelimit.clear(
        request, app="allauth.account", action="login_failed", key=f"mfa-auth-user-{user.pk}"
    )


def _has_logged_in_from(email: str, address: str) -> bool:
    """Return whether the owner recently logged in or reset the password from this network."""
    proofs = (AuthEvent.Kind.LOGGED_IN, AuthEvent.Kind.PASSWORD_RESET)
    proven = AuthEvent.objects.filter(user__email=normalise_for_lookup(email), kind__in=proofs)
    recent = proven.order_by("-id").values_list("address", flat=True)[:RECENT]
    return network(address) in {network(each) for each in recent}
