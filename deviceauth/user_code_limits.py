"""How many wrong codes an account and an address may send (RFC 8628 §5.1).

Only wrong codes count and a right one gives nothing back of what others cost, so neither a busy office nor an
attacker with an account of his own changes the other's odds.
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


class Try:
    """One user code on trial: paid for before it is looked up, so that a hundred at once are not for free."""

    def __init__(self, *, user: User | None, source: Source) -> None:
        """Raise TooManyTries if this account or address has none left."""
        self.user, self.source = user, source
        self.paid: dict[str, Rate] = {}
        for key, limit in self._budgets():
            rate = rate_limits.take(key, limit=limit, period=settings.DEVICE_WRONG_CODES_SECONDS)
            if not rate.allowed:
                self.succeed()
                raise TooManyTries(rate.retry_after)
            self.paid[key] = rate

    def _budgets(self) -> list[tuple[str, int]]:
        """Of nobody in particular, and of who is logged in: the former must not use up the tries of the latter."""
        where = network(self.source.address)
        if self.user is None:
            return [(f"wrong_user_code:anonymous:{where}", settings.DEVICE_WRONG_CODES_PER_ADDRESS)]
        return [
            (f"wrong_user_code:user:{self.user.pk}", settings.DEVICE_WRONG_CODES_PER_USER),
            (f"wrong_user_code:{where}", settings.DEVICE_WRONG_CODES_PER_ADDRESS),
        ]

    def succeed(self) -> None:
        """The code was right: this one costs nothing."""
        for key, rate in self.paid.items():
            rate_limits.give_back(key, limit=rate.limit, period=settings.DEVICE_WRONG_CODES_SECONDS)

    def fail(self) -> None:
        """The code was wrong; an operator hears of who has no more tries."""
        events.record(Kind.WRONG_CODE, user=self.user, source=self.source)
        if any(rate.remaining < 1 for rate in self.paid.values()):
            events.record(Kind.TRIES_USED_UP, user=self.user, source=self.source)
            logger.warning(
                "too many wrong user codes from %s, user %s",
                self.source.address,
                self.user and self.user.pk,
            )


def count_unknown_device_code(source: Source) -> None:
    """One device code that nobody was given. Raises TooManyRequests; a code that exists is never refused for it."""
    key = f"unknown_device_code:{network(source.address)}"
    rate = rate_limits.take(key, limit=settings.DEVICE_UNKNOWN_CODES_RPM)
    if not rate.allowed:
        raise TooManyRequests(rate.retry_after)
