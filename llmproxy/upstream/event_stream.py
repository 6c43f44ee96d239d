"""Splits the bytes of a streamed answer into events. Pure.

sseclient-py parses an event that has more than one line; used alone, it would buffer an event
without end, and take quadratic time for many lines (docs/decisions/0003). answer_stream.py reads
the bytes. Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import re
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import SSEClient

from llmproxy import lenient_json
from llmproxy.exceptions import UpstreamError

DONE = b"[DONE]"
MAX_LINES = 256
BOM = b"\xef\xbb\xbf"
DATA, NAME, FAILURE = b"data: ", b"event: ", b"error:"
# Data up to this size may be something else than a piece of an answer. No piece with text is so
# short, so pieces with text are not looked at twice.
SHORT_BYTES = 64
# What providers and routers send so that a connection stays open, as data or as the event's name.
HEARTBEAT = re.compile(
    rb"\W*(pings?|pong|heart[-_ ]?beat|keep[-_ ]?alive|alive|noop|no-op|processing|waiting|queued"
    rb"|connected|open|openrouter processing)\W*",
    re.IGNORECASE,
)
HEARTBEAT_NAMES = frozenset(
    {"ping", "pong", "heartbeat", "heart-beat", "keepalive", "keep-alive", "keep_alive", "noop"}
)


@dataclass(slots=True)
class Event:
    """One event. `raw` is what a caller gets of it: with LF as line end, its data unchanged.

    A heartbeat only keeps the connection open and is no part of the answer.
    """

    data: bytes
    raw: bytes
    event: str = "message"
    is_heartbeat: bool = False


class Events:
    """Splits a byte stream into events."""

    def __init__(self) -> None:
        self._pending = b""
        self._has_started = False
        self._ended_with_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with the next bytes.

        Raises UpstreamError for an event of more than LLM_MAX_EVENT_BYTES, or of MAX_LINES.
        """
        if self._ended_with_cr or b"\r" in chunk:
            chunk = self._unify_line_ends(chunk)
        data = self._pending + chunk if self._pending else chunk
        if not self._has_started:
            if len(data) < len(BOM):
                self._pending = data
                return []
            self._has_started, data = True, data.removeprefix(BOM)
        *blocks, self._pending = data.split(b"\n\n")
        if len(self._pending) > settings.LLM_MAX_EVENT_BYTES:
            raise _too_large()
        return [event for block in blocks if (event := _parse(block)) is not None]

    def end(self) -> list[Event]:
        """The last event, if the stream ends without the blank line after it."""
        block, self._pending = self._pending, b""
        event = _parse(block.removeprefix(BOM).strip(b"\n")) if block else None
        return [event] if event else []

    def _unify_line_ends(self, chunk: bytes) -> bytes:
        """Replace CR and CR LF by LF. They may be mixed, and a CR LF may be split."""
        if not chunk:
            return chunk
        rest = chunk.removeprefix(b"\n") if self._ended_with_cr else chunk
        self._ended_with_cr = chunk.endswith(b"\r")
        return rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _too_large() -> UpstreamError:
    return UpstreamError(_("The provider sent an incomplete event."), detail="event too large")


def _parse(block: bytes) -> Event | None:
    """The event in these lines, which have LF between them; None if there is no data."""
    if len(block) > settings.LLM_MAX_EVENT_BYTES:
        raise _too_large()
    if block.startswith(DATA) and b"\n" not in block:
        event: Event | None = Event(block[len(DATA) :], block + b"\n\n")
    else:
        event = _parse_named(block) or _parse_lines(block.strip(b"\n"))
    if event is None:
        return None
    if len(event.data) > SHORT_BYTES:
        event.is_heartbeat = event.event in HEARTBEAT_NAMES
        return event
    return _interpret(event)


def _parse_named(block: bytes) -> Event | None:
    """An event of two lines, its name and its data; None for another form."""
    if not block.startswith(NAME):
        return None
    name, _sign, rest = block.partition(b"\n")
    if not rest.startswith(DATA) or b"\n" in rest:
        return None
    return Event(rest[len(DATA) :], block + b"\n\n", name[len(NAME) :].decode() or "message")


def _parse_lines(block: bytes) -> Event | None:
    """An event of any form. Its `id` is the provider's and is not passed on."""
    if block.count(b"\n") >= MAX_LINES:
        raise _too_large()
    if block.startswith(FAILURE):  # older llama.cpp reports a failure with a field of this name
        error = block[len(FAILURE) :].strip().replace(b"\n", b" ")
        return Event(error, b"event: error\ndata: " + error + b"\n\n", "error")
    parsed = next(iter(SSEClient(iter([block + b"\n\n"])).events()), None)
    if parsed is None:
        return None
    name = f"event: {parsed.event}\n" if parsed.event != "message" else ""
    data = parsed.data.strip("\n")
    lines = data.replace("\n", "\ndata: ")
    return Event(data.encode(), f"{name}data: {lines}\n\n".encode(), parsed.event)


def _interpret(event: Event) -> Event | None:
    """An event with little data: [DONE] in any spelling, a heartbeat, or nothing at all."""
    data = event.data.strip()
    if not data:
        return None
    if data.upper() == DONE:
        return Event(DONE, event.raw, event.event)
    event.is_heartbeat = event.event != "error" and _is_heartbeat(data, event.event)
    return event


def _is_heartbeat(data: bytes, name: str) -> bool:
    if HEARTBEAT.fullmatch(name.encode()) or HEARTBEAT.fullmatch(data):
        return True
    value = lenient_json.decode(data)
    if isinstance(value, dict):
        words = [str(one).encode() for one in (*value, value.get("type"), value.get("event"))]
        return not value or any(HEARTBEAT.fullmatch(word) for word in words)
    if isinstance(value, list):
        return not value
    return value is not None or data == b"null"  # a number, a truth value or a text
