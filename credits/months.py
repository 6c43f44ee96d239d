"""Calendar months in UTC. They are numbered from the year 0 on, so that they can be counted."""

from datetime import UTC, date, datetime


def number_of(day: date) -> int:
    """The number of the month that this day is in."""
    return day.year * 12 + day.month - 1


def begin(number: int) -> datetime:
    """The first moment of a month."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def begin_next(day: date) -> datetime:
    """The first moment of the month after the one that this day is in."""
    return begin(number_of(day) + 1)


def write(number: int) -> str:
    """As year-month, such as 2026-11."""
    return f"{begin(number):%Y-%m}"


def read(text: str) -> int:
    """The number of a month that `write` wrote."""
    year, month = map(int, text.split("-"))
    return number_of(date(year, month, 1))
