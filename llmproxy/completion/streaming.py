"""Passes a streamed answer from the provider to the caller, event by event."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.admission.admit import Admission
from llmproxy.completion import disconnects
from llmproxy.completion.disconnects import Watch
from llmproxy.completion.running import Run, Status
from llmproxy.exceptions import UpstreamError, UpstreamFailure
from llmproxy.http1.client import Response
from llmproxy.metering import operator_costs
from llmproxy.routes.base import KEEP_ALIVE, Stream, encode_event
from llmproxy.upstream.event_stream import Event, EventStream
from llmproxy.upstream.failures import Asked, build_refusal

NOTHING = b"null"  # llama.cpp sends it before the answers to several prompts


def open_stream(admission: Admission, sock: Any = None) -> "Relay":
    """Ask the provider, and the next one if it fails before its first event.

    `sock` is the caller's connection, which is watched. Raises UpstreamFailure; nothing is charged
    then.
    """
    run, relay = Run(admission), None
    watched = disconnects.watch(sock, run)
    try:
        relay = Relay(run, run.ask(_stream_reader(run)), watched)
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        if relay is None:
            disconnects.forget(watched)
            run.call.finish()
            run.settle()
    return relay


def _stream_reader(run: Run) -> Callable[[Response, Asked], EventStream]:
    """A function that opens the event stream of a response.

    It waits for the first event, LLM_KEEP_ALIVE_SECONDS at most, and raises UpstreamError if that
    event is an error.
    """
    streamed = run.admission.route.streamed(run.admission.request)

    def read(response: Response, asked: Asked) -> EventStream:
        events = EventStream(response, run.call, asked)
        try:
            events.await_first(settings.LLM_KEEP_ALIVE_SECONDS)
            if (first := events.first) is not None and first.data != NOTHING:
                _check(streamed, first, _decode(first), asked)
        except BaseException:
            events.close()
            raise
        return events

    return read


def _decode(event: Event) -> Any:
    """The JSON of an event. Raises UpstreamError."""
    chunk = lenient_json.decode(event.data)
    if chunk is None:
        raise UpstreamError(
            _("The provider's answer could not be read."), detail="event is not JSON"
        )
    return chunk


def _check(streamed: Stream, event: Event, chunk: Any, asked: Asked) -> None:
    """Raises UpstreamFailure if the provider reports a failure with this event."""
    if streamed.failed(event, chunk):
        raise build_refusal(asked, event.data)


class Relay:
    """Iterate for the bytes of the response; `close` it when they are sent or the caller has gone.

    This is no generator, because `close` of a generator that has not started runs none of its code.
    """

    def __init__(self, run: Run, events: EventStream, watched: Watch | None = None) -> None:
        self.run = run
        self.events = events
        self.stream = run.admission.route.streamed(run.admission.request)
        self._watched = watched
        self._is_limited = False
        run.meter.is_whole = False  # until the answer has come to its end

    def close(self) -> None:
        """Stop the provider, or read its answer on if its row says so; then settle.

        Does nothing after the end.
        """
        try:
            target = self.run.target
            if self.run.receipt is None and target is not None and target.drains:
                self._drain(target.drain_seconds)
            self.events.close()
        finally:
            disconnects.forget(self._watched)
            self.run.settle()

    def __iter__(self) -> Iterator[bytes]:
        failure: UpstreamFailure | None = None
        try:
            yield from self._answer()
            if self.run.has_left:
                return
            self.run.status = Status.COMPLETED
        except UpstreamFailure as caught:
            failure = caught
            self.run.fail_midway(caught)
        disconnects.forget(self._watched)
        if not self.events.done:
            self.events.close()
        receipt = self.run.settle()
        last = self.stream.failure(failure, receipt) if failure else b""
        yield (
            last
            + (self.stream.limited(receipt) if self._is_limited else b"")
            + self.stream.end(receipt)
        )
        self.events.close()

    def _answer(self) -> Iterator[bytes]:
        """Events that arrived together are sent together."""
        for batch in self.events:
            passed: list[bytes] = []
            try:
                is_over = any(self._is_last(event, passed) for event in batch)
            finally:
                if passed or not (batch or self.events.done):
                    yield b"".join(passed) or KEEP_ALIVE
            if is_over:
                self.run.meter.is_whole = not self._is_limited
                return
        if self.stream.is_whole(self.run.meter, done=self.events.done):
            self.run.meter.is_whole = True
        elif not self.run.is_stopped:
            raise UpstreamError(_("The provider ended the answer early."), detail="stream cut")

    def _is_last(self, event: Event, passed: list[bytes]) -> bool:
        """Meter an event and append what the caller gets of it to `passed`.

        Returns whether the answer ends with it, by itself or because it is over its limit.
        """
        if event.data == NOTHING:
            return False
        chunk = self._observe(event)
        if self.run.meter.has_costs:
            event, chunk = self._withhold_costs(event, chunk)
        if (text := self.stream.passed(event, chunk)) is not None:
            passed.append(text)
        if is_last := self.stream.is_last(event, chunk):
            self.events.done = True
        elif self.run.meter.is_over_limit:
            self.run.meter.finish_reason, self._is_limited = "length", True
        return is_last or self._is_limited

    def _observe(self, event: Event) -> Any:
        chunk = _decode(event)
        self.run.observe(chunk)  # before the check: some failures contain the usage until then
        _check(self.stream, event, chunk, self.events.asked)
        return chunk

    def _withhold_costs(self, event: Event, chunk: Any) -> tuple[Event, Any]:
        """Return the event and its chunk without what only the operator should see."""
        self.run.meter.has_costs = False
        shown = operator_costs.withhold(chunk)
        data, name = lenient_json.encode(shown), event.event if event.event != "message" else ""
        return Event(data, encode_event(data, name.encode()), event.event), shown

    def _drain(self, seconds: float) -> None:
        """Read on after the caller has gone, for the usage at the end of the stream."""
        self.events.end_in(seconds)
        with suppress(UpstreamFailure):
            for _passed in self._answer():
                pass
