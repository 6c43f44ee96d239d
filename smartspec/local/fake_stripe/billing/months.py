"""Billing months: they begin on the anchor's day, or on the last one of a shorter month."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]


def find_period(anchor: int, at: int, recurring: Json) -> tuple[int, int]:
    """Return start and end of the billing period that contains the time `at`."""
    number = 0
    while add_intervals(anchor, number + 1, recurring) <= at:
        number += 1
    return (
        add_intervals(anchor, number, recurring),
        add_intervals(anchor, number + 1, recurring),
    )


def add_intervals(anchor: int, number: int, recurring: Json) -> int:
    """Return the time `number` intervals after the anchor."""
    count = number * int(recurring["interval_count"])
    begin = datetime.fromtimestamp(anchor, UTC)
    days = {"day": 1, "week": 7}.get(recurring["interval"])
    if days is not None:
        return int((begin + timedelta(days=days * count)).timestamp())
    months = count * (12 if recurring["interval"] == "year" else 1)
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    day = min(begin.day, calendar.monthrange(year, month + 1)[1])
    return int(begin.replace(year=year, month=month + 1, day=day).timestamp())
