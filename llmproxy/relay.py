"""A streamed answer on its way from the provider to the caller, event by event."""

import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import Event

from accounts.failpoints import failpoint
from llmproxy import dialects, upstream
from llmproxy.admission import Admission
from llmproxy.completions import Run
from llmproxy.dialects import Dialect
from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout
from llmproxy.metering import is_usage_only
from llmproxy.models import Completion
from llmproxy.upstream import EventStream


def open_stream(admission: Admission, dialect: Dialect) -> "Relay":
    """Call the provider. Raises UpstreamFailure, with nothing charged, if it does not accept."""
    run, relay = Run(admission), None
    try:
        relay = Relay(run, EventStream(run.call_upstream()), dialect)
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        if relay is None:
            run.settle()
    return relay


class Relay:
    """Iterate for the bytes of the answer; `close` when the caller has them all or has gone.

    Not a generator, because closing one that was never started runs none of its code.
    """

    def __init__(self, run: Run, events: EventStream, dialect: Dialect) -> None:
        self.run = run
        self.events = events
        self.dialect = dialect
        self.asked = run.admission.request.include_usage
        self.reported: dict[str, Any] | None = None

    def close(self) -> None:
        """Stop the provider at once and settle, if the end of the stream has not done so."""
        try:
            self.events.close()
        finally:
            self.run.settle()

    def __iter__(self) -> Iterator[bytes]:
        failure: UpstreamFailure | None = None
        try:
            yield from self._answer()
            self.run.status = Completion.Status.COMPLETED
        except UpstreamFailure as caught:
            failure = caught
            self.run.fail(caught)
        self.close()
        receipt = self.run.settle()
        if failure:
            yield self.dialect.failure(failure, receipt)
        yield dialects.usage_chunk(receipt, self.reported) if self.asked else self.dialect.bill(receipt)
        yield dialects.DONE

    def _answer(self) -> Iterator[bytes]:
        deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        for event in self.events:
            if time.monotonic() > deadline:
                raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
            if event is None:
                yield dialects.KEEP_ALIVE
            elif (passed := self._observe(event)) is not None:
                yield passed
                failpoint("mid-stream")
        if not (self.events.done or self.run.meter.finish_reason):
            raise UpstreamError(_("The provider ended the answer early."), detail="stream cut")

    def _observe(self, event: Event) -> bytes | None:
        """Meter one event; the bytes to pass on, or None for the usage chunk, which waits for the bill."""
        chunk = upstream.decode(event.data)
        if chunk is None:
            raise UpstreamError(_("The provider's answer could not be read."), detail="event is not JSON")
        if event.event == "error" or (isinstance(chunk, dict) and chunk.get("error")):
            raise UpstreamError(_("The provider failed during the answer."), detail=event.data[:2000])
        self.run.observe(chunk)
        if is_usage_only(chunk):
            self.reported = chunk
            return None
        return dialects.relayed(event)
