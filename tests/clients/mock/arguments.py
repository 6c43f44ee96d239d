"""Arguments of a tool call, made from the tool's JSON schema."""

from typing import Any

Schema = dict[str, Any]


def build_arguments(schema: Schema, values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for a tool with this schema.

    `values` has what is known, by a word that the name of a member contains, such as `path`; the
    first such word wins. Members that are not required are left out unless their value is known.
    """
    required = schema.get("required") or []
    arguments = {}
    for name, member in (schema.get("properties") or {}).items():
        known = _find(name, values)
        if known is not None and (name in required or _is_free(name, required)):
            arguments[name] = _adapt(known, member)
        elif name in required:
            arguments[name] = build_value(member)
    return arguments


def build_value(schema: Any) -> Any:
    """Return a value that this JSON schema accepts."""
    if not isinstance(schema, dict):
        return "x"
    for name in ("const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return build_value(schema[name][0])
    if "$ref" in schema:
        raise ValueError(f"A reference has to be resolved first: {schema['$ref']}")
    return _build_by_type(schema)


def _build_by_type(schema: Schema) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            return {
                name: build_value(member)
                for name, member in (schema.get("properties") or {}).items()
                if name in (schema.get("required") or schema["properties"])
            }
        case "array":
            return [build_value(schema.get("items") or {})] * max(schema.get("minItems", 1), 1)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "null":
            return None
    return "x" * max(schema.get("minLength", 1), 1)


def resolve_references(schema: Any, root: Schema | None = None) -> Any:
    """Return the schema with each `$ref` to its own definitions replaced by what it names."""
    root = schema if root is None else root
    if isinstance(schema, list):
        return [resolve_references(one, root) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(address := schema.get("$ref"), str):
        found: Any = root
        for part in address.removeprefix("#/").split("/"):
            found = found[part]
        return resolve_references(found, root)
    return {name: resolve_references(one, root) for name, one in schema.items() if name != "$defs"}


def _find(name: str, values: dict[str, Any]) -> Any:
    return next((value for word, value in values.items() if word in name.lower()), None)


def _is_free(name: str, required: list[str]) -> bool:
    """True if a member that is not required shall be sent: nothing tells what is required."""
    return not required


def _adapt(value: Any, schema: Any) -> Any:
    """Return the value as a list if the schema asks for a list of words."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return ["bash", "-lc", value] if kind == "array" and isinstance(value, str) else value
