"""The events of a streamed answer, read from the provider's socket (docs/decisions/0003).

`Events` splits bytes into events and is pure. `EventStream` reads the bytes. sseclient-py parses an
event that has more than one line; used alone, it would buffer an event without end, and take
quadratic time for many lines. Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
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
from llmproxy.http1.client import Call, Response
from llmproxy.upstream.failures import Asked, build_failure

DONE = b"[DONE]"
# A read that takes less time did not wait. After so many in a row other greenlets get a turn.
NO_WAIT_SECONDS, READS_PER_TURN = 0.001, 8
BLANK_LINE = re.compile(rb"\n\r?\n|\r\r")
MAX_LINES = 256
BOM = b"\xef\xbb\xbf"
DATA = b"data: "


@dataclass(slots=True)
class Event:
    """One event. `raw` is what a caller gets of it: with LF as line end, its data unchanged."""

    data: bytes
    raw: bytes
    event: str = "message"


class Events:
    """Splits a byte stream into events."""

    def __init__(self) -> None:
        self._pending = b""
        self._has_started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with the next bytes.

        Raises UpstreamError for an event of more than LLM_MAX_EVENT_BYTES, or of MAX_LINES.
        """
        data = self._pending + chunk if self._pending else chunk
        if not self._has_started:
            if len(data) < len(BOM):
                self._pending = data
                return []
            self._has_started, data = True, data.removeprefix(BOM)
        if b"\r" in data:
            return self._split(data)
        *blocks, self._pending = data.split(b"\n\n")
        self._check(self._pending)
        return [event for block in blocks if (event := _parse(block)) is not None]

    def end(self) -> list[Event]:
        """The last event, if the stream ends without the blank line after it."""
        event = _parse(_normalize(self._pending)) if self._pending else None
        return [event] if event else []

    def _split(self, data: bytes) -> list[Event]:
        """Split a stream whose lines end with CR or CR LF."""
        events, start = [], 0
        for blank in BLANK_LINE.finditer(data):
            if blank.end() == len(data) and data.endswith(b"\r"):
                break  # LF may follow
            events.append(_parse(_normalize(data[start : blank.end()])))
            start = blank.end()
        self._pending = data[start:]
        self._check(self._pending)
        return [event for event in events if event is not None]

    def _check(self, pending: bytes) -> None:
        if len(pending) > settings.LLM_MAX_EVENT_BYTES:
            raise _too_large()


def _too_large() -> UpstreamError:
    return UpstreamError(_("The provider sent an incomplete event."), detail="event too large")


def _normalize(block: bytes) -> bytes:
    """The lines that are not empty, with LF between them."""
    return b"\n".join(line for line in block.splitlines() if line)


def _parse(block: bytes) -> Event | None:
    """The event in these lines, which have LF between them; None if there is no data."""
    if len(block) > settings.LLM_MAX_EVENT_BYTES:
        raise _too_large()
    if block.startswith(DATA) and b"\n" not in block:
        return Event(block[len(DATA) :], block + b"\n\n")
    if block.count(b"\n") >= MAX_LINES:
        raise _too_large()
    parsed = next(iter(SSEClient(iter([block.strip(b"\n") + b"\n\n"])).events()), None)
    if parsed is None:
        return None
    name = f"event: {parsed.event}\n" if parsed.event != "message" else ""
    number = f"id: {parsed.id}\n" if parsed.id else ""
    data = parsed.data.replace("\n", "\ndata: ")
    return Event(parsed.data.encode(), f"{name}{number}data: {data}\n\n".encode(), parsed.event)


class EventStream:
    """Iterate over the events of a response, in lists of those that arrived together.

    The iteration ends after [DONE] or at the end of the body. An empty list means that
    LLM_KEEP_ALIVE_SECONDS passed without a byte. UpstreamFailure is raised if the provider fails,
    is silent for its idle seconds, or takes longer than LLM_COMPLETION_SECONDS. Nothing is read
    ahead: a caller that reads slowly slows the provider down and does not fill our memory. `close`
    gives the connection back, or stops the provider.
    """

    def __init__(self, response: Response, call: Call, asked: Asked) -> None:
        self.asked = asked
        self._response = response
        self._call = call
        self._sock = response.sock
        self._idle_seconds = asked.target.idle
        self._silent_until = call.first_byte_by
        # Whether we wait for the provider. While the caller is slow to take the last events, we do
        # not, and that time does not count as the provider's silence.
        self._is_waiting = True
        self._deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        self._body = response.body
        self._events = Events()
        self._first: list[Event] | None = None
        self._buffered = response.take_rest()
        self._is_closed = False
        self._reads_at_once = 0  # in a row
        self.done = False  # [DONE] or another last event has come

    def await_first(self, seconds: float) -> None:
        """Wait `seconds` at most for the first events, which stay to be iterated over.

        Raises UpstreamFailure.
        """
        until = time.monotonic() + seconds
        while not (self._first or self._is_over) and (left := until - time.monotonic()) > 0:
            self._first = self._batch(left)
        if self._is_over and not self._first:
            raise UpstreamError(
                _("The provider failed. Try again."), detail="an answer without an event"
            )

    @property
    def first(self) -> Event | None:
        """The first event; None if it has not arrived."""
        return self._first[0] if self._first else None

    def end_in(self, seconds: float) -> None:
        """Limit the rest of the answer to so many seconds."""
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
        """The events that the next bytes complete; None if no byte arrives within `seconds`."""
        try:
            data = self._receive(seconds)
            events = self._events.feed(self._body.feed(data))
            if not data and not self._call.is_stopped:
                self._body.end()
            if self._is_over:
                events += self._events.end()
        except TimeoutError:
            return None
        except (OSError, ValueError) as error:  # ValueError: a malformed body, or not UTF-8
            raise build_failure(error) from error
        for number, event in enumerate(events):
            if event.data == DONE:
                self.done = True
                return events[:number]
        return events

    def _receive(self, seconds: float) -> bytes:
        """The next bytes. Raises TimeoutError if none arrive within `seconds`.

        Raises UpstreamTimeout if the provider was silent too long or the answer takes too long.
        """
        now = time.monotonic()
        if now > self._deadline:
            raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
        if not self._is_waiting:
            self._is_waiting, self._silent_until = True, now + self._idle_seconds
        data, self._buffered = self._buffered, b""
        try:
            if not data:
                until = min(now + seconds, self._silent_until, self._deadline)
                data = sockets.receive(self._sock, until - now)
                self._share_worker(time.monotonic() - now)
        except TimeoutError:
            if time.monotonic() >= self._silent_until:
                raise UpstreamTimeout(_("The provider stopped answering."), detail="idle") from None
            raise
        self._is_waiting = False
        return data

    def _share_worker(self, waited: float) -> None:
        """Let other greenlets run if the provider always has more to read."""
        self._reads_at_once = self._reads_at_once + 1 if waited < NO_WAIT_SECONDS else 0
        if self._reads_at_once >= READS_PER_TURN:
            self._reads_at_once = 0
            time.sleep(0)

    def close(self) -> None:
        """Give the connection back if the body is over or ends with the next read; else hang up."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.done and not self._body.is_over:
            with suppress(UpstreamFailure):
                self._batch(0)
        if self._body.is_over and not self._call.is_stopped:
            self._call.finish()  # first, so that `stop` cannot hit the connection's next call
            self._response.release()
        else:
            self._call.stop()
            self._call.finish()
            self._response.close()
