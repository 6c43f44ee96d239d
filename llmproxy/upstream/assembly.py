"""Assembles events into one answer, for a caller who asked for JSON. Pure.

Some providers and routers send events although JSON was asked for. They were paid for, so the
caller gets the answer. Sources: as in answer_events.py.
"""

from collections.abc import Callable, Iterable
from typing import Any

from llmproxy import lenient_json
from llmproxy.models import Endpoint

Answer = dict[str, Any]
# Texts that are told once; all other texts of a delta are told in pieces.
TOLD_ONCE = frozenset({"role", "id", "type", "format", "finish_reason", "name", "signature"})
LISTS = ("tool_calls", "content", "refusal", "reasoning_details", "annotations", "images")
DELTA_MEMBERS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def assemble(endpoint: str, chunks: Iterable[Answer], *, done: bool) -> Answer | None:
    """The answer; None if the events do not contain a whole one.

    `done` is True if [DONE] came. Without it each choice has to have a reason of its end.
    """
    build = BUILDERS.get(endpoint)
    answer = build(list(chunks)) if build else None
    if answer is None or done:
        return answer
    return answer if all(map(_is_ended, answer.get("choices", ()))) else None


def _is_ended(choice: Answer) -> bool:
    return bool(choice.get("finish_reason"))


def merge_usage(first: Any, second: Any) -> Any:
    """Both usages of one answer in one: the larger of each count; a null never replaces a count."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {name: merge_usage(first.get(name), value) for name, value in second.items()}
    if _is_count(first) and _is_count(second):
        return max(first, second)
    return first if second is None or (_is_count(first) and not _is_count(second)) else second


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list_objects(value: Any) -> list[Answer]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _build_chat(chunks: list[Answer]) -> Answer | None:
    answer, choices = _merge_chunks(chunks)
    if not choices:
        return None
    for choice in choices.values():
        choice["message"] = {"role": "assistant", "content": None} | choice.pop("delta", {})
        calls = choice["message"].get("tool_calls")
        for call in _list_objects(calls):
            call.pop("index", None)
    answer["object"] = "chat.completion"
    answer["choices"] = [choices[index] for index in sorted(choices)]
    return answer


def _build_text(chunks: list[Answer]) -> Answer | None:
    answer, choices = _merge_chunks(chunks)
    if not choices:
        return None
    answer["object"] = "text_completion"
    answer["choices"] = [{"text": "", **choices[index]} for index in sorted(choices)]
    return answer


def _merge_chunks(chunks: list[Answer]) -> tuple[Answer, dict[int, Answer]]:
    """The members of an answer besides its choices, and the choices by their index."""
    answer: Answer = {}
    choices: dict[int, Answer] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name == "usage":
                answer["usage"] = merge_usage(answer.get("usage"), value)
            elif name != "choices" and value:
                answer.setdefault(name, value)
        for choice in _list_objects(chunk.get("choices")):
            index = choice.get("index")
            index = index if isinstance(index, int) else 0
            _merge(choices.setdefault(index, {"index": index}), choice)
    return answer, choices


def _merge(whole: Answer, piece: Answer) -> None:
    """Add a delta to what has come before: texts and lists grow, other values are replaced."""
    for name, value in piece.items():
        known = whole.get(name)
        if isinstance(value, str) and isinstance(known, str) and name not in TOLD_ONCE:
            whole[name] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            _merge(known, value)
        elif isinstance(value, dict):
            whole[name] = {}
            _merge(whole[name], value)
        elif isinstance(value, list) and name in LISTS:
            whole[name] = _merge_lists(known if isinstance(known, list) else [], value)
        elif (value is not None and value != "") or name not in whole:
            whole[name] = value


def _merge_lists(whole: list[Any], pieces: list[Any]) -> list[Any]:
    """Pieces with an index belong to the entry with that index; others are new entries."""
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        known = next(
            (one for one in whole if index is not None and one.get("index") == index), None
        )
        if known is None:
            whole.append({} if isinstance(piece, dict) else piece)
            known = whole[-1]
        if isinstance(piece, dict):
            _merge(known, piece)
    return whole


def _build_response(chunks: list[Answer]) -> Answer | None:
    """The response in the last event, with the items that were told before if it has none."""
    items = [
        chunk["item"]
        for chunk in chunks
        if chunk.get("type") == "response.output_item.done" and isinstance(chunk.get("item"), dict)
    ]
    for chunk in reversed(chunks):
        response = chunk.get("response")
        if chunk.get("type") in ("response.completed", "response.incomplete") and isinstance(
            response, dict
        ):
            return {**response, "output": response.get("output") or items}
    return None


def _build_message(chunks: list[Answer]) -> Answer | None:
    answer: Answer = {}
    blocks: dict[int, Answer] = {}
    for chunk in chunks:
        index = chunk.get("index")
        index = index if isinstance(index, int) else 0
        match chunk.get("type"):
            case "message_start" if isinstance(message := chunk.get("message"), dict):
                answer = {**message}
            case "content_block_start" if isinstance(block := chunk.get("content_block"), dict):
                blocks[index] = {**block}
            case "content_block_delta" if isinstance(delta := chunk.get("delta"), dict):
                _add_delta(blocks.setdefault(index, {"type": "text", "text": ""}), delta)
            case "message_delta":
                end = chunk.get("delta")
                answer |= end if isinstance(end, dict) else {}
                answer["usage"] = merge_usage(answer.get("usage"), chunk.get("usage"))
    if not answer.get("stop_reason"):
        return None
    content = [_end_block(blocks[index]) for index in sorted(blocks)]
    return {"type": "message", "role": "assistant", **answer, "content": content}


def _add_delta(block: Answer, delta: Answer) -> None:
    name = DELTA_MEMBERS.get(str(delta.get("type")))
    if name is not None and isinstance(text := delta.get(name), str):
        known = block.get(name)
        block[name] = (known if isinstance(known, str) else "") + text
    elif delta.get("type") == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]


def _end_block(block: Answer) -> Answer:
    """The block with the arguments of its tool as an object."""
    arguments = block.pop("partial_json", None)
    if arguments:
        decoded = lenient_json.decode(arguments)
        block["input"] = decoded if decoded is not None else {"": arguments}
    return block


BUILDERS: dict[str, Callable[[list[Answer]], Answer | None]] = {
    Endpoint.CHAT: _build_chat,
    Endpoint.TEXT: _build_text,
    Endpoint.RESPONSES: _build_response,
    Endpoint.MESSAGES: _build_message,
}
