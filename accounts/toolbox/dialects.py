"""The error formats (dialects) of the routes. Each view declares its dialect.

Django, a middleware or an exception can end a request too: for them smartspec/middleware.py finds
the dialect.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts.toolbox import headers
from accounts.toolbox.errors import build_envelope

View = TypeVar("View", bound=Callable[..., Any])


class Dialect:
    """The format of a route's errors, and the headers of all its responses. It has no state."""

    is_for_programs = True

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        """Return the JSON body of an error; `extra` are further facts, such as `param`."""
        raise NotImplementedError

    def answer(self, status: int, message: str, code: str) -> HttpResponse:
        return JsonResponse(self.error(status, message, code), status=status)

    def answer_busy(self, *, seconds: int) -> HttpResponse:
        """Return 503, because the database cannot serve, to be repeated after `seconds`."""
        message = _("The service is busy. Try again in a moment.")
        response = self.answer(503, message, "service_unavailable")
        response["Retry-After"] = str(seconds)
        response[headers.SHOULD_RETRY] = "true"
        return response

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Add the headers of this dialect that the view has not set, or could not set."""


class EnvelopeDialect(Dialect):
    """OpenAI's error envelope."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        return build_envelope(status, message, code, **extra)


class PageDialect(Dialect):
    """The dialect of pages for people: an error is plain text, and 503 a page."""

    is_for_programs = False

    def answer(self, status: int, message: str, code: str) -> HttpResponse:
        if status == 503:
            return HttpResponse(render_to_string("503.html"), status=status)
        return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")

    def explain(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Put a page in the place of an empty or plain refusal, for browsers."""
        if response.status_code < 400 or not isinstance(response, HttpResponse):
            return
        if "text/html" not in request.headers.get("Accept", ""):
            return
        text = response.content.decode(errors="replace")
        if text and not response.get("Content-Type", "").startswith("text/plain"):
            return
        response.content = render_to_string("smartspec/refused.html", {"message": text})
        response["Content-Type"] = "text/html; charset=utf-8"
        response["Content-Length"] = str(len(response.content))


ENVELOPE = EnvelopeDialect()
PAGE = PageDialect()


def speaks(dialect: Dialect) -> Callable[[View], View]:
    """Declare the dialect of a view: a function, a class, or what `as_view` returns."""

    def declare(view: View) -> View:
        view.dialect = dialect  # type: ignore[attr-defined]
        return view

    return declare
