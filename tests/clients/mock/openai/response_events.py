"""The events of a streamed response.

Source: OpenAI API reference, "Streaming events".
"""

from collections.abc import Callable, Iterator
from typing import Any

from tests.clients.mock.pieces import cut

Body = dict[str, Any]
Typed = tuple[str, Body]


def write(begun: Body, whole: Body) -> Iterator[Typed]:
    """Yield the events, in which each item of the output of `whole` arrives in pieces."""
    for number, (kind, fields) in enumerate(_list_events(begun, whole)):
        yield kind, {"type": kind, "sequence_number": number, **fields}


def _list_events(begun: Body, whole: Body) -> Iterator[Typed]:
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(whole["output"]):
        for kind, fields in _list_item_events(item):
            yield kind, {"output_index": index, **fields}
    yield f"response.{whole['status']}", {"response": whole}


def _list_item_events(item: Body) -> Iterator[Typed]:
    empty = {"content": [], "arguments": "", "input": "", "summary": []}
    begun = {name: empty.get(name, value) for name, value in item.items()}
    if "status" in item:
        begun["status"] = "in_progress"
    yield "response.output_item.added", {"item": begun}
    for kind, fields in _list_pieces(item):
        yield kind, {"item_id": item["id"], **fields}
    yield "response.output_item.done", {"item": item}


def _list_pieces(item: Body) -> Iterator[Typed]:
    match item["type"]:
        case "message":
            yield from _list_parts(item["content"], "content_index", _list_text_events)
        case "reasoning":
            yield from _list_parts(item["summary"], "summary_index", _list_summary_events)
        case "function_call":
            yield from _list_argument_events("response.function_call_arguments", item, "arguments")
        case "custom_tool_call":
            yield from _list_argument_events("response.custom_tool_call_input", item, "input")


def _list_parts(
    parts: list[Body], index_name: str, list_events: Callable[[Body], Iterator[Typed]]
) -> Iterator[Typed]:
    for index, part in enumerate(parts):
        for kind, fields in list_events(part):
            yield kind, {index_name: index, **fields}


def _list_argument_events(kind: str, item: Body, member: str) -> Iterator[Typed]:
    for piece in cut(item[member]):
        yield f"{kind}.delta", {"delta": piece, "obfuscation": "q"}
    name = {"name": item["name"]} if member == "arguments" else {}
    yield f"{kind}.done", {member: item[member], **name}


def _list_text_events(part: Body) -> Iterator[Typed]:
    yield "response.content_part.added", {"part": {**part, "text": ""}}
    for piece in cut(part["text"]):
        yield "response.output_text.delta", {"delta": piece, "logprobs": [], "obfuscation": "q"}
    yield "response.output_text.done", {"text": part["text"], "logprobs": []}
    yield "response.content_part.done", {"part": part}


def _list_summary_events(part: Body) -> Iterator[Typed]:
    yield "response.reasoning_summary_part.added", {"part": {**part, "text": ""}}
    for piece in cut(part["text"]):
        yield "response.reasoning_summary_text.delta", {"delta": piece, "obfuscation": "q"}
    yield "response.reasoning_summary_text.done", {"text": part["text"]}
    yield "response.reasoning_summary_part.done", {"part": part}
