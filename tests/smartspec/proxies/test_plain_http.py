"""Requests over http, and proxies that do not say that a request came over https."""

import json
from typing import Any

import pytest
from django.test import Client

from smartspec import checks
from smartspec.policies.plain_http import REDIRECTED

pytestmark = pytest.mark.django_db
HTTPS = {"X-Forwarded-Proto": "https"}
HTTP = {"X-Forwarded-Proto": "http"}
ORIGIN = "https://site.example"
PROGRAMS = [
    "/v1/chat/completions",
    "/v1/messages",
    "/api/llm/chat/completions",
    "/api/auth/device/token",
    "/api/no-such-route",
]


@pytest.fixture
def secure(settings: Any) -> Any:
    """The settings of a site at https, behind one proxy."""
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.TRUSTED_PROXIES = 1
    settings.PUBLIC_ORIGIN = ORIGIN
    settings.ALLOWED_HOSTS = ["site.example"]
    return settings


@pytest.fixture
def browser(secure: Any) -> Client:
    return Client(headers={"Host": "site.example"})


@pytest.mark.parametrize("path", PROGRAMS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_program_sends_over_http_is_refused_and_not_redirected(
    browser: Client, path: str, method: str
) -> None:
    answer = getattr(browser, method)(path, headers=HTTP)
    assert answer.status_code == 400
    assert "Use https." in answer.content.decode()
    told = answer.json()
    if path == "/api/auth/device/token":
        assert told["error"] == "invalid_request"  # RFC 6749 §5.2
    else:
        assert told["error"]["code"] == "https_required"
    assert ("type" in told) is (path == "/v1/messages")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
@pytest.mark.parametrize("path", ["/v1/models", "/api/account"])
def test_a_token_in_a_get_over_http_is_refused_too(browser: Client, path: str, header: str) -> None:
    answer = browser.get(path, headers=HTTP | {header: "Bearer sk-x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "https_required")


def test_a_form_that_was_sent_over_http_is_refused_in_plain_text(browser: Client) -> None:
    answer = browser.post("/accounts/login/", {"login": "a"}, headers=HTTP)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/account?a=b", "/accounts/login/"])
def test_a_page_over_http_is_redirected(browser: Client, path: str) -> None:
    answer = browser.get(path, headers=HTTP)
    assert (answer.status_code, answer["Location"]) == (301, f"{ORIGIN}{path}")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("proto", [None, "", "https:", "HTTPS", "on", "http, https"])
def test_a_proxy_that_does_not_tell_the_scheme_is_told_so(
    browser: Client, proto: str | None
) -> None:
    sent = {} if proto is None else {"X-Forwarded-Proto": proto}
    for path in ("/", "/v1/models"):
        answer = browser.get(path, headers=sent)
        assert answer.status_code == 400
        assert "X-Forwarded-Proto" in answer.content.decode()
    assert answer.json()["error"]["code"] == "proxy_misconfigured"


def test_a_redirect_that_leads_to_itself_ends_at_the_second_time(browser: Client) -> None:
    """An outer proxy ends TLS, and the inner one tells its own scheme."""
    assert browser.get("/", headers=HTTP).status_code == 301
    assert browser.cookies[REDIRECTED]["secure"]
    answer = browser.get("/", headers=HTTP)
    assert answer.status_code == 400
    assert "X-Forwarded-Proto: http." in answer.content.decode()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via"])
def test_a_proxy_that_the_settings_do_not_know_is_noticed(
    browser: Client, secure: Any, name: str
) -> None:
    secure.TRUSTED_PROXIES, secure.SECURE_PROXY_SSL_HEADER = 0, None
    assert browser.get("/").status_code == 301
    assert "TRUSTED_PROXIES" in browser.get("/").content.decode()
    fresh = Client(headers={"Host": "site.example"})
    assert "TRUSTED_PROXIES" in fresh.get("/", headers={name: "https"}).content.decode()


def test_https_and_the_health_checks_go_through(browser: Client) -> None:
    assert browser.get("/", headers=HTTPS).status_code == 200
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/readyz").status_code == 200


def test_the_deep_health_check_says_what_the_proxy_lacks(browser: Client) -> None:
    assert browser.get("/healthz?deep", headers=HTTPS).json()["proxy"] == "ok"
    assert "X-Forwarded-Proto" in browser.get("/healthz?deep").json()["proxy"]
    assert browser.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"status": "ok", "proxy": "ok"}', []),
        (b'{"status": "ok"}', []),
        (b"<html>", []),
        (b"[]", []),
        (b'{"proxy": "Send it."}', ["smartspec.W007"]),
    ],
)
def test_the_deployment_check_asks_the_site_that_runs(
    secure: Any, monkeypatch: Any, body: bytes, found: list[str]
) -> None:
    secure.DEBUG = False
    asked: list[str] = []

    class Answer:
        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *_: object) -> None:
            """Close nothing."""

        def read(self, most: int) -> bytes:
            return body[:most]

    def answer(url: str, timeout: float) -> Answer:
        asked.append(url)
        return Answer()

    monkeypatch.setattr(checks, "urlopen", answer)
    assert [message.id for message in checks.check_proxy()] == found
    assert asked == [f"{ORIGIN}/healthz?deep"]


def test_without_a_redirect_the_deep_health_check_still_sees_the_scheme(
    browser: Client, secure: Any
) -> None:
    """The proxy redirects by itself, but cookies and forms need to know the scheme."""
    secure.SECURE_SSL_REDIRECT = False
    assert browser.get("/").status_code == 200
    assert "X-Forwarded-Proto" in browser.get("/healthz?deep").json()["proxy"]


def test_the_deployment_check_is_silent_while_nothing_runs(secure: Any) -> None:
    secure.DEBUG, secure.PUBLIC_ORIGIN = False, "https://127.0.0.1:9"
    assert checks.check_proxy() == []


def test_a_problem_is_logged_once_a_minute(browser: Client, caplog: Any) -> None:
    for _time in range(3):
        browser.get("/")
    lines = [line for line in caplog.records if line.name == "smartspec.policies.plain_http"]
    assert len(lines) == 1
    assert json.dumps("X-Forwarded-Proto")[1:-1] in lines[0].getMessage()
