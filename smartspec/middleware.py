"""Refuses malformed requests before the views, and answers 503 while the database is unavailable.

Refusals of Django itself are written in the dialect that the view declares
(accounts/toolbox/dialects.py).
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import responses
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.paginator import InvalidPage
from django.core.signals import got_request_exception
from django.db import DataError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.database.faults import RETRY_AFTER_SECONDS, find_fault
from accounts.toolbox import headers
from accounts.toolbox.diagnosis import request_ids
from accounts.toolbox.diagnosis.causes import attach_cause, log_cause
from accounts.toolbox.dialects import ENVELOPE, PAGE, Dialect
from llmproxy.routes.base import GATEWAY, MESSAGES

# Set by smartspec.wsgi in the WSGI environment of a request that it refuses: an EarlyRefusal.
REFUSED_EARLY = "smartspec.refused_early"


@dataclass(frozen=True, slots=True)
class EarlyRefusal:
    """A refusal of a request before Django reads its body. `message` is translated later."""

    status: int
    code: str
    message: str | Promise


NOT_UTF_8 = EarlyRefusal(400, "charset", gettext_lazy("Send the text as UTF-8."))
NO_HOST = EarlyRefusal(
    400, "invalid_request_error", gettext_lazy("Send the header Host, as HTTP/1.1 requires.")
)
UNKNOWN_CODING = EarlyRefusal(
    400, "invalid_request_error", gettext_lazy("Transfer-Encoding can only be chunked.")
)
BROKEN_BODY = EarlyRefusal(
    400, "invalid_request_error", gettext_lazy("The request body is malformed, or ended early.")
)
TOO_SLOW = EarlyRefusal(408, "request_timeout", gettext_lazy("The body did not come in time."))
NO_LENGTH = EarlyRefusal(
    411, "length_required", gettext_lazy("Send the request body with a Content-Length.")
)
TOO_LARGE = EarlyRefusal(
    413,
    "request_too_large",
    gettext_lazy("The request body is larger than this service accepts."),
)

# The attribute of a request that became a 500: the accounts.database.faults.Fault, or None.
FAULT = "database_fault"
# The exceptions of Django's admin for a year 0 or a page "x" in the URL.
BAD_LOOKUP = (ValueError, OverflowError, DataError, InvalidPage)
logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]
# For paths without a view, or whose view declares no dialect. The first matching prefix counts.
BY_PREFIX = {
    "/v1/messages/": MESSAGES,
    "/v1/": GATEWAY,
    "/api/llm/": GATEWAY,
    "/api/": ENVELOPE,
    "/.well-known/": ENVELOPE,
    "/healthz": ENVELOPE,
    "/readyz": ENVELOPE,
    "/": PAGE,
}


def find_dialect(request: HttpRequest) -> Dialect:
    """Return the dialect that the view declares, or else the dialect of the path.

    The path of a request that was refused early has not been resolved, so it is resolved here.
    """
    return _find_declared(request) or _find_by_prefix(request.path)


def _find_declared(request: HttpRequest) -> Dialect | None:
    try:
        view = (request.resolver_match or resolve(request.path_info)).func
    except Resolver404:
        return None
    declared: Dialect | None = getattr(view, "dialect", None)
    return declared or getattr(getattr(view, "view_class", None), "dialect", None)


def _find_by_prefix(path: str) -> Dialect:
    return next(dialect for prefix, dialect in BY_PREFIX.items() if f"{path}/".startswith(prefix))


class AnswerInDialect:
    """Convert Django's own error responses to JSON for programs, in the dialect of the view.

    Examples are a wrong host, a wrong method, and an exception in a view. If a middleware met a
    database that cannot serve, such as the one that saves the session, the response is 503. Every
    request gets its id here, and what caused a response with 500 or more is logged.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_ids.start_request()
        response = self.get_response(request)
        fault: BaseException | None = getattr(request, FAULT, None)
        if response.status_code == 500 and fault is not None:
            response = _refuse_for_fault(request, fault)
        response[headers.REQUEST_ID] = request_ids.get_request_id()
        if response.status_code >= 500:
            log_cause(request, response)
        dialect = find_dialect(request)
        if not dialect.is_for_programs:
            PAGE.explain(request, response)
            return response
        dialect.add_headers(request, response)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = (
                "no-store"  # most responses to programs are about one person
            )
        if not isinstance(response, HttpResponse):
            return response
        status = response.status_code
        if status >= 400 and not response.get("Content-Type", "").startswith("application/json"):
            error = dialect.answer(
                status,
                _choose_message(status),
                responses.get(status, "error").lower().replace(" ", "_"),
            )
            response.content = error.content
            for name, value in (*error.items(), ("Content-Length", str(len(error.content)))):
                response[name] = value
        return response


def _choose_message(status: int) -> str:
    if status >= 500:
        return _("Something went wrong on our side. The error has been recorded.")
    return (
        _("This address does not exist.")
        if status == 404
        else _("This request cannot be processed.")
    )


class RejectMalformedRequests:
    """Answers what smartspec.wsgi refuses, and 400 to text that is not UTF-8 or contains a NUL.

    The text is in the path, the query or a cookie. PostgreSQL cannot store a NUL.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if (early := request.META.get(REFUSED_EARLY)) is not None:
            return _refuse(request, early.status, str(early.message), early.code)
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
        """Answer 503 if the database cannot serve now: what was begun is rolled back."""
        if (
            isinstance(exception, BAD_LOOKUP)
            and request.path.startswith("/admin/")
            and (request.method == "GET" or _is_sent_with_filters(request))
        ):
            logger.warning("admin: %r cannot be looked up", request.path, exc_info=exception)
            return _refuse(
                request,
                400,
                _("This address contains a search or filter that cannot be used."),
                "bad_lookup",
            )
        return None if find_fault(exception) is None else _refuse_for_fault(request, exception)


def _is_sent_with_filters(request: HttpRequest) -> bool:
    """Whether a form of a filtered list was sent: its export, or an act on its rows."""
    name = (request.resolver_match and request.resolver_match.url_name) or ""
    return bool(request.GET) and (name == "admin_export" or name.endswith("_changelist"))


@receiver(got_request_exception)
def _note_fault(request: HttpRequest | None = None, **_: Any) -> None:
    """Remember why a request became a 500. Django passes no exception of a middleware on."""
    error = sys.exception()
    if request is not None and error is not None and find_fault(error) is not None:
        setattr(request, FAULT, error)


def _refuse_for_fault(request: HttpRequest, fault: BaseException) -> HttpResponse:
    busy = find_dialect(request).answer_busy(seconds=RETRY_AFTER_SECONDS)
    return attach_cause(busy, fault)


def _refuse(request: HttpRequest, status: int, message: str, code: str) -> HttpResponse:
    return find_dialect(request).answer(status, message, code)


def _is_text(query: str) -> bool:
    try:
        return "\0" not in unquote_to_bytes(query.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return False
