"""Which dialect the errors of a request are told in (accounts/toolbox/dialects.py)."""

from django.http import HttpRequest
from django.urls import Resolver404, resolve

from accounts.toolbox.dialects import ENVELOPE, PAGE, Dialect
from llmproxy.routes.dialects import GATEWAY, MESSAGES

# For addresses that have no view, or one that declares nothing. The first prefix that fits counts.
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
    """The dialect that the view declares; without a declaration, that of the address.

    A request that was refused early has not been resolved: its path is resolved here.
    """
    return _declared(request) or _find_by_prefix(request.path)


def _declared(request: HttpRequest) -> Dialect | None:
    try:
        view = (request.resolver_match or resolve(request.path_info)).func
    except Resolver404:
        return None
    declared: Dialect | None = getattr(view, "dialect", None)
    return declared or getattr(getattr(view, "view_class", None), "dialect", None)


def _find_by_prefix(path: str) -> Dialect:
    return next(dialect for prefix, dialect in BY_PREFIX.items() if f"{path}/".startswith(prefix))
