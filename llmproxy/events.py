"""The events of a provider's streamed answer, read in the background (docs/decisions/0003)."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import Event, SSEClient
from urllib3.exceptions import HTTPError

from llmproxy import sse
from llmproxy.connections import Call
from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout
from llmproxy.upstream import CHUNK_BYTES, Response, failure_of

DONE = "[DONE]"
REUSE_SECONDS = 1
BUFFERED_EVENTS = 64  # a reader slower than the provider stops the provider, not our memory

Item = Event | UpstreamFailure | None


class EventStream:
    """Iterating yields each Event until [DONE] or the end, and None after every LLM_KEEP_ALIVE_SECONDS without one.

    A failure of the provider, `idle_seconds` of its silence, or the end of the time that is left for the whole answer,
    is raised as UpstreamFailure. `close` at any time makes the provider stop.
    """

    def __init__(self, response: Response, call: Call, *, idle_seconds: float) -> None:
        self._response = response
        self._call = call
        self._idle_seconds = idle_seconds
        self._events: Queue[Item] = Queue(BUFFERED_EVENTS)
        self._first: list[Item] = []
        self._heard: float | None = None  # when its last byte came
        self._waiting_since: float | None = None
        self._deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        self._ended = False
        self.done = False  # the provider has said [DONE]
        threading.Thread(target=self._read, name="llm-upstream", daemon=True).start()

    def await_first(self, seconds: float) -> None:
        """Wait for the first event, which stays to be read, or for no longer than this. Raises UpstreamFailure."""
        with suppress(Empty):
            self._first = [self._next(seconds)]
        if self._first and not isinstance(item := self._first[0], Event):
            self._ended = True
            raise item or UpstreamError(_("The provider failed. Try again."), detail="an answer without an event")

    @property
    def first(self) -> Event | None:
        """The first event, if it has come."""
        return self._first[0] if self._first and isinstance(self._first[0], Event) else None

    def end_in(self, seconds: float) -> None:
        """The whole answer has no more time than this."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def __iter__(self) -> Iterator[Event | None]:
        while True:
            try:
                item = self._first.pop() if self._first else self._next(settings.LLM_KEEP_ALIVE_SECONDS)
            except Empty:
                yield None
                continue
            if isinstance(item, Event) and item.data != DONE:
                yield item
                continue
            self._ended = True
            if isinstance(item, UpstreamFailure):
                raise item
            self.done = item is not None
            return

    def _next(self, seconds: float) -> Item:
        """What comes within so long; raises Empty for nothing, and UpstreamTimeout where there is no more time."""
        now = time.monotonic()
        if now > self._deadline:
            raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
        self._waiting_since = self._waiting_since or now
        until = min(now + seconds, self._silent_until(), self._deadline)
        try:
            item = self._events.get(timeout=max(until - now, 0))
        except Empty:
            if time.monotonic() >= self._silent_until():
                raise UpstreamTimeout(_("The provider stopped answering."), detail="idle") from None
            raise
        self._waiting_since = None
        return item

    def _silent_until(self) -> float:
        """When its silence is too long. While nobody waits for it, it is not silent: they read slowly."""
        if self._heard is None:
            return self._call.first_byte_by
        return max(self._heard, self._waiting_since or 0) + self._idle_seconds

    def close(self) -> None:
        """Stop the provider, unless it has ended by itself."""
        if not self._ended:
            self._ended = True
            self._call.stop()

    def _read(self) -> None:
        try:
            for event in SSEClient(sse.whole_events(self._chunks())).events():
                if not self._put(event):
                    return
                if event.data == DONE:
                    self._read_end()
                    return
            self._put(None)
        except UpstreamFailure as failure:
            self._put(failure)
        except (HTTPError, OSError, ValueError, AttributeError) as error:  # also: not UTF-8, read after shutdown
            self._put(failure_of(error))
        finally:
            self._call.finish()
            self._response.close()  # an answer read to its end has gone back to the pool already

    def _chunks(self) -> Iterator[bytes]:
        self._call.wait_at_most(max(self._call.first_byte_by - time.monotonic(), 0.001))
        while chunk := self._response.read1(CHUNK_BYTES):
            self._heard = time.monotonic()
            self._call.wait_at_most(self._idle_seconds)
            yield chunk

    def _read_end(self) -> None:
        """Read the end of the answer, so that the connection can be used again, if it comes at once."""
        self._call.wait_at_most(REUSE_SECONDS)
        self._response.read1(CHUNK_BYTES)

    def _put(self, item: Item) -> bool:
        """Wait for room; False once nobody wants it, or no completion would take so long."""
        while not self._call.is_stopped and time.monotonic() < self._deadline:
            with suppress(Full):
                self._events.put(item, timeout=1)
                return True
        with suppress(Full):
            self._events.put_nowait(None)  # wakes whoever still waits
        return False
