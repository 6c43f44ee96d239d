"""Checks the content of messages in Anthropic's API.

Only content whose tokens and price are known before it is sent is accepted.
"""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.media import Content
from llmproxy.routes import media_parts, request_body
from llmproxy.routes.request_body import Body

MAX_MESSAGES = 100_000
PLAIN = ("text", "thinking", "redacted_thinking", "tool_use")
# Sources of an image or a document. A file behind an id could belong to another caller.
SOURCES = ("base64", "url")
MAX_DEPTH = 8


def check(body: Body) -> list[Content]:
    """Return the contents in `messages` and `system` that are no text. Raises InvalidRequest."""
    contents = list(_find_media(body.get("system"), "system"))
    for param, message in request_body.iterate_messages(body, MAX_MESSAGES):
        contents += _find_media(message.get("content"), f"{param}.content")
    return contents


def _find_media(content: Any, param: str, depth: int = 0) -> Iterator[Content]:
    if content is None or isinstance(content, str):
        return
    if (
        not (isinstance(content, list) and all(isinstance(block, dict) for block in content))
        or depth > MAX_DEPTH
    ):
        raise InvalidRequest(
            _("%(param)s must be a string or a list of parts.") % {"param": param}, param=param
        )
    for block in content:
        request_body.check_cache(block, param)
        match block.get("type"):
            case "image":
                yield from _read_source(block, param)
            case "document":
                yield from _find_in_document(block, param, depth)
            case "tool_result" | "search_result":
                yield from _find_media(block.get("content"), param, depth + 1)
            case kind if kind not in PLAIN:
                raise request_body.build_unknown_type_refusal(param)


def _find_in_document(block: Body, param: str, depth: int) -> Iterator[Content]:
    """Yield the document, or what is in its blocks. One that is sent as plain text is text."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    kind = source.get("type")
    if kind == "content":
        yield from _find_media(source.get("content"), param, depth + 1)
    elif kind != "text":
        yield from _read_source(block, param)


def _read_source(block: Body, param: str) -> Iterator[Content]:
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        raise request_body.build_unmeasured_refusal(param)
    return media_parts.read_part(block, param)
