"""How many wrong user codes an account and an address may enter (RFC 8628 §5.1).

Only wrong codes count and a right one gives nothing back, so neither a busy office nor an attacker
with an account of his own changes the other's odds.
"""

import math

from django.conf import settings

from accounts.devices import network
from accounts.limits import Rate, take
from accounts.models import User
from deviceauth.exceptions import TooManyTries


def require_left(*, user: User | None, address: str) -> None:
    """Raise TooManyTries if this account or address has none left."""
    for key, limit in _budgets(user, address):
        rate = _take(key, limit, cost=0)
        if rate.remaining < 1:
            raise TooManyTries(_until_next(rate))


def count_wrong(*, user: User | None, address: str) -> None:
    """One wrong code more."""
    for key, limit in _budgets(user, address):
        _take(key, limit, cost=1)


def _budgets(user: User | None, address: str) -> list[tuple[str, int]]:
    budgets = [(f"wrong_user_code:{network(address)}", settings.DEVICE_WRONG_CODES_PER_ADDRESS)]
    if user is not None:
        budgets.append((f"wrong_user_code:user:{user.pk}", settings.DEVICE_WRONG_CODES_PER_USER))
    return budgets


def _take(key: str, limit: int, *, cost: int) -> Rate:
    return take(key, limit=limit, cost=cost, period=settings.DEVICE_WRONG_CODES_SECONDS)


def _until_next(rate: Rate) -> int:
    """Seconds until one more is allowed."""
    period = settings.DEVICE_WRONG_CODES_SECONDS
    return max(1, math.ceil(rate.reset + period / rate.limit - period))
