"""What Anthropic refuses about the messages of a conversation and their blocks.

Source: Anthropic API reference, "Messages", "Tool use" and "Extended thinking"; answers of the API
that people quote in public issue trackers.
"""

from typing import Any

from tests.clients.mock.anthropic import signatures
from tests.clients.mock.refusals import refuse_anthropic

Body = dict[str, Any]
THOUGHTS = ("thinking", "redacted_thinking")


def check(body: Body) -> None:
    """Raise Refused for messages that cannot follow each other, and for blocks that are empty."""
    messages = body["messages"]
    if not messages:
        raise refuse_anthropic("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise refuse_anthropic('messages: first message must use the "user" role')
    _check_texts(body.get("system"), "system")
    for index, message in enumerate(messages):
        _check_message(message, index, is_last=index == len(messages) - 1)
    _check_tool_results(messages)
    if (body.get("thinking") or {}).get("type") == "enabled":
        _check_first_thought(messages)


def list_blocks(message: Body) -> list[Body]:
    """Return the blocks of a message; a text is one block."""
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_texts(content: Any, param: str) -> None:
    for block in content if isinstance(content, list) else []:
        if block.get("type") == "text" and not block["text"]:
            raise refuse_anthropic(f"{param}: text content blocks must be non-empty")


def _check_message(message: Body, index: int, *, is_last: bool) -> None:
    if not message.get("content") and not (is_last and message["role"] == "assistant"):
        raise refuse_anthropic(
            f"messages.{index}: all messages must have non-empty content except for the optional"
            " final assistant message"
        )
    _check_texts(message.get("content"), "messages")
    for place, block in enumerate(list_blocks(message)):
        if block["type"] == "thinking" and not signatures.is_valid(
            block["thinking"], block["signature"]
        ):
            raise refuse_anthropic(
                f"messages.{index}.content.{place}: Invalid `signature` in `thinking` block"
            )
    text = message["content"] if isinstance(message.get("content"), str) else ""
    if is_last and message["role"] == "assistant" and text != text.rstrip():
        raise refuse_anthropic(
            "messages: final assistant content cannot end with trailing whitespace"
        )


def _check_tool_results(messages: list[Body]) -> None:
    """Refuse calls without results in the next message, and results without their calls."""
    turns = [message for message in messages if message["role"] != "system"]
    for index, message in enumerate(turns):
        used = _list_ids(message, "tool_use", "id")
        answered = (
            _list_ids(turns[index + 1], "tool_result", "tool_use_id") if _has(turns, index) else []
        )
        missing = [name for name in used if name not in answered]
        if missing and (_has(turns, index) or message["role"] == "assistant"):
            raise refuse_anthropic(
                f"messages.{messages.index(message) + 1}: `tool_use` ids were found without"
                f" `tool_result` blocks immediately after: {', '.join(missing)}. Each `tool_use`"
                " block must have a corresponding `tool_result` block in the next message."
            )
        before = _list_ids(turns[index - 1], "tool_use", "id") if index else []
        for place, name in enumerate(_list_ids(message, "tool_result", "tool_use_id")):
            if name not in before:
                raise refuse_anthropic(
                    f"messages.{messages.index(message)}.content.{place}: unexpected `tool_use_id`"
                    f" found in `tool_result` blocks: {name}. Each `tool_result` block must have a"
                    " corresponding `tool_use` block in the previous message."
                )


def _has(turns: list[Body], index: int) -> bool:
    return index + 1 < len(turns)


def _list_ids(message: Body, kind: str, member: str) -> list[str]:
    return [block[member] for block in list_blocks(message) if block["type"] == kind]


def _check_first_thought(messages: list[Body]) -> None:
    """Refuse a turn with calls of tools that does not begin with what the model thought."""
    if not _list_ids(messages[-1], "tool_result", "tool_use_id"):
        return
    index = max(place for place, one in enumerate(messages) if one["role"] == "assistant")
    first = list_blocks(messages[index])[0]["type"]
    if first not in THOUGHTS:
        raise refuse_anthropic(
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but"
            f" found `{first}`. When `thinking` is enabled, a final `assistant` message must"
            " start with a thinking block (preceeding the lastmost set of `tool_use` and"
            " `tool_result` blocks)."
        )
