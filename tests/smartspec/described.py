"""The operations of the OpenAPI document, and the requests that its examples make."""

from typing import Any

Node = dict[str, Any]


def operations(document: Node) -> dict[str, Node]:
    """By method and path template, such as `GET /v1/models/{name}`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def media_types(operation: Node) -> list[str]:
    """Of the bodies that it takes; one empty one if it takes none."""
    return list(operation.get("requestBody", {"content": {"": {}}})["content"])


def is_public(operation: Node) -> bool:
    """Whether nobody needs to be logged in."""
    return not operation.get("security") or {} in operation["security"]


def example_of(operation: Node, media_type: str, document: Node) -> dict[str, Any]:
    """What to make a schemathesis.Case of."""
    shown = {
        where: {
            p["name"]: p["schema"]["examples"][0] for p in _exemplary(operation) if p["in"] == where
        }
        for where in ("path", "query")
    }
    case = {"path_parameters": shown["path"], "query": shown["query"]}
    if not media_type:
        return case
    schema = operation["requestBody"]["content"][media_type]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {**case, "body": schema["examples"][0], "media_type": media_type}


def _exemplary(operation: Node) -> list[Node]:
    return [
        parameter
        for parameter in operation.get("parameters", [])
        if "examples" in parameter.get("schema", {})
    ]
