"""The interface of a metered route: the same code admits, relays and charges all of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase

from accounts.toolbox import headers
from accounts.toolbox.diagnosis import request_ids, traces
from accounts.toolbox.dialects import Dialect, EnvelopeDialect
from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, UpstreamFailure
from llmproxy.metering.meter import Meter
from llmproxy.metering.pricing import Usage
from llmproxy.models import Endpoint
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.upstream.event_stream import Event

# Our comments are lines before an event, never a block of their own: several clients take a blank
# line for the end of an event, and fail on one without data (openai-go until 3.42).
KEEP_ALIVE = b": keep-alive\n"
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class GatewayDialect(EnvelopeDialect):
    """OpenAI's error format."""

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        if headers.TRACE_ID not in response:  # refused before the view ran
            response[headers.TRACE_ID] = traces.choose_trace_id(request)


class MessagesDialect(GatewayDialect):
    """Anthropic's error format, with our code and facts as further keys, and its `request-id`."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        kind = ANTHROPIC_TYPES.get(status, "invalid_request_error")
        known = {name: value for name, value in extra.items() if value is not None}
        return {"type": "error", "error": {"type": kind, "message": message, "code": code, **known}}

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        super().add_headers(request, response)
        response[headers.REQUEST_ID_OF_ANTHROPIC] = request_ids.get_request_id()


GATEWAY = GatewayDialect()
MESSAGES = MessagesDialect()


class Route:
    """One endpoint of OpenAI's or Anthropic's API: its requests, responses, streams and errors.

    A route has no state.
    """

    endpoint: ClassVar[Endpoint]
    member: ClassVar[str]  # the name of the list that every valid answer of a provider contains
    meter: ClassVar[type[Meter]] = Meter
    dialect: ClassVar[Dialect] = GATEWAY

    @property
    def upstream_path(self) -> str:
        """The path of this route at a provider, after its base URL."""
        return f"/{self.endpoint.value}"

    def passed_headers(
        self, sent: Mapping[str, str], request: CompletionRequest | None = None
    ) -> dict[str, str]:
        """Return the request headers that are forwarded to the provider.

        What is not forwarded of a header is named in `request.dropped`.
        """
        return {}

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        """Parse and check the request body `raw`. `stream` overrides the body's own `stream`.

        Raises InvalidRequest.
        """
        raise NotImplementedError

    def is_answer(self, answer: dict[str, Any]) -> bool:
        """True if this JSON, which a provider sent with a status of success, is an answer."""
        return isinstance(answer.get(self.member), list)

    def rewrite(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """Write a JSON answer in the form that was asked for, if the request is `is_rewritten`."""
        raise NotImplementedError

    def streamed(self, request: CompletionRequest) -> "Stream":
        """Return the writer of the events of one answer."""
        raise NotImplementedError

    def explain_failure(self, failure: UpstreamFailure) -> GatewayRefusal:
        """Return the refusal that the caller gets if the last provider failed like this."""
        return failure

    def refusal(self, refusal: Any) -> dict[str, Any]:
        """Return the body of an error; `refusal` is an accounts.toolbox.exceptions.Refusal."""
        gateway = refusal if isinstance(refusal, GatewayRefusal) else None
        param, extra = (gateway.param, gateway.extra) if gateway else (None, {})
        return self.dialect.error(
            refusal.status, refusal.message, refusal.code, param=param, **extra
        )


@dataclass(slots=True)
class Receipt:
    """The part of a receipt that the response contains. `created` is Unix time in seconds."""

    generation_id: str
    model: str
    upstream_id: str
    usage: Usage
    charged: int
    balance_after: int | None
    created: int


class Stream:
    """Writes one streamed answer: it takes the provider's events and returns bytes for the caller.

    Events that must follow the bill are kept back until the completion is charged.
    """

    passes_pings: ClassVar[bool] = False  # whether the dialect has `ping` events

    def __init__(self, request: CompletionRequest) -> None:
        self.request = request

    def failed(self, event: Event, chunk: Any) -> bool:
        """True if the provider reports a failure with this event."""
        return event.event == "error" or (isinstance(chunk, dict) and bool(chunk.get("error")))

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        """Return the bytes that the caller gets now for this event; None for nothing."""
        return event.raw

    def is_last(self, event: Event, chunk: Any) -> bool:
        """True if this event completes the answer, on a route that sends no [DONE]."""
        return False

    def is_whole(self, meter: Meter, *, done: bool) -> bool:
        """True if an answer that ends without its last event is complete, not truncated.

        `done` is True if [DONE] was received. Some providers end an answer that failed with the
        finish reason `error` and no other sign.
        """
        return (done or bool(meter.finish_reason)) and meter.finish_reason != "error"

    def limited(self, receipt: Receipt) -> bytes:
        """Return the events that end an answer which we stop because it reached its limit."""
        raise NotImplementedError

    def end(self, receipt: Receipt) -> bytes:
        """Return the bill and the last event, in one block if the bill is a comment."""
        raise NotImplementedError

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        """Return the events that report why the answer ends here; `end` is called next."""
        raise NotImplementedError


def encode_event(data: bytes, name: bytes = b"") -> bytes:
    """Encode a server-sent event; `name` is its `event` field."""
    prefix = b"event: " + name + b"\n" if name else b""
    return prefix + b"data: " + data + b"\n\n"


def encode_bill(receipt: Receipt) -> bytes:
    """Encode the bill as an SSE comment, a line to put in front of the last event."""
    return b": credits " + lenient_json.encode(build_credits(receipt)) + b"\n"


def build_credits(receipt: Receipt) -> dict[str, int | None]:
    """Return the bill: the credits charged, and the balance after the charge."""
    return {"used": receipt.charged, "remaining": receipt.balance_after}
