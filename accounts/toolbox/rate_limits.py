"""Rate limits, decided in PostgreSQL, so that they hold across all workers and machines.

Each key stores one timestamp, the theoretical arrival time of the generic cell rate algorithm
(GCRA, ITU-T I.371) in accounts/database/sql/2_rates.sql: `limit` units may come at once, then one
every `period / limit` seconds.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.toolbox.request_source import client_address, network

PERIOD = 60  # seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """The decision of `take`.

    `reset` (until all of `limit` is free) and `retry_after` are in seconds.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: float
    retry_after: int


def take(key: str, *, limit: int, cost: int = 1, period: int = PERIOD) -> Rate:
    """Count `cost` units of this key against `limit` per `period` seconds, if they fit.

    A refused call counts nothing. A `cost` above `limit` counts as `limit`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT allowed, said::text FROM accounts_take(%s, %s, %s, %s)",
            [key, limit, cost, period],
        )
        allowed, said = cursor.fetchone()
    state = json.loads(said)
    return Rate(
        allowed=allowed,
        limit=limit,
        remaining=int(state["remaining"]),
        reset=state["reset"],
        retry_after=int(state["retry_after"]),
    )


def give_back(key: str, *, limit: int, cost: int = 1, period: int = PERIOD) -> None:
    """Undo one `take` that was called with the same arguments."""
    worth: Any = timedelta(seconds=cost * period / limit)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rate_limits SET arrival = arrival - %s WHERE key = %s", [worth, key])


class AddressThrottle(BaseThrottle):
    """Allow `settings.<setting>` calls per `period` seconds from one network (see `network`).

    A subclass names the setting.
    """

    setting = ""
    period = PERIOD
    rate: Rate | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = f"{self.setting}:{network(client_address(request._request))}"
        self.rate = take(key, limit=getattr(settings, self.setting), period=self.period)
        return self.rate.allowed

    def wait(self) -> float | None:
        return self.rate.retry_after if self.rate else None


def forget_idle() -> None:
    """Delete keys whose whole limit is free again, and expired entries of the cache table."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rate_limits WHERE arrival < clock_timestamp()")
        cursor.execute("DELETE FROM django_cache WHERE expires < clock_timestamp()")
