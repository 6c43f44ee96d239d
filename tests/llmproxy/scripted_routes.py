"""A provider's answers on the routes other than chat; usage is (prompt, completion) or None."""

import json
from collections.abc import Callable
from typing import Any

from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import (
    DONE,
    Handler,
    Script,
    build_usage,
    events,
    raw,
    usage_chunk,
)

Usage = tuple[int, int] | None


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def text_answer(text: str = "Hello", usage: Usage = (20, 5)) -> Script:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return _json(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "choices": [choice],
            "usage": build_usage(usage),
        }
    )


def text_piece(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return (
        b"data: "
        + json.dumps({"id": "cmpl-1", "object": "text_completion", "choices": [choice]}).encode()
        + b"\n\n"
    )


def text_pieces(*texts: str, usage: Usage = (20, 5)) -> list[bytes]:
    last = [usage_chunk(*usage)] if usage else []
    return [*map(text_piece, texts), text_piece("", "stop"), *last, DONE]


def vectors(_text: str = "", usage: Usage = (20, 0)) -> Script:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}]
    counts = {"prompt_tokens": usage[0], "total_tokens": usage[0]} if usage else None
    return _json({"object": "list", "data": data, "model": "m", "usage": counts})


def response(
    text: str = "Hello", usage: Usage = (20, 5), status: str = "completed", **extra: Any
) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    counts = (
        {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)}
        if usage
        else None
    )
    about = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None}
    fixed = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
    return {**about, **fixed, "status": status, "output": [item], "usage": counts, **extra}


def response_answer(text: str = "Hello", usage: Usage = (20, 5)) -> Script:
    return _json(response(text, usage))


def compaction(_text: str = "", usage: Usage = (20, 5)) -> Script:
    """A conversation of one message, compacted."""
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA" * 20_000}
    counts = response(usage=usage)["usage"]
    about = {"id": "resp_1", "object": "response.compaction", "created_at": 1}
    return _json({**about, "output": [response("x" * 90_000)["output"][0], item], "usage": counts})


def response_piece(text: str, number: int = 1) -> bytes:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return event(
        "response.output_text.delta", **where, delta=text, logprobs=[], sequence_number=number
    )


def response_pieces(*texts: str, usage: Usage = (20, 5), last: str = "completed") -> list[bytes]:
    whole = response("".join(texts), usage, status=last)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item: dict[str, Any] = whole["output"][0]
    part = item["content"][0] | {"text": ""}
    return [
        event("response.created", response=begun, sequence_number=0),
        event(
            "response.output_item.added",
            item=item | {"content": []},
            output_index=0,
            sequence_number=0,
        ),
        event(
            "response.content_part.added",
            part=part,
            item_id="msg_1",
            output_index=0,
            content_index=0,
        ),
        *(response_piece(text, number) for number, text in enumerate(texts, 1)),
        event("response.output_item.done", item=item, output_index=0, sequence_number=98),
        event(f"response.{last}", response=whole, sequence_number=99),
    ]


def message(text: str = "Hello", usage: Usage = (20, 5), **extra: Any) -> dict[str, Any]:
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    counts = {"input_tokens": usage[0], "output_tokens": usage[1]} if usage else None
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return {**about, "content": [{"type": "text", "text": text}], **end, "usage": counts, **extra}


def as_message(**fields: Any) -> Script:
    return _json(message() | fields)


def message_answer(text: str = "Hello", usage: Usage = (20, 5)) -> Script:
    return _json(message(text, usage))


def message_start(prompt: int | None = 20, **more: int) -> bytes:
    counts = (
        {} if prompt is None else {"usage": {"input_tokens": prompt, "output_tokens": 1, **more}}
    )
    begun = {**message(), "content": [], "stop_reason": None, "usage": None, **counts}
    return event("message_start", message=begun)


def message_piece(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def message_pieces(*texts: str, usage: Usage = (20, 5)) -> list[bytes]:
    return [
        message_start(usage[0] if usage else None),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *map(message_piece, texts),
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            **({"usage": {"output_tokens": usage[1]}} if usage else {}),
        ),
        event("message_stop"),
    ]


def _json(body: dict[str, Any]) -> Script:
    return raw(json.dumps(body).encode())


ANSWERS: dict[str, Callable[..., Script]] = {
    "/v1/completions": text_answer,
    "/v1/embeddings": vectors,
    "/v1/responses": response_answer,
    "/v1/responses/compact": compaction,
    "/v1/messages": message_answer,
}
STREAMS: dict[str, Callable[..., list[bytes]]] = {
    "/v1/completions": text_pieces,
    "/v1/responses": response_pieces,
    "/v1/messages": message_pieces,
}


def as_asked(text: str) -> Script:
    """The answer of the requested route: JSON or a stream, as the request has `stream`."""

    def script(handler: Handler) -> None:
        if handler.path not in ANSWERS:
            scripted_upstream.as_asked(text)(handler)
        elif handler.upstream.sent.get("stream"):
            events(*STREAMS[handler.path](text))(handler)
        else:
            ANSWERS[handler.path](text)(handler)

    return script
