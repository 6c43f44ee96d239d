"""Calendar months in UTC, as numbers: 12 × year + month − 1, so that they can be counted."""

from datetime import UTC, date, datetime


def number_month(day: date) -> int:
    """Return the number of the month of this day."""
    return day.year * 12 + day.month - 1


def start_month(number: int) -> datetime:
    """Return the first moment of a month."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def start_next_month(day: date) -> datetime:
    """Return the first moment of the month after that of this day."""
    return start_month(number_month(day) + 1)


def format_month(number: int) -> str:
    """Format a month as year-month, such as 2026-11."""
    return f"{start_month(number):%Y-%m}"


def parse_month(text: str) -> int:
    """Return the number of a month that `format_month` formatted."""
    year, month = map(int, text.split("-"))
    return number_month(date(year, month, 1))
