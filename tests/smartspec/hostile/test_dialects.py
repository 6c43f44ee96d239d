"""Django's own refusals are written in the dialect of the route."""

from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import resolve

from smartspec import wsgi

OAUTH, BROWSER, ENVELOPE = "/api/auth/device/token", "/api/auth/device/verify", "/v1/models"
MESSAGES = "/v1/messages"
PROGRAMS = [
    OAUTH,
    MESSAGES,
    BROWSER,
    ENVELOPE,
    "/healthz",
    "/readyz",
    "/.well-known/oauth-authorization-server",
    "/api/schema",
]


def is_in_dialect(path: str, answer: Any) -> bool:
    assert answer.get("Content-Length", str(len(answer.content))) == str(len(answer.content))
    error = answer.json()["error"]
    if path == OAUTH:
        return isinstance(error, str) and isinstance(answer.json()["error_description"], str)
    if path == MESSAGES:
        return answer.json()["type"] == "error" and set(error) == {"type", "message", "code"}
    return set(error) == ({"message"} if path == BROWSER else {"message", "type", "param", "code"})


@pytest.mark.parametrize("path", PROGRAMS)
@pytest.mark.parametrize(
    "extra", [{"HTTP_HOST": "evil.example"}, {"QUERY_STRING": "a=%00"}, {"QUERY_STRING": "%ff"}]
)
def test_an_address_that_is_not_ours_is_400(path: str, extra: Any) -> None:
    answer = Client().generic("POST" if path == OAUTH else "GET", path, **extra)
    assert answer.status_code == 400
    assert is_in_dialect(path, answer)
    assert path not in (OAUTH, BROWSER) or answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROGRAMS)
def test_a_wrong_method_is_405_and_says_which_is_right(path: str) -> None:
    answer = Client(enforce_csrf_checks=True).delete(path)
    assert answer.status_code == 405
    assert answer["Allow"]
    assert is_in_dialect(path, answer)


@pytest.mark.parametrize("path", [OAUTH, BROWSER, MESSAGES, ENVELOPE])
def test_what_breaks_is_500_in_the_dialect(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr("smartspec.middleware.RejectMalformedRequests.__call__", break_down)
    answer = Client(raise_request_exception=False).get(path)
    assert answer.status_code == 500
    assert is_in_dialect(path, answer)
    assert path != OAUTH or answer.json()["error"] == "server_error"


@pytest.mark.django_db
@pytest.mark.parametrize("path", [OAUTH, BROWSER, MESSAGES, ENVELOPE])
def test_a_body_in_another_charset_is_400_in_the_dialect(path: str) -> None:
    head: list[Any] = []
    environ = RequestFactory().post(path).environ | {
        "CONTENT_TYPE": "application/json; charset=base64"
    }
    body = b"".join(wsgi.application(environ, lambda *arguments: head.extend(arguments)))
    assert head[0] == "400 Bad Request"
    assert (b"error_description" in body) == (path == OAUTH)
    assert (b'"code": "charset"' in body) == (path in (ENVELOPE, MESSAGES))


def test_pages_keep_their_own_words() -> None:
    assert resolve("/account")
    assert (
        Client().get("/account", HTTP_HOST="evil.example")["Content-Type"].startswith("text/html")
    )
