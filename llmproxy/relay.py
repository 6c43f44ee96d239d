"""A streamed answer on its way from the provider to the caller, event by event."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import Event

from accounts.failpoints import failpoint
from llmproxy import departures, wire
from llmproxy.admission import Admission
from llmproxy.completions import Run, Status
from llmproxy.departures import Watch
from llmproxy.endpoints.base import KEEP_ALIVE, Stream
from llmproxy.events import DONE, EventStream
from llmproxy.exceptions import UpstreamError, UpstreamFailure
from llmproxy.providers import Target
from llmproxy.upstream import Response


def open_stream(admission: Admission, sock: Any = None) -> "Relay":
    """Call the provider, and the next if it fails before it says anything. Raises UpstreamFailure, nothing charged.

    `sock` is the caller's connection: whoever hangs up is not answered any more.
    """
    run, relay = Run(admission), None
    watched = departures.watch(sock, run)
    try:
        relay = Relay(run, run.ask(run_events(run)), watched)
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        if relay is None:
            departures.forget(watched)
            run.call.finish()
            run.settle()
    return relay


def run_events(run: Run) -> Any:
    """What makes a stream of a provider's answer, once it has said something or is merely slow."""
    streamed = run.admission.route.streamed(run.admission.asked)

    def read(response: Response, target: Target) -> EventStream:
        events = EventStream(response, run.call, idle_seconds=target.idle)
        try:
            events.await_first(settings.LLM_KEEP_ALIVE_SECONDS)
            if (first := events.first) is not None and first.data != DONE:
                _check(streamed, first)
        except UpstreamFailure:
            events.close()
            raise
        return events

    return read


def _check(streamed: Stream, event: Event) -> Any:
    """The value in an event; raises UpstreamError for one that says that the provider failed."""
    chunk = wire.decode(event.data)
    if chunk is None:
        raise UpstreamError(_("The provider's answer could not be read."), detail="event is not JSON")
    if streamed.failed(event, chunk):
        raise UpstreamError(_("The provider failed during the answer."), detail=event.data[:2000])
    return chunk


class Relay:
    """Iterate for the bytes of the answer; `close` when the caller has them all or has gone.

    Not a generator, because closing one that was never started runs none of its code.
    """

    def __init__(self, run: Run, events: EventStream, watched: Watch | None = None) -> None:
        self.run = run
        self.events = events
        self.stream = run.admission.route.streamed(run.admission.asked)
        self._watched = watched
        self._is_limited = False

    def close(self) -> None:
        """Stop the provider at once, or read on where that is its policy, and settle; nothing after the end."""
        try:
            target = self.run.target
            if self.run.receipt is None and target is not None and target.drains:
                self._drain(target.drain_seconds)
            self.events.close()
        finally:
            departures.forget(self._watched)
            self.run.settle()

    def __iter__(self) -> Iterator[bytes]:
        failure: UpstreamFailure | None = None
        try:
            yield from self._answer()
            if self.run.has_left:
                return  # to nobody
            self.run.status = Status.COMPLETED
        except UpstreamFailure as caught:
            failure = caught
            self.run.fail_midway(caught)
        departures.forget(self._watched)
        self.events.close()
        receipt = self.run.settle()
        if failure:
            yield self.stream.failure(failure, receipt)
        elif self._is_limited:
            yield self.stream.limited(receipt)
        yield self.stream.end(receipt)

    def _answer(self) -> Iterator[bytes]:
        for event in self.events:
            if event is None:
                yield KEEP_ALIVE
                continue
            chunk = self._observed(event)
            if (passed := self.stream.passed(event, chunk)) is not None:
                yield passed
                failpoint("mid-stream")
            if self.stream.is_last(event, chunk):
                return
            if self.run.meter.is_beyond:
                self.run.meter.finish_reason, self._is_limited = "length", True
                return
        if not (self.run.is_stopped or self.events.done or self.stream.is_whole(self.run.meter)):
            raise UpstreamError(_("The provider ended the answer early."), detail="stream cut")

    def _observed(self, event: Event) -> Any:
        chunk = _check(self.stream, event)
        self.run.observe(chunk)
        return chunk

    def _drain(self, seconds: float) -> None:
        """Read on without a reader, for the usage that comes at the end."""
        self.events.end_in(seconds)
        with suppress(UpstreamFailure):
            for _passed in self._answer():
                pass
