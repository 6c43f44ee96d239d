"""Which members of an answer are text that the model generated.

Others are not counted: identifiers, signatures, encrypted reasoning, log probabilities, images,
audio, and what a provider adds, such as citations and search results. A list of what is text is
needed: providers invent new members, and those are seldom text.
"""

import re
from collections.abc import Iterable
from typing import Any

from llmproxy import lenient_json

MAX_DEPTH = 8
# Names for the same text: if a delta has several of them, only the longest counts.
ANSWERS = ("content", "content_blocks", "parts", "text", "audio")
THOUGHTS = (
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "reasoning_text",
    "thinking",
    "thinking_blocks",
    "thinking_content",
    "thought",
    "thoughts",
)
CALLS = ("tool_calls", "function_call", "tool_call")
KINDS = {
    name: kind
    for kind, names in (
        ("content", ANSWERS),
        ("thinking", THOUGHTS),
        ("calls", CALLS),
        ("refusal", ("refusal",)),
    )
    for name in names
}
# Members with neither media nor usage.
PLAIN = frozenset({"role", *KINDS}) - {"audio"}
# The text in a part, again under several names.
OF_PART = ("text", "thinking", "summary", "content", "refusal", "transcript")
THOUGHTFUL = re.compile(r"think|thought|reason")
TEXTUAL = re.compile(r"(?:\A|[_.-])text(?:\Z|[_.-])|think|thought|reason|refusal|summary")
OF_CALL = ("name", "arguments", "input")


def find_texts(message: dict[str, Any]) -> list[tuple[str, str]]:
    """The texts in a message or delta, each once, with the kind of its member."""
    present = [(KINDS[name], value) for name, value in message.items() if value and name in KINDS]
    if not present or (len(present) == 1 and isinstance(present[0][1], str)):
        return present  # most deltas and messages have no more than this
    answer, thoughts = _split_content(message.get("content"))
    found = {
        "content": answer,
        "thinking": _longest([thoughts, *(_list_strings(message.get(name)) for name in THOUGHTS)]),
    }
    if not answer:
        found["content"] = _longest(_list_strings(message.get(name)) for name in ANSWERS[1:])
    found["refusal"] = _list_strings(message.get("refusal"))
    found["calls"] = _longest(_list_calls(message.get(name)) for name in CALLS)
    return [(name, text) for name, texts in found.items() for text in texts]


def _split_content(content: Any) -> tuple[list[str], list[str]]:
    """The texts of a content, those of its parts that are reasoning apart (Mistral)."""
    if not isinstance(content, list):
        return _list_strings(content), []
    thoughts = [part for part in content if _is_of_type(part, THOUGHTFUL)]
    answer = [part for part in content if not _is_of_type(part, THOUGHTFUL)]
    return _list_strings(answer), _list_strings(thoughts)


def _is_of_type(part: Any, types: re.Pattern[str]) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and types.search(kind) is not None


def _list_strings(value: Any, depth: int = 0) -> list[str]:
    """The texts in a member: a string, a part, or a list of these."""
    if isinstance(value, str):
        return [value] if value else []
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, list):
        return [text for one in value for text in _list_strings(one, depth + 1)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "tool_use":
        return list_call_texts(value)
    if "type" in value and not _is_of_type(value, TEXTUAL):
        return []
    return _longest(_list_strings(value.get(name), depth + 1) for name in OF_PART)


def _list_calls(calls: Any) -> list[str]:
    """The texts of tool calls: a list of them, or one."""
    texts: list[str] = []
    for call in calls if isinstance(calls, list) else [calls]:
        if isinstance(call, dict):
            inner = [call.get(name) for name in ("function", "custom")]
            for one in [one for one in inner if isinstance(one, dict)] or [call]:
                texts += list_call_texts(one)
    return texts


def list_call_texts(call: dict[str, Any]) -> list[str]:
    """The name and the arguments of one tool call. Arguments that are an object count as JSON."""
    texts = []
    for name in OF_CALL:
        value = call.get(name)
        if isinstance(value, dict | list) and value:
            texts.append(lenient_json.encode(value).decode())
        elif isinstance(value, str) and value:
            texts.append(value)
    return texts


def _longest(several: Iterable[list[str]]) -> list[str]:
    return max(several, key=lambda texts: sum(map(len, texts)), default=[])
