"""A route's table of parameters refuses exactly what the OpenAPI document does not allow."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes.parameters import Parameter
from llmproxy.routes.tables import chat, embeddings, messages, responses, text

ROUTES = {
    "chat": chat,
    "text": text,
    "embeddings": embeddings,
    "responses": responses,
    "messages": messages,
}
CHECKED = [
    pytest.param(parameter, id=f"{name}-{parameter.name}")
    for name, route in ROUTES.items()
    for parameter in route.PARAMETERS.described
    if parameter.is_checked
]
LIMITS = [
    0,
    1,
    1.0,
    16.0,
    2,
    16,
    17,
    20,
    21,
    8192,
    8193,
    10_000_000,
    10_000_001,
    -1,
    -2,
    -3,
    10**30,
]
VALUES: list[Any] = [
    *LIMITS,
    0.5,
    2.5,
    -2.5,
    True,
    False,
    "x",
    "float",
    "base64",
    [],
    ["x"],
    ["x", 1],
    [1],
    {},
]
MORE: list[Any] = [
    {"include_usage": True},
    {"include_usage": 1},
    {"include_usage": None},
    [{"type": "custom"}],
]


def is_accepted(parameter: Parameter, value: Any) -> bool:
    assert parameter.kind
    try:
        parameter.kind.check(parameter.name, value)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize("parameter", CHECKED)
def test_a_value_is_accepted_if_the_document_allows_it(parameter: Parameter) -> None:
    allowed = Draft202012Validator(parameter.schema())
    for value in [*VALUES, *MORE]:
        assert is_accepted(parameter, value) == allowed.is_valid(value), value


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_null_is_as_good_as_absent(route: Any) -> None:
    route.PARAMETERS.check({parameter.name: None for parameter in route.PARAMETERS.described})


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_only_what_the_table_names_is_passed_on(route: Any) -> None:
    sorted_ = route.PARAMETERS.select(
        {"model": "m", "service_tier": "flex", "audio": {}, "store": True, "odd": 1, "empty": None}
    )
    assert sorted_.kept == {"model": "m"}
    assert sorted_.dropped == ["service_tier", "store"]
    assert sorted_.unknown in ({"odd": 1}, {"audio": {}, "odd": 1})


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_no_parameter_has_two_rows_that_differ(route: Any) -> None:
    names = [row.name for row in route.PARAMETERS.rows]
    assert len(names) == len(set(names))
