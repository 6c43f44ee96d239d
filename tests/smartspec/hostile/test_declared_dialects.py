"""Every view for programs declares its dialect; other paths have the dialect of their prefix."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.toolbox.dialects import ENVELOPE, PAGE, Dialect
from deviceauth.oauth.errors import BROWSER, OAUTH
from llmproxy.routes.base import GATEWAY, MESSAGES
from smartspec import wsgi
from smartspec.middleware import find_dialect

FOR_PROGRAMS = ("api/", "v1/", ".well-known/", "healthz", "readyz")


def views(
    patterns: Iterable[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the path and view of every route, also of included URL files."""
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield address, pattern.callback
        else:
            yield from views(pattern.url_patterns, address)


VIEWS = {
    address: view
    for address, view in views(get_resolver().url_patterns)
    if address.startswith(FOR_PROGRAMS)
}


@pytest.mark.parametrize("address", VIEWS)
def test_every_view_for_programs_declares_its_dialect(address: str) -> None:
    view = VIEWS[address]
    declared = getattr(view, "dialect", None) or view.view_class.dialect
    assert isinstance(declared, Dialect)
    assert declared.is_for_programs


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api/auth/device/token", OAUTH),
        ("/api/auth/device/token/", ENVELOPE),
        ("/api/auth/me", BROWSER),
        ("/api/credits/stats", ENVELOPE),
        ("/api/v1/credits/balance", ENVELOPE),
        ("/v1/credits", GATEWAY),
        ("/v1/chat/completions", GATEWAY),
        ("/v1/messages", MESSAGES),
        ("/v1/messages/count_tokens", MESSAGES),
        ("/v1/messagesx", GATEWAY),
        ("/v1/nothing", GATEWAY),
        ("/v1", GATEWAY),
        ("/api/llm/nothing", GATEWAY),
        ("/api", ENVELOPE),
        ("/.well-known/nothing", ENVELOPE),
        ("/healthz/", ENVELOPE),
        ("/", PAGE),
        ("/account", PAGE),
        ("/admin/nothing/", PAGE),
        ("/nothing", PAGE),
    ],
)
def test_an_address_has_the_dialect_of_its_view_or_prefix(path: str, dialect: Dialect) -> None:
    assert find_dialect(RequestFactory().get(path)) is dialect


def test_a_programs_completion_is_never_resolved_by_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = RequestFactory().post("/v1/chat/completions")
    wsgi.gateway.resolve_request(request)
    monkeypatch.setattr(
        "smartspec.middleware.resolve", lambda path: pytest.fail(f"{path} was resolved again")
    )
    assert find_dialect(request) is GATEWAY
