"""GET /api/schema: one complete and consistent document of the whole HTTP API."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from jsonschema import Draft202012Validator
from rest_framework.schemas.generators import EndpointEnumerator

from smartspec.urls import GUESSES
from smartspec.views import not_found

# The routes for browsers, for Stripe and for the operator's Prometheus. All others are for programs
# of users and must be in the document.
PAGES = re.compile(
    r"/(favicon.ico|i18n/.*|admin.*|accounts?(/.*)?|auth/device.*|stripe/.*"
    r"|chat|models|status|metrics|docs(/.*)?|" + "|".join(GUESSES) + r")?\Z"
)
CONVERTERS = EndpointEnumerator()
Node = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Node:
    schema: Node = Client().get("/api/schema").json()
    return schema


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Yield the path template of every route."""
    for pattern in resolver.url_patterns:
        regex = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            if pattern.callback is not not_found:
                yield CONVERTERS.get_path_from_regex(regex)
        else:
            yield from addresses(pattern, regex)


def undescribed(document: Node) -> set[str]:
    return {
        path
        for path in addresses(get_resolver())
        if path not in document["paths"] and not PAGES.match(path)
    }


def operations(document: Node) -> Iterator[tuple[str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_for_programs_is_described(document: Node) -> None:
    assert undescribed(document) == set()


def test_a_route_that_is_not_described_is_noticed(document: Node) -> None:
    forgotten = {"/v1/models/{name}", "/healthz"}
    paths = {path: methods for path, methods in document["paths"].items() if path not in forgotten}
    assert undescribed({"paths": paths}) == forgotten


def test_every_description_is_of_a_route(document: Node) -> None:
    for path in document["paths"]:
        assert resolve(path.replace("{", "").replace("}", "")).func is not not_found, path


@pytest.mark.usefixtures("db")
def test_the_document_is_valid_and_nothing_was_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True)
    assert "openapi: 3.1.1" in capsys.readouterr().out


def test_it_is_public_and_may_be_kept() -> None:
    answer = Client().get("/api/schema")
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "public, max-age=3600"
    assert Client(enforce_csrf_checks=True).post("/api/schema").status_code == 405


def test_it_is_the_same_in_every_language() -> None:
    thai = Client().get("/api/schema", headers={"Accept-Language": "th"})
    assert thai.content == Client().get("/api/schema").content
    assert not re.search("[ก-๙]", thai.content.decode())


def test_operations_have_names_of_their_own(document: Node) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names)) > 20


def test_every_operation_says_who_may_call_it(document: Node) -> None:
    schemes = set(document["components"]["securitySchemes"])
    for label, operation in operations(document):
        assert {name for way in operation.get("security", []) for name in way} <= schemes, label
        assert ("401" in operation["responses"]) == any(operation.get("security", [])), label


def test_every_refusal_is_in_the_dialect_of_its_route(document: Node) -> None:
    dialects = {
        "OAuthError",
        "Message",
        "Error",
        "OutOfCredits",
        "TrpcError",
        "MessagesError",
        "MessagesOutOfCredits",
    }
    for label, operation in operations(document):
        for status, response in operation["responses"].items():
            schema = response["content"]["application/json"]["schema"] if status >= "4" else {}
            name = schema.get("$ref", "").rpartition("/")[2]
            assert status < "4" or name in dialects or label == "GET /readyz", (label, status)


def examples(node: Any) -> Iterator[tuple[Node, Any]]:
    """Yield every example with its schema."""
    if isinstance(node, dict):
        if isinstance(schema := node.get("schema"), dict):
            shown = [node["example"]] if "example" in node else []
            for example in [
                *shown,
                *(named["value"] for named in node.get("examples", {}).values()),
            ]:
                yield schema, example
        for example in node["examples"] if isinstance(node.get("examples"), list) else ():
            yield {name: value for name, value in node.items() if name != "examples"}, example
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from examples(inner)


def test_every_example_fits_its_schema(document: Node) -> None:
    pairs = list(examples(document))
    assert len(pairs) > 12
    for schema, example in pairs:
        Draft202012Validator({**schema, "components": document["components"]}).validate(example)
