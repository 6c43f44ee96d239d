"""Tells the events that carry a part of an answer from those that only announce it. Pure.

Until the first content the caller has been told nothing, and another provider can be asked.
Sources: OpenAI API reference, "Streaming events"; Anthropic API reference, "Streaming messages".
"""

from typing import Any

# Events of Responses and Messages that announce an answer or a part of it.
ANNOUNCEMENTS = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "message_start",
        "content_block_stop",
        "ping",
        "keepalive",
    }
)
# Members of a delta or a block that are no content.
NO_CONTENT = frozenset(
    {"role", "type", "id", "index", "status", "object", "signature", "annotations", "citations"}
)
MAX_DEPTH = 8


def carries_content(chunk: Any) -> bool:
    """Whether a decoded event has text, a tool call, or the end of the answer."""
    if not isinstance(chunk, dict):
        return False
    if isinstance(choices := chunk.get("choices"), list):
        return any(_has_content(choice) for choice in choices if isinstance(choice, dict))
    kind = chunk.get("type")
    if not isinstance(kind, str) or kind in ANNOUNCEMENTS:
        return False
    if kind == "content_block_start":
        return _is_written(chunk.get("content_block"))
    if kind.endswith("delta") and kind != "message_delta":
        return _is_written(chunk.get("delta"))
    return True


def _has_content(choice: dict[str, Any]) -> bool:
    """Whether a choice of a chat or text completion has text or the reason of its end."""
    if choice.get("finish_reason"):
        return True
    return any(_is_written(choice.get(name)) for name in ("delta", "message", "text"))


def _is_written(value: Any, depth: int = 0) -> bool:
    """Whether there is a text or a number in a delta or block of any shape."""
    if isinstance(value, dict):
        value = [inner for name, inner in value.items() if name not in NO_CONTENT]
    if isinstance(value, list):
        return depth < MAX_DEPTH and any(_is_written(inner, depth + 1) for inner in value)
    return bool(value)
