"""A streamed answer on its way from the provider to the caller, event by event."""

from collections.abc import Iterator
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
from llmproxy.http1.client import Answer
from llmproxy.routes.base import KEEP_ALIVE, Stream
from llmproxy.upstream.event_stream import Event, EventStream
from llmproxy.upstream.targets import Target

NOTHING = b"null"  # llama.cpp, before the answers to several prompts


def open_stream(admission: Admission, sock: Any = None) -> "Relay":
    """Call the provider, and the next if it fails before it says anything. Raises UpstreamFailure, nothing charged.

    `sock` is the caller's connection: whoever hangs up is not answered any more.
    """
    run, relay = Run(admission), None
    watched = disconnects.watch(sock, run)
    try:
        relay = Relay(run, run.ask(run_events(run)), watched)
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        if relay is None:
            disconnects.forget(watched)
            run.call.finish()
            run.settle()
    return relay


def run_events(run: Run) -> Any:
    """What makes a stream of a provider's answer, once it has said something or is merely slow."""
    streamed = run.admission.route.streamed(run.admission.asked)

    def read(answer: Answer, target: Target) -> EventStream:
        events = EventStream(answer, run.call, idle_seconds=target.idle)
        try:
            events.await_first(settings.LLM_KEEP_ALIVE_SECONDS)
            if (first := events.first) is not None and first.data != NOTHING:
                _check(streamed, first, _value(first))
        except BaseException:
            events.close()
            raise
        return events

    return read


def _value(event: Event) -> Any:
    chunk = lenient_json.decode(event.data)
    if chunk is None:
        raise UpstreamError(
            _("The provider's answer could not be read."), detail="event is not JSON"
        )
    return chunk


def _check(streamed: Stream, event: Event, chunk: Any) -> None:
    """Raises UpstreamError, where the provider says that it failed."""
    if streamed.failed(event, chunk):
        raise UpstreamError(_("The provider failed. Try again."), detail=repr(event.data[:2000]))


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
            disconnects.forget(self._watched)
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
        """What came together goes on together."""
        for batch in self.events:
            passed: list[bytes] = []
            try:
                is_over = any(self._is_last(event, passed) for event in batch)
            finally:
                if passed or not (batch or self.events.done):
                    yield b"".join(passed) or KEEP_ALIVE
            if is_over:
                return
        if not (self.run.is_stopped or self.stream.is_whole(self.run.meter, done=self.events.done)):
            raise UpstreamError(_("The provider ended the answer early."), detail="stream cut")

    def _is_last(self, event: Event, passed: list[bytes]) -> bool:
        """Meter one event and pass it on; whether the answer ends with it: by itself, or beyond what was allowed."""
        if event.data == NOTHING:
            return False
        chunk = self._observed(event)
        if (text := self.stream.passed(event, chunk)) is not None:
            passed.append(text)
        if is_last := self.stream.is_last(event, chunk):
            self.events.done = True
        elif self.run.meter.is_beyond:
            self.run.meter.finish_reason, self._is_limited = "length", True
        return is_last or self._is_limited

    def _observed(self, event: Event) -> Any:
        chunk = _value(event)
        self.run.observe(chunk)  # also of a failure: some tell what was used until then
        _check(self.stream, event, chunk)
        return chunk

    def _drain(self, seconds: float) -> None:
        """Read on without a reader, for the usage that comes at the end."""
        self.events.end_in(seconds)
        with suppress(UpstreamFailure):
            for _passed in self._answer():
                pass
