"""How a refusal looks on the wire: OpenAI's error envelope, with useful extra keys.

`/api/` clients read `error.message`, `/v1/` clients the whole envelope; one shape serves both.
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


def envelope(
    status: int, message: str, code: str, *, param: str | None = None, **extra: Any
) -> dict[str, Any]:
    """The JSON body of an error answer."""
    kind = TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code, **extra}}


def render_refusal(refusal: Exception, context: dict[str, Any]) -> Response | None:
    """Django REST framework's exception handler: every refusal in the one envelope."""
    if isinstance(refusal, Refusal):
        return Response(
            envelope(refusal.status, refusal.message, refusal.code), status=refusal.status
        )
    response = exception_handler(refusal, context)
    if response is None or not isinstance(refusal, exceptions.APIException):
        return response
    message, param = _first(refusal.detail)
    code = "rate_limit_exceeded" if response.status_code == 429 else str(refusal.default_code)
    if response.status_code == 401:
        code = "invalid_token"
    response.data = envelope(response.status_code, message, code, param=param)
    return response


def _first(detail: Any) -> tuple[str, str | None]:
    """The first message in DRF's nested details, and the field it is about."""
    if isinstance(detail, dict):
        field, inner = next(iter(detail.items()))
        message, param = _first(inner)
        return message, param or str(field)
    if isinstance(detail, list):
        return _first(detail[0])
    return str(detail), None
