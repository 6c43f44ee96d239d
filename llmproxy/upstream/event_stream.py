"""The server-sent events of a provider's streamed answer, read straight from its socket (docs/decisions/0003).

`Events` cuts bytes into events and is pure; `EventStream` feeds it from the socket. sseclient-py parses each event of
more than one line of data; alone it would buffer an endless event, and take quadratic time over many lines. Source:
WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import SSEClient

from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout
from llmproxy.http1 import sockets
from llmproxy.http1.client import Answer, Call
from llmproxy.upstream.exchange import failure_of

DONE = b"[DONE]"
AT_ONCE_SECONDS, MOST_AT_ONCE = 0.001, 8
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
    return UpstreamError(_("The provider sent an event without end."), detail="event too large")


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


class EventStream:
    """Iterating yields the events that came together, until [DONE] or the end; none after LLM_KEEP_ALIVE_SECONDS.

    A failure of the provider, `idle_seconds` of its silence, or the end of the time that the whole answer has, is
    raised as UpstreamFailure. Nothing is read ahead: a caller slower than the provider stops the provider, not our
    memory. `close` releases the connection, or makes the provider stop.
    """

    def __init__(self, answer: Answer, call: Call, *, idle_seconds: float) -> None:
        self._answer = answer
        self._call = call
        self._sock = answer.sock
        self._idle_seconds = idle_seconds
        self._silent_until = call.first_byte_by
        self._waits = (
            True  # for the provider: while nobody does, it is not silent, but they read slowly
        )
        self._deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        self._body = answer.body
        self._events = Events()
        self._first: list[Event] | None = None
        self._buffered = answer.take_rest()
        self._is_closed = False
        self._at_once = 0  # reads in a row that had not to be waited for
        self.done = False  # the provider has said [DONE], or what else is its last event

    def await_first(self, seconds: float) -> None:
        """Wait for the first events, which stay to be read, or for no longer than this. Raises UpstreamFailure."""
        until = time.monotonic() + seconds
        while not (self._first or self._is_over) and (left := until - time.monotonic()) > 0:
            self._first = self._batch(left)
        if self._is_over and not self._first:
            raise UpstreamError(
                _("The provider failed. Try again."), detail="an answer without an event"
            )

    @property
    def first(self) -> Event | None:
        """The first event, if it has come."""
        return self._first[0] if self._first else None

    def end_in(self, seconds: float) -> None:
        """The whole answer has no more time than this."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    @property
    def _is_over(self) -> bool:
        return self.done or self._body.is_over or self._call.is_stopped

    def __iter__(self) -> Iterator[list[Event]]:
        if self._first:
            batch, self._first = self._first, None
            yield batch
        while not self._is_over:
            yield self._batch(settings.LLM_KEEP_ALIVE_SECONDS) or []

    def _batch(self, seconds: float) -> list[Event] | None:
        """The events that came with the next bytes; None if there were no bytes in this time."""
        try:
            data = self._received(seconds)
            events = self._events.feed(self._body.feed(data))
            if not data and not self._call.is_stopped:
                self._body.end()
            if self._is_over:
                events += self._events.end()
        except TimeoutError:
            return None
        except (OSError, ValueError) as error:  # also: not UTF-8, read after shutdown
            raise failure_of(error) from error
        for number, event in enumerate(events):
            if event.data == DONE:
                self.done = True
                return events[:number]
        return events

    def _received(self, seconds: float) -> bytes:
        """The next bytes; raises TimeoutError if there are none now, UpstreamTimeout if there is no time for more."""
        now = time.monotonic()
        if now > self._deadline:
            raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
        if not self._waits:
            self._waits, self._silent_until = True, now + self._idle_seconds
        data, self._buffered = self._buffered, b""
        try:
            if not data:
                data = sockets.receive(
                    self._sock, min(now + seconds, self._silent_until, self._deadline) - now
                )
                self._be_fair(time.monotonic() - now)
        except TimeoutError:
            if time.monotonic() >= self._silent_until:
                raise UpstreamTimeout(_("The provider stopped answering."), detail="idle") from None
            raise
        self._waits = False
        return data

    def _be_fair(self, waited: float) -> None:
        """Let others have their turn: a provider that always has more to read would never let go of the worker."""
        self._at_once = self._at_once + 1 if waited < AT_ONCE_SECONDS else 0
        if self._at_once >= MOST_AT_ONCE:
            self._at_once = 0
            time.sleep(0)

    def close(self) -> None:
        """Give the connection back if the answer is over, or ends at once; else hang up."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.done and not self._body.is_over:
            with suppress(UpstreamFailure):
                self._batch(0)
        if self._body.is_over and not self._call.is_stopped:
            self._call.finish()  # first: whoever stops it must not hang up on the next one
            self._answer.release()
        else:
            self._call.stop()
            self._call.finish()
            self._answer.close()
