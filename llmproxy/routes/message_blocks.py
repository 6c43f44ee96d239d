"""Checks the content of messages in Anthropic's API.

Only content whose tokens and price are known before it is sent is accepted.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.media import Content
from llmproxy.routes import media_parts, request_body
from llmproxy.routes.request_body import Body
from llmproxy.routes.tables import tools
from llmproxy.routes.tables.messages import MAX_MESSAGES

PLAIN = ("text", "thinking", "redacted_thinking", "tool_use", "tool_reference", "tool_removal")
# Blocks of an earlier answer that belong to a tool of a provider, or to a feature that is dropped.
# The text of that answer stands beside them.
HOSTED = re.compile(r"(server_tool_use|mcp_tool_use|mcp_tool_listing|\w+_tool_result|fallback)\Z")
# Sources of an image or a document. A file behind an id could belong to another caller.
SOURCES = ("base64", "url")
MAX_DEPTH = 8


def check(body: Body, dropped: list[str]) -> list[Content]:
    """Return the contents in `messages` and `system` that are no text. Raises InvalidRequest.

    Blocks that no provider gets are removed from `body`, and their names added to `dropped`.
    """
    contents = list(_find_media(body.get("system"), "system", []))
    emptied: list[Body] = []
    for param, message in request_body.iterate_messages(body, MAX_MESSAGES):
        left_out: list[Body] = []
        contents += _find_media(message.get("content"), f"{param}.content", left_out)
        if left_out:
            dropped += _remove(message, left_out, f"{param}.content")
            emptied += [] if message["content"] else [message]
    if emptied:
        body["messages"] = [
            message for message in body["messages"] if not any(message is one for one in emptied)
        ]
    return contents


def _remove(message: Body, left_out: list[Body], param: str) -> list[str]:
    """Remove blocks from a message and return their names.

    Raises InvalidRequest for a block of an answer in a message that is none.
    """
    if message["role"] != "assistant" and any(map(_is_hosted, left_out)):
        raise request_body.build_unknown_type_refusal(param)
    message["content"] = [block for block in message["content"] if block not in left_out]
    return [f"{param} ({block['type']})" for block in left_out]


def _is_hosted(block: Body) -> bool:
    kind = block.get("type")
    return isinstance(kind, str) and bool(HOSTED.match(kind))


def _list_left_out(block: Body, param: str, depth: int) -> list[Body]:
    """Return the block if no provider gets it, else nothing. Raises InvalidRequest."""
    if block.get("type") == "tool_addition":
        added = block.get("tool")
        definition = added.get("definition") if isinstance(added, dict) else None
        is_hosted = isinstance(definition, dict) and not tools.MESSAGES(definition)
        return [block] if is_hosted else []
    if depth or not _is_hosted(block):
        raise request_body.build_unknown_type_refusal(param)
    return [block]


def _find_media(
    content: Any, param: str, left_out: list[Body], depth: int = 0
) -> Iterator[Content]:
    """Yield the contents that are no text; add blocks that no provider gets to `left_out`."""
    if content is None or isinstance(content, str):
        return
    _check_list(content, param, depth)
    for block in content:
        request_body.check_cache(block, param)
        match block.get("type"):
            case "image":
                yield from _read_source(block, param)
            case "document":
                yield from _find_in_document(block, param, depth)
            case "tool_result" | "search_result":
                yield from _find_media(block.get("content"), param, [], depth + 1)
            case kind if kind not in PLAIN:
                left_out += _list_left_out(block, param, depth)


def _check_list(content: Any, param: str, depth: int) -> None:
    if (
        not (isinstance(content, list) and all(isinstance(block, dict) for block in content))
        or depth > MAX_DEPTH
    ):
        raise InvalidRequest(
            _("%(param)s must be a string or a list of parts.") % {"param": param}, param=param
        )


def _find_in_document(block: Body, param: str, depth: int) -> Iterator[Content]:
    """Yield the document, or what is in its blocks. One that is sent as plain text is text."""
    source = block.get("source")
    fields = source if isinstance(source, dict) else {}
    if fields.get("type") == "content":
        yield from _find_media(fields.get("content"), param, [], depth + 1)
    elif fields.get("type") != "text":
        yield from _read_source(block, param)


def _read_source(block: Body, param: str) -> Iterator[Content]:
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        raise request_body.build_unmeasured_refusal(param)
    return media_parts.read_part(block, param)
