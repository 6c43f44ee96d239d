"""The events of a provider's streamed answer, read straight from its socket (docs/decisions/0003)."""

import time
from collections.abc import Iterator
from contextlib import suppress

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout
from llmproxy.http1 import sockets
from llmproxy.http1.client import Answer, Call
from llmproxy.upstream import sse
from llmproxy.upstream.exchange import failure_of
from llmproxy.upstream.sse import Event

DONE = b"[DONE]"
AT_ONCE_SECONDS, MOST_AT_ONCE = 0.001, 8


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
        self._events = sse.Events()
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
