"""The JSON body of an error response: OpenAI's error envelope, with extra keys where they help.

Clients of `/api/` read only `error.message`; clients of `/v1/` read the whole envelope.
"""

from typing import Any

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.toolbox.exceptions import Refusal

TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}


def build_envelope(
    status: int, message: str, code: str, *, param: str | None = None, **extra: Any
) -> dict[str, Any]:
    """Return the JSON body of an error response. `extra` adds members to the `error` object."""
    kind = TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code, **extra}}


def render_refusal(refusal: Exception, context: dict[str, Any]) -> Response | None:
    """Render an exception as an envelope (the EXCEPTION_HANDLER of Django REST framework).

    Returns None for an exception that is not a refusal, which Django then handles as an error.
    """
    if isinstance(refusal, Refusal):
        return Response(
            build_envelope(refusal.status, refusal.message, refusal.code), status=refusal.status
        )
    response = exception_handler(refusal, context)
    if response is None or not isinstance(refusal, exceptions.APIException):
        return response
    message, param = _find_first_message(refusal.detail)
    code = "rate_limit_exceeded" if response.status_code == 429 else str(refusal.default_code)
    if response.status_code == 401:
        code = "invalid_token"
    response.data = build_envelope(response.status_code, message, code, param=param)
    return response


def _find_first_message(detail: Any) -> tuple[str, str | None]:
    """Return the first message in DRF's nested `detail`, and the field that it belongs to."""
    if isinstance(detail, dict):
        field, inner = next(iter(detail.items()))
        message, param = _find_first_message(inner)
        return message, param or str(field)
    if isinstance(detail, list):
        return _find_first_message(detail[0])
    return str(detail), None
