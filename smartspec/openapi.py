"""One OpenAPI 3.1 document over the whole HTTP API: what drf-spectacular finds, and what the apps wrote down."""

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
import llmproxy.openapi.other_routes
from accounts.toolbox import dialects
from accounts.toolbox.dialects import speaks
from accounts.toolbox.openapi import ENVELOPE, JSON, Node, answer, header, record, text

APPS = (
    accounts.toolbox.openapi,
    credits.api.openapi,
    deviceauth.openapi,
    llmproxy.openapi.chat,
    llmproxy.openapi.other_routes,
)
SECONDS = 3600  # a client may keep it so long

_STATE = {"status": text(enum=["ok", "unavailable"])}
_DATABASE = {"database": text(enum=["ok", "unreachable"])}


def _question(operation: str, summary: str, responses: Node) -> Node:
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
    "/healthz": _question(
        "healthz", "Does the process answer?", {"200": answer("Yes.", record(_STATE))}
    ),
    "/readyz": _question(
        "readyz",
        "Does the database answer too?",
        {
            "200": answer("Yes.", record(_STATE | _DATABASE)),
            "503": answer("No.", record(_STATE | _DATABASE)),
        },
    ),
    "/api/schema": _question(
        "schema", "This document", {"200": answer("OpenAPI 3.1.", {"type": "object"})}
    ),
}

# What every answer of a status has, whichever route it comes from.
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
    """drf-spectacular's hook: add what the apps describe by hand, and the headers that a status brings."""
    components = result.setdefault("components", {})
    for app in APPS:
        _add(components.setdefault("schemas", {}), app.SCHEMAS)
        _add(components.setdefault("securitySchemes", {}), getattr(app, "SECURITY_SCHEMES", {}))
        _add(result["paths"], getattr(app, "PATHS", {}))
    _add(result["paths"], PATHS)
    for path in result["paths"].values():
        for operation in path.values():
            _with_headers(operation["responses"])
            _with_empty_values(operation.get("parameters", []))
    result["servers"] = [{"url": settings.PUBLIC_ORIGIN}]
    return result


def _add(whole: Node, part: Node) -> None:
    whole |= {name: node for name, node in part.items() if name not in whole}


def _with_headers(responses: Node) -> None:
    for status, headers in HEADERS.items():
        if status in responses:
            responses[status] = {
                **responses[status],
                "headers": headers | responses[status].get("headers", {}),
            }


def _with_empty_values(parameters: list[Node]) -> None:
    """A parameter that may be absent may be there without a value: to all our routes that is the same."""
    for found in parameters:
        if found["in"] == "query" and not found.get("required"):
            found["allowEmptyValue"] = True


@cache
def document() -> bytes:
    """The document as JSON. The same for everybody, so it is made once, in English."""
    with translation.override("en"):
        made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return orjson.dumps(made, option=orjson.OPT_NON_STR_KEYS)


@speaks(dialects.ENVELOPE)
@csrf_exempt  # there is nothing to protect, whatever the method
@require_safe
@cache_control(public=True, max_age=SECONDS)
def serve(request: HttpRequest) -> HttpResponse:
    """`GET /api/schema`"""
    return HttpResponse(document(), content_type=JSON)
