"""The usage of a user as rows of a CSV file: one for each day, model and device or key.

A statement reads one day, so that neither the memory of the process nor a snapshot grows with the
file. Texts are for programs: ISO days with the offset of the zone, plain numbers.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.models import User
from accounts.time_zones import borders, zone_of
from llmproxy.receipts.callers import find_callers
from llmproxy.usage import sums
from llmproxy.usage.sums import COLUMNS

HEADER = (
    "day",
    "begins",
    "model",
    "caller kind",
    "caller",
    *(name.replace("_", " ") for name in COLUMNS),
)


def read_rows(
    user: User, first: date, days: int, *, model: str | None, credential: str | None
) -> Iterator[list[Any]]:
    """Yield the header and the rows, the oldest day first, and a notice if the limit cut them."""
    yield list(HEADER)
    zone, left = zone_of(user), settings.EXPORT_MAX_ROWS
    for number in range(days):
        day = first + timedelta(days=number)
        limits = borders(day, 1, zone)
        used = sums.read_parts(user, limits, model=model, credential=credential)
        callers = find_callers(user, {part.credential: part.name for part in used})
        if not connection.in_atomic_block:
            connection.close()  # It returns to the pool while the client reads.
        begins = limits[0].astimezone(zone).isoformat()
        for part in used[:left]:
            caller = callers[part.credential]
            names = [part.model, caller.kind or "browser", caller.name]
            yield [day.isoformat(), begins, *names, *part.used.numbers]
        left -= len(used)
        if left < 0:
            yield [_describe_cut(day)]
            return


def _describe_cut(day: date) -> str:
    return (
        f"Cut after {settings.EXPORT_MAX_ROWS} rows. For the rest, add range=own&first={day} to the"
        " address of this file."
    )
