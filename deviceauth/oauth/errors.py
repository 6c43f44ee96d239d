"""Rendering of refusals in the two error formats of `/api/auth/`: for devices and for browsers."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from oauthlib.oauth2 import OAuth2Error
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.database.faults import RETRY_AFTER_SECONDS, find_fault
from accounts.toolbox.diagnosis.causes import attach_cause
from accounts.toolbox.dialects import Dialect
from accounts.toolbox.exceptions import Refusal
from deviceauth.exceptions import TooManyTries

OAUTH_ERRORS = {  # A description is printable ASCII, so it is never translated.
    500: ("server_error", "Something went wrong here."),
    503: ("temporarily_unavailable", "The service is busy."),
}


DESCRIPTIONS = {  # of refusals that a client can do something about, by their code
    "https_required": "Use https.",
    "proxy_misconfigured": "The proxy in front of this site must send X-Forwarded-Proto.",
}


class OAuthDialect(Dialect):
    """RFC 6749 §5.2. Its errors are named by status, and described by their code."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        error, description = OAUTH_ERRORS.get(
            status, ("invalid_request", DESCRIPTIONS.get(code, "The request is malformed."))
        )
        return {"error": error, "error_description": description}


class BrowserDialect(Dialect):
    """`{"error": {"message"}}`, as the pages of the existing service had it."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        return {"error": {"message": message}}


OAUTH = OAuthDialect()
BROWSER = BrowserDialect()


def render_to_device(refusal: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return `{"error", "error_description"}` (RFC 6749 §5.2); None for an unexpected exception."""
    if isinstance(refusal, OAuth2Error):
        return _add_challenge(Response(dict(refusal.twotuples), status=refusal.status_code))
    if find_fault(refusal) is not None:
        busy = _build_oauth_error("temporarily_unavailable", "The service is busy.", 503)
        return attach_cause(_set_retry_after(busy, None), refusal)
    if isinstance(refusal, exceptions.Throttled):
        return _set_retry_after(
            _build_oauth_error("rate_limit_exceeded", "Too many requests.", 429),
            _read_wait(refusal),
        )
    if isinstance(refusal, exceptions.MethodNotAllowed):
        return _build_oauth_error("invalid_request", "Use POST.", 405)
    if isinstance(refusal, exceptions.UnsupportedMediaType):
        return _build_oauth_error("invalid_request", "Send a form or JSON.", 415)
    if isinstance(refusal, exceptions.APIException):
        return _build_oauth_error("invalid_request", str(refusal.detail), refusal.status_code)
    return None


def render_to_browser(refusal: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return `{"error": {"message"}}`, as the existing service had it; None if unexpected."""
    if find_fault(refusal) is not None:
        busy = _build_message(_("The service is busy. Try again in a moment."), 503)
        return attach_cause(_set_retry_after(busy, None), refusal)
    if isinstance(refusal, Refusal):
        response = _build_message(refusal.message, refusal.status)
        return (
            _set_retry_after(response, refusal.retry_after)
            if isinstance(refusal, TooManyTries)
            else response
        )
    if isinstance(refusal, exceptions.Throttled):
        return _set_retry_after(
            _build_message(_("Too many requests. Try again in a moment."), 429), _read_wait(refusal)
        )
    if isinstance(refusal, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return _build_unauthorized(refusal, context)
    if isinstance(refusal, exceptions.APIException):
        return _build_message(str(refusal.detail), refusal.status_code)
    return None


def _build_unauthorized(refusal: exceptions.APIException, context: Mapping[str, Any]) -> Response:
    response = _build_message(context["view"].unauthorized, 401)
    response["WWW-Authenticate"] = getattr(refusal, "auth_header", None) or "Session"
    return response


def _add_challenge(response: Response) -> Response:
    if response.status_code == 401:
        response["WWW-Authenticate"] = 'Basic realm="smartspec"'
    return response


def _build_oauth_error(error: str, description: str, status: int) -> Response:
    return Response({"error": error, "error_description": description}, status=status)


def _build_message(message: str, status: int) -> Response:
    return Response({"error": {"message": message}}, status=status)


def _read_wait(refusal: exceptions.Throttled) -> float | None:
    return getattr(refusal, "wait", None)


def _set_retry_after(response: Response, seconds: float | None) -> Response:
    response["Retry-After"] = str(int(seconds or RETRY_AFTER_SECONDS))
    return response
