"""What OpenAI refuses about the tools of a request.

Source: OpenAI API reference, "Function calling" and "Structured outputs"; public issue trackers.
"""

import re
from typing import Any

from tests.clients.mock.refusals import Refused, refuse_openai

NAME = re.compile(r"[a-zA-Z0-9_-]+\Z")
MAX_NAME_LENGTH = 64


def check_function(function: dict[str, Any], param: str) -> None:
    """Raise Refused for a bad name or schema. `param` is the path of the function."""
    name = function.get("name", "")
    if not NAME.match(name):
        raise refuse_openai(
            f"Invalid '{param}.name': string does not match pattern. Expected a string that"
            " matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{param}.name",
            code="invalid_value",
        )
    if len(name) > MAX_NAME_LENGTH:
        raise refuse_openai(
            f"Invalid '{param}.name': string too long. Expected a string with maximum length"
            f" {MAX_NAME_LENGTH}, but got a string with length {len(name)} instead.",
            param=f"{param}.name",
            code="string_above_max_length",
        )
    schema = function.get("parameters")
    if schema is not None:
        check_schema(
            schema, f"function '{name}'", f"{param}.parameters", strict=_is_strict(function)
        )


def _is_strict(function: dict[str, Any]) -> bool:
    return function.get("strict") is True


def check_schema(schema: Any, whose: str, param: str, *, strict: bool) -> None:
    """Raise Refused for a schema that does not describe an object, or is not strict enough."""

    def refuse(why: str) -> Refused:
        return refuse_openai(
            f"Invalid schema for {whose}: {why}", param=param, code="invalid_function_parameters"
        )

    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        raise refuse(f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'.")
    for context, part in list_parts(schema, ()):
        if part.get("type") == "array" and "items" not in part:
            raise refuse(f"In context={context}, array schema missing items.")
        if strict and part.get("type") == "object":
            _check_strict(part, context, refuse)


def _check_strict(part: dict[str, Any], context: Any, refuse: Any) -> None:
    if part.get("additionalProperties") is not False:
        raise refuse(
            f"In context={context}, 'additionalProperties' is required to be supplied and to be"
            " false."
        )
    names, required = list(part.get("properties") or {}), part.get("required") or []
    if missing := [name for name in names if name not in required]:
        raise refuse(
            f"In context={context}, 'required' is required to be supplied and to be an array"
            f" including every key in properties. Missing '{missing[0]}'."
        )


def list_parts(schema: Any, context: tuple[str, ...]) -> Any:
    """Yield the schema and each schema in it, with the path that leads there."""
    if not isinstance(schema, dict):
        return
    yield context, schema
    for name in ("properties", "$defs", "definitions"):
        for key, part in (schema.get(name) or {}).items():
            yield from list_parts(part, (*context, name, key))
    for name in ("anyOf", "oneOf", "allOf"):
        for index, part in enumerate(schema.get(name) or []):
            yield from list_parts(part, (*context, name, str(index)))
    yield from list_parts(schema.get("items"), (*context, "items"))
