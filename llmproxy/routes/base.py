"""What a route has to say about itself, so that all are admitted, relayed and charged by the same code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from accounts.toolbox.dialects import Dialect
from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal
from llmproxy.metering.meter import Meter
from llmproxy.metering.pricing import Usage
from llmproxy.models import Endpoint
from llmproxy.routes.dialects import GATEWAY
from llmproxy.routes.request_body import Asked
from llmproxy.upstream.event_stream import Event

KEEP_ALIVE = b": keep-alive\n\n"


class Route:
    """One endpoint of OpenAI's or Anthropic's API: its requests, answers, streams and errors. Stateless."""

    endpoint: ClassVar[Endpoint]
    member: ClassVar[str]  # the list in a provider's JSON that every answer has
    meter: ClassVar[type[Meter]] = Meter
    dialect: ClassVar[Dialect] = GATEWAY

    def passed_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What of the request's headers the provider gets."""
        return {}

    def parse(self, raw: bytes, *, stream: bool | None = None) -> Asked:
        """The request in `raw`; `stream` overrides what the body says. Raises InvalidRequest."""
        raise NotImplementedError

    def is_answer(self, answer: dict[str, Any]) -> bool:
        """Whether a provider's JSON with a good status is what was asked for."""
        return isinstance(answer.get(self.member), list)

    def streamed(self, asked: Asked) -> "Stream":
        """How the events of one answer are written."""
        raise NotImplementedError

    def refusal(self, refusal: Any) -> dict[str, Any]:
        """The body of an error; `refusal` is an accounts.toolbox.exceptions.Refusal."""
        gateway = refusal if isinstance(refusal, GatewayRefusal) else None
        param, extra = (gateway.param, gateway.extra) if gateway else (None, {})
        return self.dialect.error(
            refusal.status, refusal.message, refusal.code, param=param, **extra
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The part of a receipt that the response itself contains. `created` is Unix time in seconds."""

    generation_id: str
    model: str
    upstream_id: str
    usage: Usage
    charged: int
    balance_after: int | None
    created: int


class Stream:
    """One answer on its way: values in, bytes out. What is kept back waits for the bill."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def failed(self, event: Event, chunk: Any) -> bool:
        """Whether the provider says with this event that it failed."""
        return event.event == "error" or (isinstance(chunk, dict) and bool(chunk.get("error")))

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        """What the caller gets of this event now; None for nothing."""
        return event.raw

    def is_last(self, event: Event, chunk: Any) -> bool:
        """Whether the answer is whole with this event, where no [DONE] comes after it."""
        return False

    def is_whole(self, meter: Meter, *, done: bool) -> bool:
        """Whether an answer that ends here without its last event is all there, not cut; `done` is after [DONE]."""
        return done or bool(meter.finish_reason)

    def limited(self, receipt: Receipt) -> bytes:
        """What ends an answer that we end, because it is as long as was paid for."""
        raise NotImplementedError

    def end(self, receipt: Receipt) -> bytes:
        """The bill, and all that comes after it."""
        raise NotImplementedError

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        """Tells that the answer ends here, and why; `end` follows it."""
        raise NotImplementedError


def event(data: bytes, name: bytes = b"") -> bytes:
    prefix = b"event: " + name + b"\n" if name else b""
    return prefix + b"data: " + data + b"\n\n"


def bill(receipt: Receipt) -> bytes:
    """The bill as a comment: nothing that a client of the route does not know."""
    return b": credits " + lenient_json.encode(credits_of(receipt)) + b"\n\n"


def credits_of(receipt: Receipt) -> dict[str, int | None]:
    return {"used": receipt.charged, "remaining": receipt.balance_after}
