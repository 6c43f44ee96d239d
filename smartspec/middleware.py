"""What no route may be bothered with: requests that are not text, and a database that is away.

Four dialects of "no" are spoken to programs (api.md §1, §3); what Django itself refuses is said in them too.
"""

import logging
from collections.abc import Callable
from http.client import responses
from urllib.parse import unquote_to_bytes

from django.core.paginator import InvalidPage
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _

from accounts.toolbox.errors import build_envelope
from llmproxy.admission import callers
from llmproxy.routes import messages

OAUTH_PATHS = frozenset(f"/api/auth/device/{name}" for name in ("code", "token", "revoke"))
OAUTH_ERRORS = {  # a description is printable ASCII, so never translated
    500: ("server_error", "Something went wrong here."),
    503: ("temporarily_unavailable", "The service is busy."),
}
BROWSER_PATHS = frozenset({"/api/auth/device/verify", "/api/auth/device/authorize", "/api/auth/me"})
MESSAGES_PATH = "/v1/messages"
GATEWAY = ("/v1/", "/api/llm/")
PROGRAMS = ("/api/", "/v1/", "/.well-known/", "/healthz", "/readyz")
# Set by smartspec.wsgi in the WSGI environment of a request whose body is in another charset.
NOT_UTF_8 = "smartspec.not_utf_8"

# What Django's admin lets through for a year 0 or a page "x" in the address.
BAD_LOOKUP = (ValueError, OverflowError, DataError, InvalidPage)
logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class AnswerInDialect:
    """What Django itself refuses, a wrong host or method, and what breaks: JSON for programs, not a page."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if (
            request.path.startswith(GATEWAY) and "x-request-id" not in response
        ):  # refused before its view
            response["x-request-id"], response["x-trace-id"] = (
                callers.request_id(),
                callers.trace_id(request),
            )
        if _is_anthropics(request):
            response["request-id"] = response["x-request-id"]  # as Anthropic's clients look for it
        if _is_for_programs(request) and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"  # most of it is about one person
        if not (isinstance(response, HttpResponse) and _is_for_programs(request)):
            return response
        status = response.status_code
        if status >= 400 and not response.get("Content-Type", "").startswith("application/json"):
            said = answer(
                request,
                status,
                _refusal(status),
                responses.get(status, "error").lower().replace(" ", "_"),
            )
            response.content = said.content
            for name, value in (*said.items(), ("Content-Length", str(len(said.content)))):
                response[name] = value
        return response


def _refusal(status: int) -> str:
    if status >= 500:
        return _("Something went wrong here. It is logged.")
    return (
        _("There is nothing at this address.")
        if status == 404
        else _("This request cannot be answered.")
    )


class RejectMalformedRequests:
    """400 for a path, query or body that is not UTF-8 or holds a NUL, which PostgreSQL cannot store."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if NOT_UTF_8 in request.META:
            return answer(request, 400, _("Send UTF-8."), "charset")
        if not (_is_text(request.META.get("QUERY_STRING", "")) and "\0" not in request.path):
            return answer(
                request, 400, _("The address is not valid UTF-8 text."), "invalid_request_error"
            )
        if any("\0" in value for value in request.COOKIES.values()):
            return answer(request, 400, _("A cookie is not valid text."), "invalid_request_error")
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """503 while the database is away or a lock was not to be had: nothing was written."""
        if (
            isinstance(exception, BAD_LOOKUP)
            and request.method == "GET"
            and request.path.startswith("/admin/")
        ):
            logger.warning("admin: %s cannot be looked up", request.path, exc_info=exception)
            return answer(
                request,
                400,
                _("This address asks for something that cannot be looked up."),
                "bad_lookup",
            )
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        response = answer(
            request, 503, _("The service is busy. Try again in a moment."), "service_unavailable"
        )
        response["Retry-After"] = "5"
        return response


def _is_for_programs(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(PROGRAMS)


def _is_anthropics(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(f"{MESSAGES_PATH}/")


def _is_text(query: str) -> bool:
    try:
        return "\0" not in unquote_to_bytes(query.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return False


def answer(request: HttpRequest, status: int, message: str, code: str) -> HttpResponse:
    """An error in the dialect of the route: JSON for programs, text for people."""
    if request.path in OAUTH_PATHS:  # RFC 6749 §5.2
        error, description = OAUTH_ERRORS.get(
            status, ("invalid_request", "The request is malformed.")
        )
        body = {"error": error, "error_description": description}
        return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    if request.path in BROWSER_PATHS:
        return JsonResponse(
            {"error": {"message": message}}, status=status, headers={"Cache-Control": "no-store"}
        )
    if _is_anthropics(request):
        return JsonResponse(messages.envelope(status, message, code), status=status)
    if _is_for_programs(request):
        return JsonResponse(build_envelope(status, message, code), status=status)
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")
