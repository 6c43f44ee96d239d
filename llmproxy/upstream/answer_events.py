"""Writes a whole answer as the events of its route, for a caller who asked for a stream. Pure.

Some providers and routers send JSON although a stream was asked for. It was paid for, so the caller
gets it. Sources: OpenAI API reference, "Streaming events"; Anthropic API reference, "Streaming
messages".
"""

from collections.abc import Callable, Iterator
from typing import Any

from llmproxy import lenient_json
from llmproxy.models import Endpoint
from llmproxy.upstream.event_stream import Event

Answer = dict[str, Any]
Named = tuple[str, Answer]  # the name of an event, empty for chunks, and its data


def write_events(endpoint: str, answer: Answer) -> list[Event]:
    """The events of an answer; the last one ends it, where the route has no [DONE].

    Empty for JSON that is no answer of this route.
    """
    member, write = WRITERS.get(endpoint, ("", None))
    if write is None or not isinstance(answer.get(member), list):
        return []
    return [_encode(name, data) for name, data in write(answer)]


def _encode(name: str, value: Answer) -> Event:
    data = lenient_json.encode(value)
    prefix = f"event: {name}\n".encode() if name else b""
    return Event(data, prefix + b"data: " + data + b"\n\n", name or "message")


def _list_objects(value: Any) -> list[Answer]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _write_chunks(answer: Answer) -> Iterator[Named]:
    """One chunk for each choice, one for its end, and one for the usage."""
    about = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    about["object"] = "chat.completion.chunk"
    for number, choice in enumerate(_list_objects(answer.get("choices"))):
        index = {"index": choice.get("index", number)}
        message = choice.get("message")
        delta = _write_delta(message) if isinstance(message, dict) else {}
        start = {**index, "delta": delta, "logprobs": choice.get("logprobs")}
        yield "", {**about, "choices": [{**start, "finish_reason": None}]}
        end = {**index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
        yield "", {**about, "choices": [end]}
    if answer.get("usage") is not None:
        yield "", {**about, "choices": [], "usage": answer["usage"]}


def _write_delta(message: Answer) -> Answer:
    """A message as one delta: in deltas tool calls have an index."""
    delta = {name: value for name, value in message.items() if value is not None}
    if calls := _list_objects(message.get("tool_calls")):
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    return delta


def _write_texts(answer: Answer) -> Iterator[Named]:
    about = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    for number, choice in enumerate(_list_objects(answer.get("choices"))):
        end = choice.get("finish_reason") or "stop"
        yield "", {**about, "choices": [{"index": number, **choice, "finish_reason": end}]}
    if answer.get("usage") is not None:
        yield "", {**about, "choices": [], "usage": answer["usage"]}


def _write_response(answer: Answer) -> Iterator[Named]:
    """The numbered events of a response. Clients build it from them, or take it from the last."""
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    events = [("response.created", {"response": begun})]
    for number, item in enumerate(_list_objects(answer.get("output"))):
        events += _write_item(number, item)
    status = answer.get("status")
    last = status if status in ("completed", "incomplete", "failed") else "completed"
    events.append((f"response.{last}", {"response": {**answer, "status": last}}))
    for sequence_number, (kind, data) in enumerate(events):
        yield kind, {"type": kind, **data, "sequence_number": sequence_number}


def _write_item(number: int, item: Answer) -> list[Named]:
    place = {"output_index": number}
    empty = {**item, **{name: "" for name in ("arguments", "input") if name in item}}
    if "content" in item:
        empty["content"] = []
    events: list[Named] = [("response.output_item.added", {**place, "item": empty})]
    place["item_id"] = item.get("id", "")
    for index, part in enumerate(_list_objects(item.get("content"))):
        events += _write_part({**place, "content_index": index}, part)
    if isinstance(arguments := item.get("arguments"), str):
        kind = "response.function_call_arguments"
        events.append((f"{kind}.delta", {**place, "delta": arguments}))
        events.append((f"{kind}.done", {**place, "arguments": arguments}))
    events.append(("response.output_item.done", {"output_index": number, "item": item}))
    return events


def _write_part(place: Answer, part: Answer) -> list[Named]:
    kind, name = ("refusal", "refusal") if "refusal" in part else ("output_text", "text")
    text = part.get(name) or ""
    return [
        ("response.content_part.added", {**place, "part": {**part, name: ""}}),
        (f"response.{kind}.delta", {**place, "delta": text}),
        (f"response.{kind}.done", {**place, name: text}),
        ("response.content_part.done", {**place, "part": part}),
    ]


def _write_message(answer: Answer) -> Iterator[Named]:
    usage = answer.get("usage") or {}
    end = {name: answer.get(name) for name in ("stop_reason", "stop_sequence")}
    begun = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    begun["usage"] = {"output_tokens": 0, **usage} if isinstance(usage, dict) else usage
    yield _type("message_start", message=begun)
    for index, block in enumerate(_list_objects(answer.get("content"))):
        empty, deltas = _write_block(block)
        yield _type("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _type("content_block_delta", index=index, delta=delta)
        yield _type("content_block_stop", index=index)
    yield _type("message_delta", delta=end, usage=usage)
    yield _type("message_stop")


def _write_block(block: Answer) -> tuple[Answer, list[Answer]]:
    """A block as it starts, and what is added to it. Blocks of unknown types start whole."""
    match block.get("type"):
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": block.get("text", "")}]
        case "thinking":
            thinking = {"type": "thinking_delta", "thinking": block.get("thinking", "")}
            signature = {"type": "signature_delta", "signature": block.get("signature", "")}
            return {**block, "thinking": "", "signature": ""}, [thinking, signature]
        case "tool_use":
            arguments = lenient_json.encode(block.get("input", {})).decode()
            delta = {"type": "input_json_delta", "partial_json": arguments}
            return {**block, "input": {}}, [delta]
    return block, []


def _type(kind: str, **fields: Any) -> Named:
    return kind, {"type": kind, **fields}


# By route: the list that every answer has, and the writer of its events.
WRITERS: dict[str, tuple[str, Callable[[Answer], Iterator[Named]] | None]] = {
    Endpoint.CHAT: ("choices", _write_chunks),
    Endpoint.TEXT: ("choices", _write_texts),
    Endpoint.RESPONSES: ("output", _write_response),
    Endpoint.MESSAGES: ("content", _write_message),
}
