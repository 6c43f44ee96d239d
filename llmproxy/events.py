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
from llmproxy.exceptions import UpstreamFailure, UpstreamTimeout
from llmproxy.upstream import CHUNK_BYTES, Call, Response, failure_of

DONE = "[DONE]"
REUSE_SECONDS = 1
BUFFERED_EVENTS = 64  # a reader slower than the provider stops the provider, not our memory

Item = Event | UpstreamFailure | None


class EventStream:
    """Iterating yields each Event until [DONE] or the end, and None after every LLM_KEEP_ALIVE_SECONDS without one.

    A failure of the provider, or `idle_seconds` of its silence, is raised as UpstreamFailure. `close` at any
    time makes the provider stop.
    """

    def __init__(self, response: Response, call: Call, *, idle_seconds: int) -> None:
        self._response = response
        self._call = call
        self._idle_seconds = idle_seconds
        self._events: Queue[Item] = Queue(BUFFERED_EVENTS)
        self._first: list[Item] = []
        self._deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        self._ended = False
        self.done = False  # the provider has said [DONE]
        threading.Thread(target=self._read, name="llm-upstream", daemon=True).start()

    def await_first(self, seconds: float) -> None:
        """Wait for the first event, which stays to be read, or for no longer than this. Raises UpstreamFailure."""
        with suppress(Empty):
            self._first = [self._events.get(timeout=seconds)]
        if self._first and isinstance(failure := self._first[0], UpstreamFailure):
            self._ended = True
            raise failure

    @property
    def first(self) -> Event | None:
        """The first event, if it has come and is none that ends the answer."""
        return self._first[0] if self._first and isinstance(self._first[0], Event) else None

    def __iter__(self) -> Iterator[Event | None]:
        waited = 0
        while True:
            try:
                item = self._first.pop() if self._first else self._events.get(timeout=settings.LLM_KEEP_ALIVE_SECONDS)
            except Empty:
                waited += settings.LLM_KEEP_ALIVE_SECONDS
                if waited >= self._idle_seconds:
                    raise UpstreamTimeout(_("The provider stopped answering."), detail="idle") from None
                yield None
                continue
            if isinstance(item, Event) and item.data != DONE:
                waited = 0
                yield item
                continue
            self._ended = True
            if isinstance(item, UpstreamFailure):
                raise item
            self.done = item is not None
            return

    def finish(self) -> None:
        """The answer is whole: its connection can be used again, if it ends at once."""
        with suppress(Empty):
            item = self._events.get(timeout=REUSE_SECONDS)
            self._ended = item is None or (isinstance(item, Event) and item.data == DONE)

    def close(self) -> None:
        """Stop the provider, unless it has ended by itself."""
        if not self._ended:
            self._ended = True
            self._call.stop()

    def _read(self) -> None:
        try:
            for event in SSEClient(sse.whole_events(self._chunks())).events():
                if event.data == "null":  # llama.cpp, before the answers to several prompts
                    continue
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
        while chunk := self._response.read1(CHUNK_BYTES):
            yield chunk

    def _read_end(self) -> None:
        """Read the end of the answer, so that the connection can be used again, if it comes at once."""
        sock = getattr(self._response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(REUSE_SECONDS)
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
