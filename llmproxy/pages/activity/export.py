"""The export of requests to CSV: the rows of the list, in its order, up to a limit.

The rows are read in chunks and streamed, so neither a long snapshot nor a connection is kept while
a slow reader takes the file. Texts are codes for programs, the same in every language.
"""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from accounts import time_zones
from llmproxy.metering.price_kinds import COUNT_COLUMNS
from llmproxy.models import Completion
from llmproxy.pages.activity.rows import Rows
from llmproxy.receipts import explain, states
from llmproxy.receipts.callers import Caller, find_callers

CHUNK = 1000  # rows read by one statement
HEADER = (
    "time",
    "receipt",
    "state",
    "ended",
    "model",
    "caller kind",
    "caller",
    "route",
    "stream",
    *(name.replace("_", " ") for name in COUNT_COLUMNS),
    "total tokens",
    "cost",
    "charged",
    "not collected",
    "refunded",
    "balance after",
    "milliseconds",
    "request id",
    "trace id",
)


def read_rows(rows: Rows, before: int | None) -> Iterator[list[Any]]:
    """Yield the header, the rows of the file, and a last row with a notice if the limit cut it."""
    yield list(HEADER)
    left, zone = settings.EXPORT_MAX_ROWS, time_zones.zone_of(rows.user)
    last = ""
    for chunk in rows.read_chunks(before, CHUNK):
        if left < len(chunk):
            yield from _write_chunk(rows, chunk[:left], zone)
            yield [_describe_cut(chunk[left - 1].generation_id if left else last)]
            return
        yield from _write_chunk(rows, chunk, zone)
        left -= len(chunk)
        last = chunk[-1].generation_id if chunk else last


def _write_chunk(rows: Rows, chunk: list[Completion], zone: ZoneInfo) -> list[list[Any]]:
    refunds = explain.sum_refunds(rows.user, chunk)
    callers = find_callers(rows.user, {row.credential: row.credential_name for row in chunk})
    if not connection.in_atomic_block:
        connection.close()  # It returns to the pool while the client reads.
    return [
        _make_cells(row, callers[row.credential], refunds.get(row.hold_id or 0, 0), zone)
        for row in chunk
    ]


def _describe_cut(last: str) -> str:
    return (
        f"Cut after {settings.EXPORT_MAX_ROWS} rows. For the rest, add before={last} to the"
        " address of this file, or narrow the filters."
    )


def _make_cells(row: Completion, caller: Caller, refunded: int, zone: ZoneInfo) -> list[Any]:
    return [
        row.created_at.astimezone(zone).isoformat(timespec="milliseconds"),
        row.generation_id,
        states.find_state(row, refunded),
        explain.get_ending(row),
        row.model,
        caller.kind or "browser",
        caller.name,
        row.route,
        "yes" if row.is_stream else "no",
        *(getattr(row, name) for name in COUNT_COLUMNS),
        row.usage.total_tokens,
        row.cost,
        row.charged,
        row.uncollected,
        refunded,
        "" if row.balance_after is None else row.balance_after,
        row.total_ms,
        row.request_id or "",
        row.trace_id,
    ]
