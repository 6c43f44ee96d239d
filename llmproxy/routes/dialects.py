"""The error formats (dialects) of the gateway. Every response has a request id and a trace id."""

import re
import secrets
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from accounts.toolbox import headers
from accounts.toolbox.dialects import EnvelopeDialect

TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")
_TRACE_ID = headers.wsgi_name(headers.TRACE_ID)
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class GatewayDialect(EnvelopeDialect):
    """OpenAI's error format."""

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        super().add_headers(request, response)
        if headers.REQUEST_ID not in response:  # refused before the view ran
            response[headers.REQUEST_ID] = make_request_id()
            response[headers.TRACE_ID] = choose_trace_id(request)


class MessagesDialect(GatewayDialect):
    """Anthropic's error format, with our code and facts as further keys, and its `request-id`."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        kind = ANTHROPIC_TYPES.get(status, "invalid_request_error")
        known = {name: value for name, value in extra.items() if value is not None}
        return {"type": "error", "error": {"type": kind, "message": message, "code": code, **known}}

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        super().add_headers(request, response)
        response[headers.REQUEST_ID_OF_ANTHROPIC] = response[headers.REQUEST_ID]


GATEWAY = GatewayDialect()
MESSAGES = MessagesDialect()


def make_request_id() -> str:
    """Return a new x-request-id, which identifies one response in questions to the operator."""
    return f"req_{secrets.token_hex(12)}"


def choose_trace_id(request: HttpRequest) -> str:
    """Return the caller's x-trace-id if it is short printable ASCII, else a new one."""
    sent = request.META.get(_TRACE_ID, "")
    return sent if TRACE_ID.match(sent) else secrets.token_hex(16)
