"""What all folds of completions share: clock, lock, and the keys that bound a range of times."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from accounts.toolbox.keyset import find_first_key
from llmproxy.models import Completion, UsageFold

QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
MARGIN = timedelta(hours=1)  # the most by which the order of keys and that of times may differ
OPEN_MARGIN = timedelta(minutes=10)  # the same, for what pages read; no statement takes this long
AGAIN = timedelta(hours=2)  # time before the end of what is folded that is computed again
STEP_ROWS = 20_000  # completions of one step, approximately; an hour is never divided
ROUND_SECONDS = 20.0  # An old installation is folded in several rounds.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def round_down(moment: datetime, unit: timedelta) -> datetime:
    """Return the last whole `unit` of UTC at or before the moment."""
    return moment - (moment - EPOCH) % unit


def read_clock() -> datetime:
    """Return the time of the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0].astimezone(UTC)


def is_read_only() -> bool:
    """True if this database takes no writes, as a standby."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        return bool(cursor.fetchone()[0])


def lock() -> UsageFold:
    """Take the lock against another fold, which could write older figures; return its row."""
    UsageFold.objects.bulk_create([UsageFold(id=UsageFold.ONLY)], ignore_conflicts=True)
    return UsageFold.objects.select_for_update().get()


def find_step_end(
    rows: QuerySet[Completion], start: datetime, end: datetime, *, step_rows: int
) -> datetime:
    """Return the end of a step, on a whole hour but for the last one."""
    first = find_first_key(rows, "id", "created_at", start)
    times = rows.filter(pk__gte=first).order_by("pk").values_list("created_at", flat=True)
    beyond = next(iter(times[step_rows : step_rows + 1]), None)
    if beyond is None:
        return end
    return min(max(round_down(beyond, HOUR), start + HOUR), end)


def bound(
    rows: QuerySet[Completion], start: datetime, end: datetime, *, margin: timedelta = MARGIN
) -> dict[str, Any]:
    """Return the parameters of a step. Times have no index, so keys bound what is read."""
    first = find_first_key(rows, "id", "created_at", start - margin)
    last = find_first_key(rows, "id", "created_at", end + margin)
    return {"first": first, "last": last, "start": start, "end": end}
