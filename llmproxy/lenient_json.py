"""JSON as providers write it. It may contain lone surrogates, when a token ends within an emoji."""

import json
import math
from typing import Any

import orjson

MAX_DEPTH = 100


def decode(text: bytes | str) -> Any:
    """The value; None if this is no JSON, or nested deeper than MAX_DEPTH."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            # orjson refuses lone surrogates.
            value = json.loads(text, parse_float=_parse_float, parse_constant=lambda _name: None)
        except (ValueError, RecursionError):
            return None
    brackets = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, brackets)) > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):  # type: ignore[arg-type]
        return None
    return value


def _parse_float(digits: str) -> float | None:
    """The number; None if it is too large for a float, because JSON has no infinity."""
    number = float(digits)
    return number if math.isfinite(number) else None


def _is_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(
        _is_deeper(one, depth - 1) for one in inner if isinstance(one, dict | list)
    )


def encode(value: Any) -> bytes:
    """The JSON of a value that `decode` returned, or that contains such values."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
