"""How each streaming route spells events, errors and the bill (api.md §3). Pure: values in, bytes out."""

from typing import Any, Protocol

import orjson
from sseclient import Event

from accounts.errors import envelope
from llmproxy.exceptions import GatewayRefusal
from llmproxy.models import Completion

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


class Dialect(Protocol):
    def bill(self, receipt: Completion) -> bytes:
        """Tells a caller who did not ask for usage what was charged."""

    def failure(self, refusal: GatewayRefusal, receipt: Completion) -> bytes:
        """Tells that the answer ends here, and why."""


class OpenAI:
    """`/v1/chat/completions`: nothing that an OpenAI client does not know, so the bill is a comment."""

    def bill(self, receipt: Completion) -> bytes:
        return b": credits " + orjson.dumps(credits_of(receipt)) + b"\n\n"

    def failure(self, refusal: GatewayRefusal, receipt: Completion) -> bytes:
        choice = {"index": 0, "delta": {}, "finish_reason": "error"}
        return event(orjson.dumps({**_chunk(receipt), "choices": [choice], **error_of(refusal)}))


class Named:
    """`/api/llm/stream`: the bill and a failure are events with names of their own."""

    def bill(self, receipt: Completion) -> bytes:
        return event(orjson.dumps(credits_of(receipt)), b"credits")

    def failure(self, refusal: GatewayRefusal, receipt: Completion) -> bytes:
        return event(orjson.dumps({**error_of(refusal), "finish_reason": "error"}), b"error")


def event(data: bytes, name: bytes = b"") -> bytes:
    prefix = b"event: " + name + b"\n" if name else b""
    return prefix + b"data: " + data + b"\n\n"


def relayed(upstream: Event) -> bytes:
    """The provider's event with LF endings and its data unchanged."""
    name = f"event: {upstream.event}\n" if upstream.event != "message" else ""
    number = f"id: {upstream.id}\n" if upstream.id else ""
    data = upstream.data.replace("\n", "\ndata: ")
    return f"{name}{number}data: {data}\n\n".encode()


def usage_chunk(receipt: Completion, reported: dict[str, Any] | None) -> bytes:
    """The last chunk for a caller who asked for usage: the provider's own, with the bill in it."""
    usage = {
        "prompt_tokens": receipt.prompt_tokens,
        "completion_tokens": receipt.completion_tokens,
        "total_tokens": receipt.usage.total_tokens,
    }
    chunk = reported or {**_chunk(receipt), "choices": [], "usage": usage}
    return event(orjson.dumps({**chunk, "_credits": credits_of(receipt)}))


def credits_of(receipt: Completion) -> dict[str, int | None]:
    return {"used": receipt.charged, "remaining": receipt.balance_after}


def error_of(refusal: GatewayRefusal) -> dict[str, Any]:
    return envelope(refusal.status, refusal.message, refusal.code, param=refusal.param, **refusal.extra)


def _chunk(receipt: Completion) -> dict[str, Any]:
    return {
        "id": receipt.upstream_id or receipt.generation_id,
        "object": "chat.completion.chunk",
        "created": int(receipt.created_at.timestamp()),
        "model": receipt.model,
    }
