"""The application responds as the OpenAPI document says, whatever schemathesis sends.

Every operation is called without credentials, with a device's token and by a logged-in browser.
The requests are the examples, the limits of every schema, values just outside them, and some
random ones, CONFORMANCE_EXAMPLES of them (`make drills` sends 60). They are the same in every run.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from llmproxy.urls import METERED
from smartspec import wsgi
from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import Upstream
from tests.smartspec.described import is_public, make_example, media_types, operations

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_limits", "upstream", "rows"),
]

# Two checks are left out: ignored_auth, which cannot replace a caller's headers (the last test
# does its work), and positive_data_acceptance, because a schema cannot say that a code or a model
# must exist.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
SOME = settings(
    max_examples=int(os.environ.get("CONFORMANCE_EXAMPLES", "20")),
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ANYBODY = schemathesis.openapi.from_wsgi(
    "/api/schema", wsgi.application
)  # invents credentials, too
SOMEBODY = schemathesis.openapi.from_wsgi("/api/schema", wsgi.application)
SOMEBODY.config.generation.update(with_security_parameters=False)
for schema in (ANYBODY, SOMEBODY):
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
OPERATIONS = operations(SOMEBODY.raw_schema)


CHATS = [label for label in OPERATIONS if label.removeprefix("POST ") in METERED]


def require_conformance(case: Any, *, but: Any = None, **caller: Any) -> int:
    """Return the status of a response that is as the document says and is no rate limit's."""
    response = case.call(**caller)
    assert response.status_code != 429
    case.validate_response(response, checks=[check for check in CHECKS if check is not but])
    return int(response.status_code)


def example(label: str) -> Any:
    media_type = media_types(OPERATIONS[label])[0]
    case = SOMEBODY.find_operation_by_label(label).Case  # type: ignore[union-attr]
    return case(**make_example(OPERATIONS[label], media_type, SOMEBODY.raw_schema))


@ANYBODY.parametrize()
@SOME
def test_callers_without_credentials_get_what_the_document_says(case: Any) -> None:
    require_conformance(case)


@pytest.mark.parametrize("caller", ["device", "browser"])
@SOMEBODY.parametrize()
@SOME
def test_callers_get_what_the_document_says(
    case: Any, caller: str, callers: dict[str, Any]
) -> None:
    require_conformance(case, **callers[caller])


@pytest.mark.parametrize("label", OPERATIONS)
def test_the_examples_of_an_operation_work(label: str, callers: dict[str, Any]) -> None:
    caller = callers["browser" if OPERATIONS[label].get("security") else "nobody"]
    assert require_conformance(example(label), **caller) == 200


@pytest.mark.parametrize("stranger", ["nobody", "stranger"])
@pytest.mark.parametrize(
    "label", [label for label, operation in OPERATIONS.items() if not is_public(operation)]
)
def test_what_needs_a_login_is_not_for_strangers(
    label: str, stranger: str, callers: dict[str, Any]
) -> None:
    assert require_conformance(example(label), **callers[stranger]) == 401


@pytest.mark.parametrize("caller", ["poor", "key"])
@pytest.mark.parametrize("label", CHATS)
def test_callers_who_cannot_pay_get_what_the_document_says(
    label: str, caller: str, spent: dict[str, Any]
) -> None:
    assert [require_conformance(example(label), **spent[caller]) for _ in range(2)] == [200, 402]


PROVIDERS = {
    400: 400,
    413: 413,
    415: 415,
    422: 422,
    401: 502,
    403: 502,
    429: 503,
    500: 502,
    503: 503,
}


@pytest.mark.parametrize("status", PROVIDERS)
@pytest.mark.parametrize("label", CHATS)
def test_failures_of_a_provider_are_as_the_document_says(
    label: str, status: int, callers: dict[str, Any], upstream: Upstream
) -> None:
    upstream.script = scripted_upstream.error(status, "No", code="no")
    caller = callers["device"]
    assert (
        require_conformance(example(label), but=not_a_server_error, **caller) == PROVIDERS[status]
    )
