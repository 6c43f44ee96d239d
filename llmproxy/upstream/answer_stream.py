"""Reads the events of a streamed answer from the provider's socket (docs/decisions/0003)."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout
from llmproxy.http1 import sockets
from llmproxy.http1.client import Call, Response, Waiting
from llmproxy.upstream.document import Document
from llmproxy.upstream.event_stream import DONE, Event, Events
from llmproxy.upstream.failures import ProviderRequest, build_failure

# A read that takes less time did not wait. After so many in a row other greenlets get a turn.
NO_WAIT_SECONDS, READS_PER_TURN = 0.001, 8
# Events before the first content are held back up to these limits.
HELD_BACK_BYTES, HELD_BACK_EVENTS = 64 * 1024, 2000
# What a provider may send after [DONE], and how long it is waited for if the usage is missing.
READS_AFTER_DONE, AFTER_DONE_SECONDS = 8, 0.1


class EventStream:
    """Iterate over the events of a response, in lists of those that arrived together.

    The iteration ends after [DONE] or at the end of the body. An empty list means that
    LLM_KEEP_ALIVE_SECONDS passed without a byte. UpstreamFailure is raised if the provider fails,
    is silent for its idle seconds, or takes longer than an answer may take. Nothing is read ahead:
    a caller that reads slowly slows the provider down and does not fill our memory. `close` gives
    the connection back, or stops the provider.
    """

    def __init__(self, response: Response, call: Call, request: ProviderRequest) -> None:
        self.request = request
        self._response = response
        self._call = call
        self._sock = response.sock
        self._idle_seconds = request.target.idle
        self._silent_until = call.first_byte_by
        # Whether we wait for the provider. While the caller is slow to take the last events, we do
        # not, and that time does not count as the provider's silence.
        self._is_waiting = True
        self._deadline = time.monotonic() + request.target.completion
        self._body = response.body
        self._events = Events()
        self._held_back: list[Event] = []
        self._after_done: list[Event] = []
        self._buffered = response.take_rest()
        # A provider may send JSON although events were asked for; known from the first content on.
        self._document: Document | None = None
        self._is_form_known = False
        self._is_closed = False
        self._reads_at_once = 0  # in a row
        self.done = False  # [DONE] or another last event has come

    def hold_back(self, is_content: Callable[[Event], bool]) -> Waiting[None]:
        """Wait until an event `is_content`; the events until then stay to be iterated over.

        Yields whenever the caller has to be told that the answer still takes time. Raises
        UpstreamFailure, also if the answer ends without content and without [DONE].
        """
        held, size = self._held_back, 0
        while not self._is_over:
            batch = self._batch(self._call.seconds_to_turn)
            for number, event in enumerate(batch or ()):
                held.append(event)
                size += len(event.raw)
                is_full = size > HELD_BACK_BYTES or len(held) > HELD_BACK_EVENTS
                if is_content(event) or is_full:
                    held += (batch or [])[number + 1 :]
                    return
            if self._call.seconds_to_turn <= 0:
                yield
                self._call.start_turn()
        if not self.done or not held:
            raise UpstreamError(
                _("The provider failed. Try again."), detail="an answer without content"
            )

    def take_held_back(self) -> list[Event]:
        """The events before the first content."""
        events, self._held_back = self._held_back, []
        return events

    def end_in(self, seconds: float) -> None:
        """Limit the rest of the answer to so many seconds."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    @property
    def _is_over(self) -> bool:
        return self.done or self._body.is_over or self._call.is_stopped

    def __iter__(self) -> Iterator[list[Event]]:
        if self._held_back:
            yield self.take_held_back()
        while not self._is_over:
            yield self._batch(settings.LLM_KEEP_ALIVE_SECONDS) or []

    def read_rest(self, *, is_usage_missing: bool) -> list[Event]:
        """The events after [DONE]. Some providers send the usage there.

        Only bytes that are there already are read, unless the usage is missing and the body is not
        over: then AFTER_DONE_SECONDS are waited.
        """
        until = time.monotonic() + (AFTER_DONE_SECONDS if is_usage_missing else 0)
        with suppress(UpstreamFailure):
            for _read in range(READS_AFTER_DONE):
                if self._body.is_over or self._call.is_stopped:
                    break
                if self._batch(max(until - time.monotonic(), 0)) is None:
                    break
        return self._after_done

    def _batch(self, seconds: float) -> list[Event] | None:
        """The events that the next bytes complete; None if no byte arrives within `seconds`."""
        try:
            data = self._receive(seconds)
            content = self._body.feed(data)
            if not data and not self._call.is_stopped:
                self._body.end()
            events = self._read(content)
        except TimeoutError:
            return None
        except (OSError, ValueError) as error:  # ValueError: a malformed body, or not UTF-8
            raise build_failure(error) from error
        if self.done:
            self._after_done += events
            return []
        for number, event in enumerate(events):
            if event.data == DONE:
                self.done, self._after_done = True, events[number + 1 :]
                return events[:number]
        return events

    def _read(self, content: bytes) -> list[Event]:
        """The events that are complete with this content of the body."""
        if not self._is_form_known and (start := content.strip()):
            self._is_form_known = True
            self._document = Document(self.request) if start.startswith((b"{", b"[")) else None
        if self._document is not None:
            self._document.feed(content)
            return self._document.write_events() if self._body.is_over else []
        events = self._events.feed(content)
        return events + self._events.end() if self._is_over else events

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
        if self.done:
            self.read_rest(is_usage_missing=False)
        if self._body.is_over and not self._call.is_stopped:
            self._call.finish()  # first, so that `stop` cannot hit the connection's next call
            self._response.release()
        else:
            self._call.stop()
            self._call.finish()
            self._response.close()
