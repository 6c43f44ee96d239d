"""The operations of the OpenAPI document, and the requests that its examples make."""

from typing import Any

Node = dict[str, Any]


def operations(document: Node) -> dict[str, Node]:
    """Return the operations by method and path template, such as `GET /v1/models/{name}`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def media_types(operation: Node) -> list[str]:
    """Return the media types of the request body; one empty string if there is no body."""
    return list(operation.get("requestBody", {"content": {"": {}}})["content"])


def is_public(operation: Node) -> bool:
    """True if the operation can be called without credentials."""
    return not operation.get("security") or {} in operation["security"]


def make_example(operation: Node, media_type: str, document: Node) -> dict[str, Any]:
    """Return the arguments of a schemathesis.Case from the examples of the document."""
    examples = {
        place: {
            parameter["name"]: parameter["schema"]["examples"][0]
            for parameter in _list_with_examples(operation)
            if parameter["in"] == place
        }
        for place in ("path", "query")
    }
    case = {"path_parameters": examples["path"], "query": examples["query"]}
    if not media_type:
        return case
    schema = operation["requestBody"]["content"][media_type]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {**case, "body": schema["examples"][0], "media_type": media_type}


def _list_with_examples(operation: Node) -> list[Node]:
    return [
        parameter
        for parameter in operation.get("parameters", [])
        if "examples" in parameter.get("schema", {})
    ]
