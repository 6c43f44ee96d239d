"""Form bodies and query strings as Stripe reads them: brackets nest, numbers are indexes."""

import re
from typing import Any
from urllib.parse import parse_qsl

from smartspec.local.fake_stripe.wire.refusals import InvalidRequest

MAX_FIELDS = 5000
MAX_DEPTH = 12
PART = re.compile(r"\[([^\[\]]*)\]")
NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")

Json = dict[str, Any]


def parse_form(text: str) -> Json:
    """Return the nested values of a form; all leaves are strings. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The request has too many parameters.") from error
    tree: Json = {}
    for name, value in pairs:
        _put(tree, _split_name(name), value, name)
    return {key: _collapse(value) for key, value in tree.items()}


def _split_name(name: str) -> list[str]:
    if not NAME.fullmatch(name):
        raise InvalidRequest(f"Invalid parameter name: {name}")
    parts = [name.split("[", 1)[0], *PART.findall(name)]
    if len(parts) > MAX_DEPTH:
        raise InvalidRequest(f"The parameter {name} is nested too deeply.")
    return parts


def _put(tree: Json, parts: list[str], value: str, name: str) -> None:
    """Write the value at its place. An empty part, as in `expand[]`, is the next index."""
    for part in parts[:-1]:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise InvalidRequest(f"The parameter {name} is a value and an object.", param=name)
    last = parts[-1] or str(len(tree))
    if isinstance(tree.get(last), dict):
        raise InvalidRequest(f"The parameter {name} is a value and an object.", param=name)
    tree[last] = value


def _collapse(value: Any) -> Any:
    """Turn an object whose keys are 0, 1, 2 … into a list."""
    if not isinstance(value, dict):
        return value
    inner = {key: _collapse(one) for key, one in value.items()}
    if all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
