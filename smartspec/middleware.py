"""What no route may be bothered with: requests that are not text, and a database that is away.

What Django itself refuses is said in the dialect that the view declares
(accounts/toolbox/dialects.py).
"""

import logging
from collections.abc import Callable
from http.client import responses
from urllib.parse import unquote_to_bytes

from django.core.paginator import InvalidPage
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from smartspec.dialects import find_dialect

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
        dialect = find_dialect(request)
        if not dialect.is_for_programs:
            return response
        dialect.add_headers(request, response)
        if not isinstance(response, HttpResponse):
            return response
        status = response.status_code
        if status >= 400 and not response.get("Content-Type", "").startswith("application/json"):
            said = dialect.answer(
                status, _refusal(status), responses.get(status, "error").lower().replace(" ", "_")
            )
            response.content = said.content
            for name, value in (*said.items(), ("Content-Length", str(len(said.content)))):
                response[name] = value
        return response


def _refusal(status: int) -> str:
    if status >= 500:
        return _("Something went wrong on our side. The error has been recorded.")
    return (
        _("This address does not exist.")
        if status == 404
        else _("This request cannot be processed.")
    )


class RejectMalformedRequests:
    """400 for a path, query or body that is not UTF-8 or holds a NUL, which PostgreSQL cannot store."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if NOT_UTF_8 in request.META:
            return _refuse(request, 400, _("Send the text as UTF-8."), "charset")
        if not (_is_text(request.META.get("QUERY_STRING", "")) and "\0" not in request.path):
            return _refuse(
                request, 400, _("The address is not valid UTF-8 text."), "invalid_request_error"
            )
        if any("\0" in value for value in request.COOKIES.values()):
            return _refuse(
                request, 400, _("A cookie contains invalid text."), "invalid_request_error"
            )
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
            return _refuse(
                request,
                400,
                _("This address contains a search or filter that cannot be used."),
                "bad_lookup",
            )
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        response = _refuse(
            request, 503, _("The service is busy. Try again in a moment."), "service_unavailable"
        )
        response["Retry-After"] = "5"
        return response


def _refuse(request: HttpRequest, status: int, message: str, code: str) -> HttpResponse:
    return find_dialect(request).answer(status, message, code)


def _is_text(query: str) -> bool:
    try:
        return "\0" not in unquote_to_bytes(query.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return False
