"""The events of a streamed message.

Source: Anthropic API reference, "Streaming messages".
"""

import json
from collections.abc import Iterator
from typing import Any

from tests.clients.mock.pieces import cut

Body = dict[str, Any]
Typed = tuple[str, Body]


def write(message: Body) -> Iterator[Typed]:
    """Yield the events of this message."""
    usage = {**message["usage"], "output_tokens": 1}
    begun = {**message, "content": [], "stop_reason": None, "usage": usage}
    begun.pop("context_management", None)
    yield _type("message_start", message=begun)
    for index, block in enumerate(message["content"]):
        yield _type("content_block_start", index=index, content_block=_empty(block))
        if index == 0:
            yield _type("ping")
        for delta in _list_deltas(block):
            yield _type("content_block_delta", index=index, delta=delta)
        yield _type("content_block_stop", index=index)
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    more = {name: message[name] for name in ("context_management",) if name in message}
    usage = {
        name: message["usage"][name]
        for name in (
            *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
            *("output_tokens", "output_tokens_details"),
        )
    }
    yield _type("message_delta", delta=end, usage=usage, **more)
    yield _type("message_stop")


def _type(kind: str, **fields: Any) -> Typed:
    return kind, {"type": kind, **fields}


def _empty(block: Body) -> Body:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _list_deltas(block: Body) -> Iterator[Body]:
    match block["type"]:
        case "text":
            for piece in cut(block["text"]):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in cut(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            for piece in ["", *cut(json.dumps(block["input"]))]:
                yield {"type": "input_json_delta", "partial_json": piece}
