"""Finds the dialect (accounts/toolbox/dialects.py) for the errors of a request."""

from django.http import HttpRequest
from django.urls import Resolver404, resolve

from accounts.toolbox.dialects import ENVELOPE, PAGE, Dialect
from llmproxy.routes.dialects import GATEWAY, MESSAGES

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
