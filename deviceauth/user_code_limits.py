"""Limits of wrong user codes per account and per network (RFC 8628 §5.1).

Only wrong codes count. A right code does not restore attempts that others have used. So an office
with many users is not locked out, and an attacker with an account of their own gains no extra
attempts.
"""

import logging

from django.conf import settings

from accounts.access import events
from accounts.access.events import Kind
from accounts.models import User
from accounts.toolbox import rate_limits
from accounts.toolbox.rate_limits import Rate
from accounts.toolbox.request_source import Source, network
from deviceauth.exceptions import TooManyRequests, TooManyTries

logger = logging.getLogger(__name__)


class Attempt:
    """One attempt to enter a user code.

    It is counted before the code is looked up, so that many requests at once cannot exceed the
    limit.
    """

    def __init__(self, *, user: User | None, source: Source) -> None:
        """Count the attempt. Raises TooManyTries if the account or network has none left."""
        self.user, self.source = user, source
        self.paid: dict[str, Rate] = {}
        for key, limit in self._budgets():
            rate = rate_limits.take(key, limit=limit, period=settings.DEVICE_WRONG_CODES_SECONDS)
            if not rate.allowed:
                self.succeed()
                raise TooManyTries(rate.retry_after)
            self.paid[key] = rate

    def _budgets(self) -> list[tuple[str, int]]:
        """Return the key and limit of each budget that the attempt is counted in.

        Visitors who are not logged in have their own budget, so that they cannot use up the
        attempts of users in the same network.
        """
        where = network(self.source.address)
        if self.user is None:
            return [(f"wrong_user_code:anonymous:{where}", settings.DEVICE_WRONG_CODES_PER_ADDRESS)]
        return [
            (f"wrong_user_code:user:{self.user.pk}", settings.DEVICE_WRONG_CODES_PER_USER),
            (f"wrong_user_code:{where}", settings.DEVICE_WRONG_CODES_PER_ADDRESS),
        ]

    def succeed(self) -> None:
        """Give the attempt back, because the code was right."""
        for key, rate in self.paid.items():
            rate_limits.give_back(key, limit=rate.limit, period=settings.DEVICE_WRONG_CODES_SECONDS)

    def fail(self) -> None:
        """Record a wrong code, and log a warning if no attempts are left."""
        events.record(Kind.WRONG_CODE, user=self.user, source=self.source)
        if any(rate.remaining < 1 for rate in self.paid.values()):
            events.record(Kind.TRIES_USED_UP, user=self.user, source=self.source)
            logger.warning(
                "too many wrong user codes from %s, user %s",
                self.source.address,
                self.user and self.user.pk,
            )


def count_unknown_device_code(source: Source) -> None:
    """Count an unknown device code of a network. Raises TooManyRequests over the limit.

    Existing codes are not counted, so they are never refused for this.
    """
    key = f"unknown_device_code:{network(source.address)}"
    rate = rate_limits.take(key, limit=settings.DEVICE_UNKNOWN_CODES_RPM)
    if not rate.allowed:
        raise TooManyRequests(rate.retry_after)
