"""A body of JSON in the place of events, and events in the place of JSON."""

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import UpstreamError
from llmproxy.upstream.answer_events import write_events
from llmproxy.upstream.assembly import assemble
from llmproxy.upstream.event_stream import DONE, Event, Events
from llmproxy.upstream.failures import ProviderRequest, build_refusal

FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")  # what an event can begin with
END = b"data: [DONE]"


class Document:
    """The JSON that a provider sends although events were asked for."""

    def __init__(self, request: ProviderRequest) -> None:
        self._request = request
        self._raw = bytearray()

    def feed(self, content: bytes) -> None:
        """Raises UpstreamError for more than LLM_MAX_ANSWER_BYTES."""
        self._raw += content
        if len(self._raw) > settings.LLM_MAX_ANSWER_BYTES:
            raise UpstreamError(
                _("The provider's answer could not be read."), detail="answer too large"
            )

    def write_events(self) -> list[Event]:
        """The answer as events, with [DONE]. An error is one event with this name.

        Each line may be a document of its own: then it is the data of one event.
        """
        raw = bytes(self._raw)
        value = lenient_json.decode(raw)
        if value is None:
            lines = [line for line in raw.splitlines() if line.strip()]
            return [Event(line, b"data: " + line + b"\n\n") for line in lines]
        if isinstance(value, dict) and not value.get("error"):
            events = write_events(self._request.endpoint, value)
            return [*events, Event(DONE, b"")] if events else [_build_error(raw)]
        return [_build_error(raw)]


def _build_error(raw: bytes) -> Event:
    return Event(raw, b"", "error")


def is_events(raw: bytes | bytearray) -> bool:
    """Whether a body, of which JSON is expected, has events instead."""
    return raw.lstrip().startswith(FIELDS)


def read_events(raw: bytes, request: ProviderRequest) -> object:
    """The answer that these events contain; None if it is not whole.

    Raises UpstreamFailure if one of them reports a failure.
    """
    events = Events()
    chunks, done = [], False
    for event in [*events.feed(raw), *events.feed(b"\n\n")]:
        if done := done or event.data == DONE:
            continue
        chunk = lenient_json.decode(event.data)
        if event.event == "error" or (isinstance(chunk, dict) and _is_failure(chunk)):
            raise build_refusal(request, event.data)
        if isinstance(chunk, dict):
            chunks.append(chunk)
    return assemble(request.endpoint, chunks, done=done)


def _is_failure(chunk: dict[str, object]) -> bool:
    return bool(chunk.get("error")) or chunk.get("type") in ("error", "response.failed")
