"""Passes a streamed answer from the provider to the caller, event by event."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.admission.admit import Admission
from llmproxy.completion import disconnects
from llmproxy.completion.disconnects import Watch
from llmproxy.completion.running import Run, Status, build_restart
from llmproxy.exceptions import UpstreamError, UpstreamFailure
from llmproxy.http1.client import Response, Waiting
from llmproxy.metering import operator_costs
from llmproxy.routes.base import KEEP_ALIVE, Stream, encode_event
from llmproxy.upstream.answer_stream import EventStream
from llmproxy.upstream.event_stream import Event
from llmproxy.upstream.failures import ProviderRequest, build_refusal
from llmproxy.upstream.first_content import carries_content

PING = re.compile(rb'\s*\{\s*"type"\s*:\s*"ping"')  # Anthropic's


def open_stream(admission: Admission, sock: Any = None) -> "Relay":
    """Ask the provider, and the next one if it fails before its first content.

    Returns when content has come, or after LLM_KEEP_ALIVE_SECONDS: then the relay goes on asking.
    `sock` is the caller's connection, which is watched. Raises UpstreamFailure; nothing is charged
    then.
    """
    run, relay = Run(admission), None
    watched = disconnects.watch(sock, run)
    try:
        relay = Relay(run, watched)
        relay.advance()
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        if relay is None or not relay.is_open:
            disconnects.forget(watched)
            run.call.finish()
            run.settle()
    return relay


def _decode(event: Event) -> Any:
    """The JSON of an event. Raises UpstreamError."""
    chunk = lenient_json.decode(event.data)
    if chunk is None:
        raise UpstreamError(
            _("The provider's answer could not be read."), detail="event is not JSON"
        )
    return chunk


def _check(streamed: Stream, event: Event, chunk: Any, request: ProviderRequest) -> None:
    """Raises UpstreamFailure if the provider reports a failure with this event."""
    if streamed.failed(event, chunk) or (isinstance(chunk, list) and _is_list_of_errors(chunk)):
        raise build_refusal(request, event.data)


def _is_list_of_errors(chunk: list[Any]) -> bool:
    """Whether this is the form in which Gemini reports an error."""
    return bool(chunk) and isinstance(chunk[0], dict) and bool(chunk[0].get("error"))


class Relay:
    """Iterate for the bytes of the response; `close` it when they are sent or the caller has gone.

    This is no generator, because `close` of a generator that has not started runs none of its code.
    """

    def __init__(self, run: Run, watched: Watch | None = None) -> None:
        self.run = run
        self.is_open = True  # `close` has to settle
        self.stream = run.admission.route.streamed(run.admission.request)
        self._watched = watched
        self._asking = run.ask(self._open)
        self._opening: EventStream | None = None  # the one whose content is waited for
        self._events: EventStream | None = None  # the one whose content has come
        self._is_limited = False
        run.meter.is_whole = False  # until the answer has come to its end

    def advance(self) -> bool:
        """Ask on until content comes or the caller should be told that it takes time.

        Returns whether content has come. Raises UpstreamFailure if no provider is left.
        """
        try:
            next(self._asking)
        except StopIteration as stop:
            self._events = stop.value
        except UpstreamFailure:
            self.is_open = False
            raise
        return self._events is not None

    def _open(self, response: Response, request: ProviderRequest) -> Waiting[EventStream]:
        """The events of a response, when its first content has come."""
        events = self._opening = EventStream(response, self.run.call, request)
        streamed = self.run.admission.route.streamed(self.run.admission.request)
        try:
            yield from events.hold_back(partial(_is_content, streamed, request))
        except BaseException as error:
            events.close()
            if not isinstance(error, GeneratorExit):
                self._opening = None
            raise
        return events

    def close(self) -> None:
        """Stop the provider, or read its answer on if its row says so; then settle.

        Does nothing after the end. Usage that was reported before the first content counts.
        """
        try:
            if self._events is None:
                self._observe_opening()
                self._asking.close()
            else:
                self._close_events(self._events)
        finally:
            disconnects.forget(self._watched)
            self.run.settle()

    def _observe_opening(self) -> None:
        opening = self._opening
        if self.is_open and opening is not None and self.run.receipt is None:
            for event in opening.take_held_back():
                if not event.is_heartbeat:
                    self._observe(event)

    def _close_events(self, events: EventStream) -> None:
        target = self.run.target
        if self.run.receipt is None and target is not None and target.drains:
            self._drain(events, target.drain_seconds)
        events.close()

    def __iter__(self) -> Iterator[bytes]:
        failure: UpstreamFailure | None = None
        try:
            while self._events is None:
                yield KEEP_ALIVE
                self.advance()
            yield from self._answer(self._events)
            if self.run.has_left:
                return
            self.run.status = Status.COMPLETED
        except UpstreamFailure as caught:
            failure = build_restart() if self.run.is_restarting else caught
            if self._events is None:
                self.run.fail(failure)
            else:
                self.run.fail_midway(failure)
        yield self._end(failure)
        if self._events is not None:
            self._events.close()

    def _end(self, failure: UpstreamFailure | None) -> bytes:
        """Settle, and return what the caller gets at the end."""
        disconnects.forget(self._watched)
        if self._events is not None and not self._events.done:
            self._events.close()
        receipt = self.run.settle()
        last = self.stream.failure(failure, receipt) if failure else b""
        limited = self.stream.limited(receipt) if self._is_limited else b""
        return last + limited + self.stream.end(receipt)

    def _answer(self, events: EventStream) -> Iterator[bytes]:
        """Events that arrived together are sent together."""
        for batch in events:
            passed: list[bytes] = []
            try:
                is_over = any(self._is_last(events, event, passed) for event in batch)
            finally:
                if passed or not (batch or events.done):
                    yield b"".join(passed) or KEEP_ALIVE
            if is_over:
                self.run.meter.is_whole = not self._is_limited
                return
        if events.done:
            self._observe_rest(events)
        if self.stream.is_whole(self.run.meter, done=events.done):
            self.run.meter.is_whole = True
        elif self.run.is_restarting and not self.run.has_left:
            raise build_restart()
        elif not self.run.is_stopped:
            raise UpstreamError(_("The provider ended the answer early."), detail="stream cut")

    def _is_last(self, events: EventStream, event: Event, passed: list[bytes]) -> bool:
        """Meter an event and append what the caller gets of it to `passed`.

        Returns whether the answer ends with it, by itself or because it is over its limit.
        """
        if event.is_heartbeat:
            if self.stream.passes_pings and PING.match(event.data):
                passed.append(event.raw)
            self.run.observe(None)  # counted, so that they do not go on for ever
            return self.run.meter.is_over_limit and self._limit()
        chunk = self._observe(event)
        _check(self.stream, event, chunk, events.request)
        if self.run.meter.has_costs:
            event, chunk = self._withhold_costs(event, chunk)
        if (text := self.stream.passed(event, chunk)) is not None:
            passed.append(text)
        if self.stream.is_last(event, chunk):
            events.done = True
            return True
        return self.run.meter.is_over_limit and self._limit()

    def _limit(self) -> bool:
        """End the answer here, because it is over its limit."""
        self.run.meter.finish_reason, self._is_limited = "length", True
        return True

    def _observe(self, event: Event) -> Any:
        """Meter an event, also one that reports a failure: it may contain the usage until then."""
        chunk = _decode(event)
        self.run.observe(chunk)
        return chunk

    def _withhold_costs(self, event: Event, chunk: Any) -> tuple[Event, Any]:
        """Return the event and its chunk without what only the operator should see."""
        self.run.meter.has_costs = False
        shown = operator_costs.withhold(chunk)
        data, name = lenient_json.encode(shown), event.event if event.event != "message" else ""
        return Event(data, encode_event(data, name.encode()), event.event), shown

    def _observe_rest(self, events: EventStream) -> None:
        """Meter the usage that some providers send after [DONE]; nothing else there counts."""
        for event in events.read_rest(is_usage_missing=not self.run.meter.counts):
            chunk = lenient_json.decode(event.data)
            if isinstance(chunk, dict) and isinstance(chunk.get("usage"), dict):
                usage_only = {**chunk, "choices": []}
                self.run.observe(usage_only)
                self.stream.passed(event, operator_costs.withhold(usage_only))

    def _drain(self, events: EventStream, seconds: float) -> None:
        """Read on after the caller has gone, for the usage at the end of the stream."""
        events.end_in(seconds)
        with suppress(UpstreamFailure):
            for _passed in self._answer(events):
                pass


def _is_content(streamed: Stream, request: ProviderRequest, event: Event) -> bool:
    """Whether the caller learns something from this event. Raises UpstreamFailure."""
    if event.is_heartbeat:
        return False
    chunk = _decode(event)
    _check(streamed, event, chunk, request)
    return carries_content(chunk)
