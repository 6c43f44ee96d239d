"""Server-sent events cut out of a byte stream, one whole event at a time. Pure.

sseclient-py parses what is more than one line of data; alone it would buffer an endless event, and take quadratic
time over many lines. Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import re
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import SSEClient

from llmproxy.exceptions import UpstreamError

BLANK_LINE = re.compile(rb"\n\r?\n|\r\r")
MAX_LINES = 256
BOM = b"\xef\xbb\xbf"
DATA = b"data: "


@dataclass(slots=True)
class Event:
    """One event: its name, its data, and how it is passed on, with LF line ends and its data unchanged."""

    data: bytes
    raw: bytes
    event: str = "message"


class Events:
    """Feed it bytes as they come; each time it gives the events that are whole."""

    def __init__(self) -> None:
        self._pending = b""
        self._has_started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises UpstreamError for an event without end, or of too many lines."""
        data = self._pending + chunk if self._pending else chunk
        if not self._has_started:
            if len(data) < len(BOM):
                self._pending = data
                return []
            self._has_started, data = True, data.removeprefix(BOM)
        if b"\r" in data:
            return self._cut(data)
        *blocks, self._pending = data.split(b"\n\n")
        self._check(self._pending)
        return [event for block in blocks if (event := _parsed(block)) is not None]

    def end(self) -> list[Event]:
        """What is left where the stream ends without a blank line."""
        event = _parsed(_tidy(self._pending)) if self._pending else None
        return [event] if event else []

    def _cut(self, data: bytes) -> list[Event]:
        """Of a stream that ends its lines with CR, or CR LF."""
        events, cut = [], 0
        for mark in BLANK_LINE.finditer(data):
            if mark.end() == len(data) and data.endswith(b"\r"):
                break  # LF may follow
            events.append(_parsed(_tidy(data[cut : mark.end()])))
            cut = mark.end()
        self._pending = data[cut:]
        self._check(self._pending)
        return [event for event in events if event is not None]

    def _check(self, pending: bytes) -> None:
        if len(pending) > settings.LLM_MAX_EVENT_BYTES:
            raise _endless()


def _endless() -> UpstreamError:
    return UpstreamError(_("The provider sent an incomplete event."), detail="event too large")


def _tidy(block: bytes) -> bytes:
    return b"\n".join(line for line in block.splitlines() if line)


def _parsed(block: bytes) -> Event | None:
    """The event of these lines, which have LF between them; None for comments and the like."""
    if len(block) > settings.LLM_MAX_EVENT_BYTES:
        raise _endless()
    if block.startswith(DATA) and b"\n" not in block:
        return Event(block[len(DATA) :], block + b"\n\n")
    if block.count(b"\n") >= MAX_LINES:
        raise _endless()
    found = next(iter(SSEClient(iter([block.strip(b"\n") + b"\n\n"])).events()), None)
    if found is None:
        return None
    name = f"event: {found.event}\n" if found.event != "message" else ""
    number = f"id: {found.id}\n" if found.id else ""
    data = found.data.replace("\n", "\ndata: ")
    return Event(found.data.encode(), f"{name}{number}data: {data}\n\n".encode(), found.event)
