"""The API reference: the OpenAPI document as groups of routes, for a template.

Nested objects are shown as one list with dotted names. The document is English, as programs are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.utils.text import slugify

from smartspec.openapi import build_document

Node = dict[str, Any]
DEEPEST = 4  # levels of nested objects that are shown
COMPONENT = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or property. `schema` is the name of the schema that it has, empty if none."""

    name: str
    type: str
    schema: str
    is_required: bool
    description: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What one media type of a request or response contains: a named schema, or own fields."""

    media: str
    type: str
    schema: str
    fields: list[Field]
    example: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    description: str
    bodies: list[Body]

    @property
    def is_refusal(self) -> bool:
        return self.status >= "4"


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with one method. `anchor` is its place on the page."""

    method: str
    path: str
    anchor: str
    summary: str
    description: str
    callers: list[str]
    parameters: list[Field]
    bodies: list[Body]
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    description: str
    type: str
    fields: list[Field]
    example: str


@dataclass(frozen=True, slots=True)
class Group:
    """The routes with one tag, and the schemas that they name, also those within schemas."""

    slug: str
    title: str
    operations: list[Operation]
    schemas: list[Schema]


@cache
def describe_api() -> dict[str, Group]:
    """Return the groups of routes by slug. The document is the same for all callers."""
    document: Node = orjson.loads(build_document())
    tags: dict[str, list[tuple[str, str, Node]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tags.setdefault(operation["tags"][0], []).append((method, path, operation))
    groups = [_describe_group(tag, routes, document) for tag, routes in tags.items()]
    return {group.slug: group for group in sorted(groups, key=lambda group: group.slug)}


def _describe_group(tag: str, routes: list[tuple[str, str, Node]], document: Node) -> Group:
    schemas: Node = document["components"]["schemas"]
    names = dict.fromkeys(name for *_route, node in routes for name in _find_names(node, schemas))
    return Group(
        slugify(tag),
        tag.capitalize() if tag.islower() else tag,
        [_describe_operation(*route) for route in routes],
        [_describe_schema(name, schemas[name]) for name in names],
    )


def _find_names(node: Any, schemas: Node, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the names of the schemas in a part of the document, and of those within them."""
    if isinstance(node, list):
        for each in node:
            yield from _find_names(each, schemas, known)
    elif isinstance(node, dict):
        name = str(node.get("$ref", "")).removeprefix(COMPONENT)
        if name and name not in known:
            yield name
            yield from _find_names(schemas[name], schemas, known | {name})
        for each in node.values():
            yield from _find_names(each, schemas, known)


def _describe_operation(method: str, path: str, node: Node) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        anchor=slugify(f"{method}-{path.replace('/', '-')}"),
        summary=node.get("summary", ""),
        description=node.get("description", ""),
        callers=[" and ".join(each) or "anybody" for each in node.get("security", [])],
        parameters=[
            Field(
                name=each["name"],
                type=describe_type(each.get("schema", {})),
                schema="",
                is_required=each.get("required", False),
                description=each.get("description", ""),
                place=each["in"],
            )
            for each in node.get("parameters", [])
        ],
        bodies=_describe_bodies(node.get("requestBody", {})),
        answers=[
            Answer(status, each["description"], _describe_bodies(each))
            for status, each in sorted(node["responses"].items())
        ],
    )


def _describe_bodies(node: Node) -> list[Body]:
    return [
        Body(
            media=media,
            type=describe_type(content.get("schema", {})),
            schema=_find_schema(content.get("schema", {})),
            fields=list(_list_fields(content.get("schema", {}))),
            example=_write_example(content),
        )
        for media, content in node.get("content", {}).items()
    ]


def _describe_schema(name: str, node: Node) -> Schema:
    return Schema(
        name=name,
        description=node.get("description", ""),
        type=describe_type(node),
        fields=list(_list_fields(node)),
        example=_write_example(node),
    )


def _write_example(node: Node) -> str:
    examples = [node["example"]] if "example" in node else list(node.get("examples", []))
    if not examples:
        return ""
    return orjson.dumps(examples[0], option=orjson.OPT_INDENT_2).decode()


def _list_fields(node: Node, prefix: str = "", depth: int = 0) -> Iterator[Field]:
    """Yield the properties of an object, or of the objects in an array, with dotted names."""
    node, prefix = (node["items"], f"{prefix}[].") if "items" in node else (node, prefix)
    required = node.get("required", [])
    for name, each in node.get("properties", {}).items():
        whole = f"{prefix}{name}"
        yield Field(
            name=whole,
            type=describe_type(each),
            schema=_find_schema(each),
            is_required=name in required,
            description=each.get("description", ""),
        )
        if depth < DEEPEST:
            inner = f"{whole}." if "items" not in each else whole
            yield from _list_fields(each, inner, depth + 1)


def _find_schema(node: Node) -> str:
    """Return the name of the schema to which this one, or its items, refer; empty if none."""
    named = node.get("items", {}).get("$ref") or node.get("$ref") or ""
    return str(named).removeprefix(COMPONENT)


def describe_type(node: Node) -> str:
    """Return a type in words: `integer, 1 to 100`, `list of ChatMessage`, `string or null`."""
    if "$ref" in node:
        return str(node["$ref"]).removeprefix(COMPONENT)
    if alternatives := node.get("anyOf") or node.get("oneOf"):
        return " or ".join(dict.fromkeys(map(describe_type, alternatives)))
    if parts := node.get("allOf"):
        return " and ".join(map(describe_type, parts))
    kinds = node.get("type", "anything")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "items" in node:
        words = words.replace("array", f"list of {describe_type(node['items'])}")
    if "enum" in node:
        words = " or ".join(f"“{value}”" for value in node["enum"])
    return ", ".join(filter(None, [words, node.get("format", ""), _describe_range(node)]))


def _describe_range(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    if low is not None:
        return f"from {low:,}"
    return f"up to {high:,}" if high is not None else ""
