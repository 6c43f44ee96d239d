"""JSON as providers write it, half characters included: a token that splits an emoji is a lone surrogate."""

import json
from typing import Any

import orjson

MAX_DEPTH = 100


def decode(text: bytes | str) -> Any:
    """The value; None if it is no JSON, or nested beyond reason."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(text)  # orjson refuses lone surrogates
        except (ValueError, RecursionError):
            return None
    brackets = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, brackets)) > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):  # type: ignore[arg-type]
        return None
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(
        _is_deeper(one, depth - 1) for one in inner if isinstance(one, dict | list)
    )


def encode(value: Any) -> bytes:
    """What `decode` gave, or was made of it."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
