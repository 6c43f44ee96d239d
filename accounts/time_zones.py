"""In which time zone a person reads times, and where the days of that zone begin.

A zone is an IANA name, such as Asia/Bangkok. Browsers name it (ECMA-402, `resolvedOptions`).
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from accounts.models import User

_UTC = ZoneInfo("UTC")


@cache
def list_zones() -> tuple[str, ...]:
    """Return the names of all zones, sorted. Old and technical names are left out."""
    names = (name for name in available_timezones() if "/" in name or name == "UTC")
    hidden = ("Etc/", "SystemV/", "US/", "posix/", "right/")
    return tuple(sorted(name for name in names if not name.startswith(hidden)))


@cache
def _all_names() -> frozenset[str]:
    return frozenset(available_timezones())


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone with this name, or None. A name is never read as a path."""
    return ZoneInfo(name) if name in _all_names() else None


def find_zone_name(typed: str) -> str | None:
    """Return the name of the zone that is meant: in any case, or by its city alone; else None."""
    wanted = typed.strip().replace(" ", "_").casefold()
    names = {name.casefold(): name for name in list_zones()}
    cities = [name for key, name in names.items() if key.rpartition("/")[2] == wanted]
    return names.get(wanted) or (cities[0] if len(cities) == 1 else None)


def zone_of(user: object) -> ZoneInfo:
    """Return the zone of the user, UTC if it is not known or the reader is not logged in."""
    return (isinstance(user, User) and find_zone(user.time_zone)) or _UTC


def borders(first_day: date, days: int, zone: ZoneInfo) -> list[datetime]:
    """Return the `days` + 1 moments at which the days from `first_day` on begin and end, in UTC.

    A day is 23 or 25 hours long where the clock changes. If a clock skips midnight, the day begins
    with the change; if midnight comes twice, with the first one (PEP 495, fold 0).
    """
    starts = (first_day + timedelta(days=number) for number in range(days + 1))
    return [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in starts]
