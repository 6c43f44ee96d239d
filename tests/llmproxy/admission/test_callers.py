"""Which callers the gateway accepts, and how it refuses the others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts.models import User
from credits import ledger
from credits.models import Hold
from llmproxy.models import Completion
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db

PATH = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Hi"}]}
ROUTES = [PATH, "/api/llm/chat", "/api/llm/stream"]


def post(
    client: Client, headers: dict[str, str] | None = None, path: str = PATH, body: Any = BODY
) -> Any:
    return client.post(path, body, content_type="application/json", headers=headers or {})


@pytest.mark.parametrize("path", [*ROUTES, "/v1/models"])
def test_without_credentials_it_is_401_with_a_bare_challenge(client: Client, path: str) -> None:
    response = client.get(path) if path.endswith("models") else post(client, path=path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")
    assert response["WWW-Authenticate"] == 'Bearer realm="smartspec"'


@pytest.mark.parametrize("token", ["", "unknown", "x" * 5000, "a b", "é", "\x01"])
def test_a_token_that_is_not_ours_is_401(client: Client, token: str) -> None:
    response = post(client, {"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_an_expired_token_is_401(
    client: Client, user: User, bearer: Any, upstream: Upstream
) -> None:
    headers = bearer(user)
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert post(client, headers).status_code == 401


def test_an_inactive_user_is_401(
    client: Client, user: User, bearer: Any, upstream: Upstream
) -> None:
    headers = bearer(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert post(client, headers).status_code == 401
    assert client.get("/v1/models", headers=headers).status_code == 401
    assert client.get("/v1/credits", headers=headers).status_code == 401


def test_a_token_without_the_scope_is_403(
    client: Client, user: User, bearer: Any, upstream: Upstream
) -> None:
    response = post(client, bearer(user, "mcp:read"))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "insufficient_scope")
    challenge = (
        'Bearer realm="smartspec", error="insufficient_scope", scope="llm:chat"'  # RFC 6750 §3.1
    )
    assert response["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("path", [*ROUTES, "/v1/models"])
def test_a_wrong_method_is_405_in_the_envelope(client: Client, path: str) -> None:
    response = client.put(path)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response["Allow"]


def test_a_session_needs_its_csrf_token(user: User, upstream: Upstream) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    response = post(client)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "csrf_failed")
    client.cookies["csrftoken"] = "a" * 32
    assert post(client, {"X-CSRFToken": "a" * 32}).json()["_credits"]["used"] == 1


def test_the_static_token_alone_is_refused(
    client: Client, upstream: Upstream, settings: Any
) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = "static-secret"
    response = post(client, {"Authorization": "Bearer static-secret"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "user_not_found")
    response = post(client, {"Authorization": "Bearer static-secret", "x-user-token": "unknown"})
    assert response.json()["error"]["code"] == "user_not_found"


def test_the_static_token_charges_the_user_it_speaks_for(
    client: Client, user: User, upstream: Upstream, settings: Any, make_token: Callable[..., str]
) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = "static-secret"
    response = post(
        client, {"Authorization": "Bearer static-secret", "x-user-token": make_token(user)}
    )
    assert response.json()["_credits"] == {"used": 1, "remaining": 49}


def test_the_static_token_may_be_free_and_is_recorded(
    client: Client, upstream: Upstream, settings: Any
) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = "static-secret"
    settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC = True
    response = post(client, {"Authorization": "Bearer static-secret"})
    assert (response.status_code, response.json()["_credits"]["used"]) == (200, 0)
    assert Completion.objects.get(user=None).prompt_tokens == 20
    assert not Hold.objects.exists()


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi", **fields}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"messages": "\xff"}',
        b'{"messages": [{"role": "user", "content": "\\ud8"}]}',
        b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"messages": [{"role": "user", "content": "x"}], "metadata": '
        + b'{"a":' * 300
        + b"1"
        + b"}" * 301,
        b'{"messages": [{"role": "user", "content": "x"}], "tools": '
        + b"[" * 300
        + b"]" * 300
        + b"}",
        {},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": [1]},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": 1, "content": "Hi"}]},
        message(content=7),
        message(content=[1]),
        message(content=[{"text": "no type"}]),
        {**BODY, "model": 5},
        {**BODY, "stream": "yes"},
        {**BODY, "stream_options": []},
        {**BODY, "stream_options": {"include_usage": 1}},
        {**BODY, "max_tokens": 0},
        {**BODY, "max_tokens": -1},
        {**BODY, "max_tokens": 1.5},
        {**BODY, "max_tokens": True},
        {**BODY, "max_tokens": 10**30},
        {**BODY, "max_completion_tokens": "9"},
        {**BODY, "n": 0},
        {**BODY, "n": 1000},
        {**BODY, "temperature": 3},
        {**BODY, "temperature": "hot"},
        {**BODY, "top_p": -1},
        {**BODY, "stop": [1]},
    ],
)
def test_a_malformed_body_is_400_and_writes_nothing(
    client: Client, user: User, bearer: Any, upstream: Upstream, body: Any
) -> None:
    for path in ROUTES:
        response = post(client, bearer(user), path, body)
        assert (response.status_code, response.json()["error"]["type"]) == (
            400,
            "invalid_request_error",
        )
        assert response.json()["error"]["message"]
    assert upstream.requests == []
    assert not Hold.objects.exists()


def test_a_body_over_the_limit_is_413(
    client: Client, user: User, bearer: Any, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.WEB_LLM_MAX_BODY_BYTES = 1000
    response = post(client, bearer(user), body=message(content="x" * 2000))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("query", ["?x=%00", "?x=%ff", "?%c3%28=1"])
def test_an_address_that_is_not_text_is_400(client: Client, query: str) -> None:
    for path in (PATH, "/v1/models", "/v1/credits", "/"):
        assert client.get(path + query).status_code == 400


def test_a_cookie_with_a_nul_is_400(client: Client) -> None:
    for path in ("/", "/account", "/api/auth/me", "/v1/models"):
        assert (
            client.get(path, headers={"Cookie": 'sessionid="\\000aaaaaaaaaaaaaaaa"'}).status_code
            == 400
        )


def test_an_unknown_route_is_404_for_every_method() -> None:
    client = Client(enforce_csrf_checks=True)
    for method in ("GET", "POST", "DELETE"):
        response = client.generic(
            method, "/v1/audio/speech", b"{}", content_type="application/json"
        )
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_an_unknown_route_is_404_in_the_envelope(client: Client) -> None:
    for path in ("/v1/nothing", "/api/nothing", "/v1/models%00"):
        response = client.get(path)
        assert response.status_code in (400, 404)
        assert response.json()["error"]["message"]


def test_null_parameters_count_as_absent(
    client: Client, user: User, bearer: Any, upstream: Upstream
) -> None:
    body = {
        **BODY,
        "model": None,
        "stream": None,
        "max_tokens": None,
        "n": None,
        "stop": None,
        "temperature": None,
    }
    assert post(client, bearer(user), body=body).status_code == 200
    assert ledger.balance(user).credits == 49


@pytest.mark.parametrize("path", ["/v1/models?x=%ff", "/v1/nothing", "/api/llm/nothing"])
def test_what_no_view_answers_can_be_asked_about_too(client: Client, path: str) -> None:
    response = client.get(path, headers={"x-trace-id": "trace-1"})
    assert response.status_code in (400, 404)
    assert response["x-request-id"].startswith("req_")
    assert response["x-trace-id"] == "trace-1"
