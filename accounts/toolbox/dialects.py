"""The dialects in which routes tell programs of an error. Each view declares its own.

Django, a middleware or a broken view can end a request too: smartspec/dialects.py finds the
dialect for that.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from accounts.toolbox.errors import build_envelope

View = TypeVar("View", bound=Callable[..., Any])


class Dialect:
    """The form of a route's errors, and the headers that all its answers have. Stateless."""

    is_for_programs = True

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        """The JSON body of an error; `extra` are the error's further facts, `param` among them."""
        raise NotImplementedError

    def answer(self, status: int, message: str, code: str) -> HttpResponse:
        return JsonResponse(self.error(status, message, code), status=status)

    def add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Add the headers of this dialect that the view has not set, or could not set."""
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"  # most of it is about one person


class EnvelopeDialect(Dialect):
    """OpenAI's error envelope."""

    def error(self, status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
        return build_envelope(status, message, code, **extra)


class PageDialect(Dialect):
    """Pages, which people read: their errors are text."""

    is_for_programs = False

    def answer(self, status: int, message: str, code: str) -> HttpResponse:
        return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")


ENVELOPE = EnvelopeDialect()
PAGE = PageDialect()


def speaks(dialect: Dialect) -> Callable[[View], View]:
    """Declare the dialect of a view: a function, a class, or what `as_view` returns."""

    def declare(view: View) -> View:
        view.dialect = dialect  # type: ignore[attr-defined]
        return view

    return declare
