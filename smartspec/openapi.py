"""One OpenAPI 3.1 document for the whole HTTP API.

It joins the paths that drf-spectacular finds with those that the applications describe by hand.
"""

from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

import accounts.toolbox.openapi
import credits.api.openapi
import deviceauth.openapi
import llmproxy.openapi.chat
import llmproxy.openapi.model_picker
import llmproxy.openapi.other_routes
import llmproxy.openapi.prompt_routes
from accounts.toolbox import dialects
from accounts.toolbox.dialects import speaks
from accounts.toolbox.openapi import ENVELOPE, JSON, Node, build_response, header, record, string

APPS = (
    accounts.toolbox.openapi,
    credits.api.openapi,
    deviceauth.openapi,
    llmproxy.openapi.chat,
    llmproxy.openapi.model_picker,
    llmproxy.openapi.other_routes,
    llmproxy.openapi.prompt_routes,
)
SECONDS = 3600  # a client may cache the document for this time

_STATE = {"status": string(enum=["ok", "unavailable"])}
_PROXY = {"proxy": string("With `?deep`: `ok`, or what the proxy in front has to send.")}
_DATABASE = {"database": string(enum=["ok", "unreachable"])}


def _describe_get(operation: str, summary: str, responses: Node) -> Node:
    malformed = ENVELOPE.answers(s400="The address or a cookie is not text.")
    return {
        "get": {
            "operationId": operation,
            "tags": ["service"],
            "summary": summary,
            "security": [],
            "responses": {**responses, **malformed},
        }
    }


PATHS: Node = {
    "/healthz": _describe_get(
        "healthz",
        "Does the process answer?",
        {"200": build_response("Yes.", record(_STATE | _PROXY, optional=_PROXY))},
    ),
    "/readyz": _describe_get(
        "readyz",
        "Does the database answer too?",
        {
            "200": build_response("Yes.", record(_STATE | _DATABASE)),
            "503": build_response("No.", record(_STATE | _DATABASE)),
        },
    ),
    "/api/schema": _describe_get(
        "schema", "This document", {"200": build_response("OpenAPI 3.1.", {"type": "object"})}
    ),
}

# Headers of every response with this status, on all routes.
HEADERS: dict[str, Node] = {
    "401": {
        "WWW-Authenticate": header(
            "What to authenticate with (RFC 6750 §3, RFC 6749 §5.2).", required=True
        )
    },
    "429": {"Retry-After": header("Seconds.", {"type": "integer", "minimum": 1}, required=True)},
    "503": {"Retry-After": header("Seconds, where we know.", {"type": "integer", "minimum": 1})},
}


def complete(result: Node, generator: Any, **_: Any) -> Node:
    """Complete the document, as a hook of drf-spectacular.

    Adds the paths and schemas that the applications describe by hand, and the headers of HEADERS.
    """
    components = result.setdefault("components", {})
    for app in APPS:
        _add_missing(components.setdefault("schemas", {}), app.SCHEMAS)
        _add_missing(
            components.setdefault("securitySchemes", {}), getattr(app, "SECURITY_SCHEMES", {})
        )
        _add_missing(result["paths"], getattr(app, "PATHS", {}))
    _add_missing(result["paths"], PATHS)
    for path in result["paths"].values():
        for operation in path.values():
            _add_headers(operation["responses"])
            _allow_empty_values(operation.get("parameters", []))
    result["servers"] = [{"url": settings.PUBLIC_ORIGIN}]
    return result


def _add_missing(whole: Node, part: Node) -> None:
    whole |= {name: node for name, node in part.items() if name not in whole}


def _add_headers(responses: Node) -> None:
    for status, headers in HEADERS.items():
        if status in responses:
            responses[status] = {
                **responses[status],
                "headers": headers | responses[status].get("headers", {}),
            }


def _allow_empty_values(parameters: list[Node]) -> None:
    """Allow empty values of optional query parameters: all our routes treat them as absent."""
    for parameter in parameters:
        if parameter["in"] == "query" and not parameter.get("required"):
            parameter["allowEmptyValue"] = True


@cache
def build_document() -> bytes:
    """Return the document as JSON. It is the same for all callers: built once, in English."""
    with translation.override("en"):
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)


@speaks(dialects.ENVELOPE)
@csrf_exempt  # there is nothing to protect, whatever the method
@require_safe
@cache_control(public=True, max_age=SECONDS)
def serve(request: HttpRequest) -> HttpResponse:
    """`GET /api/schema`: serve the document."""
    return HttpResponse(build_document(), content_type=JSON)
