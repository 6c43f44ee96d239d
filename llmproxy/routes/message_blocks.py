"""What may stand in the messages of Anthropic's API: content whose tokens and price are known before it is sent."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes import request_body
from llmproxy.routes.request_body import Body

MAX_MESSAGES = 100_000
PLAIN = ("text", "thinking", "redacted_thinking", "tool_use")
# Of a document, in the request itself; a file's id or an address could be of any size, or another caller's.
SOURCES = ("base64", "text", "content")
MAX_DEPTH = 8


def check(body: Body) -> list[str]:
    """The images in messages and system, as they stand in the body. Raises InvalidRequest."""
    images = list(_images(body.get("system"), "system"))
    for param, message in request_body.messages(body, MAX_MESSAGES):
        images += _images(message.get("content"), f"{param}.content")
    return images


def _images(content: Any, param: str, depth: int = 0) -> Iterator[str]:
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
                yield _image(block.get("source"), param)
            case "document":
                yield from _images(_content(block.get("source"), param), param, depth + 1)
            case "tool_result" | "search_result":
                yield from _images(block.get("content"), param, depth + 1)
            case kind if kind not in PLAIN:
                raise request_body.unknown_type(param)


def _content(source: Any, param: str) -> Any:
    """The blocks of a document that is made of such."""
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        raise request_body.unmeasured(param)
    return source.get("content") if source["type"] == "content" else None


def _image(source: Any, param: str) -> str:
    given = source if isinstance(source, dict) else {}
    name = {"base64": "data", "url": "url"}.get(str(given.get("type")))
    if name is None:
        raise request_body.unmeasured(param)
    if not isinstance(given.get(name), str):
        raise InvalidRequest(
            _("%(param)s has an image without a URL.") % {"param": param}, param=param
        )
    return str(given[name])
