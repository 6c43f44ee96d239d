"""What a page in a webview may send and read, and what the SDKs do with our refusals.

A real WebKitGTK with the SDKs in its page is in tests/clients/webview. References: Fetch standard,
"HTTP CORS protocol"; the SDKs' own source (`x-stainless-…`, `x-should-retry`).
"""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import orjson
import pytest
from django.conf import settings as configured
from django.test import Client

from accounts.models import User
from accounts.toolbox import headers as names
from credits import ledger
from llmproxy.urls import METERED
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.wild.conftest import BODIES, MESSAGES, Ask

pytestmark = pytest.mark.django_db(transaction=True)

TAURI = "tauri://localhost"
GETS = [
    "/v1/models",
    "/v1/models/small",
    "/v1/credits",
    "/v1/generation",
    "/api/credits/history",
    "/api/trpc/credits.balance",
    "/api/trpc/llmProviders.availableModels",
    "/.well-known/oauth-authorization-server",
    "/.well-known/nothing",
]
POSTS = [*METERED, "/v1/messages/count_tokens", "/v1/responses/input_tokens"]
# The headers of each client, besides those that every page may send.
REQUESTED = {
    "openai": "authorization content-type accept user-agent idempotency-key openai-organization "
    "openai-project openai-beta x-stainless-arch x-stainless-lang x-stainless-os "
    "x-stainless-package-version x-stainless-retry-count x-stainless-runtime "
    "x-stainless-runtime-version x-stainless-timeout x-stainless-helper-method "
    "x-stainless-poll-helper x-stainless-custom-poll-interval x-stainless-read-timeout "
    "x-stainless-async x-stainless-raw-response",
    "anthropic": "x-api-key content-type anthropic-version anthropic-beta x-app "
    "anthropic-dangerous-direct-browser-access x-stainless-helper x-stainless-arch",
    "AI SDK": "authorization content-type user-agent http-referer x-title",
    "tracing": "traceparent tracestate baggage sentry-trace x-trace-id x-request-id x-session-id "
    "x-datadog-trace-id x-b3-traceid b3 uber-trace-id x-cloud-trace-context",
    "tRPC": "trpc-accept content-type authorization x-trpc-source",
    "the next version": "x-stainless-what-ever-comes anthropic-new_feature x.dots!and~more",
}


def preflight(client: Client, path: str, requested: str, origin: str = TAURI) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if requested:
        headers["Access-Control-Request-Headers"] = requested
    return client.options(path, headers=headers)


@pytest.mark.parametrize("sender", REQUESTED)
@pytest.mark.parametrize("path", [*GETS, *POSTS])
def test_a_webview_may_send_what_clients_send(path: str, sender: str, client: Client) -> None:
    requested = ",".join(sorted(REQUESTED[sender].split()))
    answer = preflight(client, path, requested)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, TAURI)
    assert answer["Access-Control-Allow-Headers"].split(", ") == requested.split(",")
    assert {"GET", "POST"} <= set(answer["Access-Control-Allow-Methods"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer
    assert {"origin", "access-control-request-headers"} <= set(answer["Vary"].lower().split(", "))


@pytest.mark.parametrize(
    ("requested", "allowed"),
    [
        ("", None),
        (",,, ,", None),
        ("x y", None),
        ("x-a, b c ,x-b,\u00e9,x:y,(c),x-d\t", ["x-a", "x-b", "x-d"]),
        ("X-UPPER,x-a", ["X-UPPER", "x-a"]),
        ("*", ["*"]),
        ("x" * 101, None),
        (",".join(f"x-{number}" for number in range(500)), [f"x-{n}" for n in range(100)]),
    ],
)
def test_what_is_no_name_of_a_header_is_left_out(
    requested: str, allowed: list[str] | None, client: Client
) -> None:
    answer = preflight(client, "/v1/models", requested)
    usual = configured.CORS_ALLOW_HEADERS
    assert answer["Access-Control-Allow-Headers"].split(", ") == (allowed or usual)


@pytest.mark.parametrize("origin", ["evil://localhost", "null", "tauri://localhost.evil", "tauri:"])
@pytest.mark.parametrize("path", ["/v1/models", "/.well-known/oauth-authorization-server"])
def test_a_page_of_another_origin_may_send_and_read_nothing(
    origin: str, path: str, client: Client
) -> None:
    for answer in (
        preflight(client, path, "authorization", origin),
        client.get(path, headers={"Origin": origin}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/account", "/admin/", "/accounts/login/", "/healthz"])
def test_pages_for_people_are_for_no_other_origin(path: str, client: Client) -> None:
    answer = preflight(client, path, "authorization")
    assert "Access-Control-Allow-Origin" not in answer


# Headers that every page may read, that only browsers and proxies read, and that are no facts.
ALWAYS = {"cache-control", "content-language", "content-length", "content-type", "expires"}
NO_FACTS = {
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-security-policy",
    "cross-origin-opener-policy",
    "permissions-policy",
    "referrer-policy",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
    "x-frame-options",
}


def require_readable(answer: Any) -> set[str]:
    exposed = set(answer["Access-Control-Expose-Headers"].lower().split(", "))
    sent = {name.lower() for name in answer.headers}
    assert sent - ALWAYS - NO_FACTS - exposed == set()
    return sent


@pytest.mark.parametrize("path", BODIES)
def test_a_webview_may_read_every_header_that_we_send(
    path: str, ask: Ask, upstream: Upstream, client: Client
) -> None:
    seen: set[str] = set()
    upstream.script = scripted_routes.as_asked("Hello")
    page = {"Origin": TAURI}
    calls: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({"Idempotency-Key": "one"}, {}),
        ({"Idempotency-Key": "one"}, {}),
        ({"Idempotency-Key": "one"}, {"top_p": 0.5}),
        ({}, {"stream": True}),
        ({}, {"model": "unknown"}),
        ({"Authorization": "Bearer nothing"}, {}),
    ]
    for headers, more in calls:
        seen |= require_readable(ask(path, headers={**page, **headers}, **more))
    seen |= require_readable(client.get(path, headers=page))
    upstream.script = script.error(503)
    seen |= require_readable(ask(path, headers=page))
    assert {"x-generation-id", "x-credits-used", "x-request-id", "x-should-retry"} <= seen
    assert {"idempotency-replayed", "retry-after", "www-authenticate", "allow"} <= seen


def test_headers_of_providers_are_never_passed(ask: Ask, upstream: Upstream) -> None:
    theirs = {
        "x-request-id": "req_theirs",
        "openai-organization": "secret-org",
        "x-ratelimit-limit-requests": "7",
        "anthropic-organization-id": "secret-org",
        "set-cookie": "secret=1",
        "x-litellm-response-cost": "0.1",
        "cf-ray": "secret",
        "via": "secret",
    }
    body = json.dumps({"id": "1", "choices": [], "usage": {"prompt_tokens": 1}}).encode()
    for status in (200, 400, 500):
        upstream.script = script.raw(body, status=status, headers=theirs)
        answer = ask()
        assert "secret" not in str(answer.headers)
        assert answer["x-request-id"] != "req_theirs"
        assert not {"openai-organization", "set-cookie", "via"} & {
            n.lower() for n in answer.headers
        }


# --- what the SDKs do: with two retries, one request of theirs is three at most


RETRIES: list[tuple[str, Any, str | None, int]] = [
    ("busy", script.error(429), "true", 3),
    ("overloaded", script.error(503), "true", 3),
    ("broken", script.error(500), None, 3),
    ("its own fault", script.error(400), None, 1),
]


@pytest.mark.parametrize(("case", "said", "header", "requests"), RETRIES)
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_the_sdks_repeat_what_may_help(
    kind: str,
    case: str,
    said: Any,
    header: str | None,
    requests: int,
    live_server: Any,
    make_token: Callable[..., str],
    payer: User,
    model: Any,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upstream.script = said
    error = call_repeatedly(kind, live_server.url, make_token(payer), monkeypatch)
    assert error.response.headers.get("x-should-retry") == header
    assert len(upstream.requests) == requests


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_without_credits_an_sdk_asks_once(
    kind: str,
    live_server: Any,
    make_token: Callable[..., str],
    make_user: Callable[..., User],
    model: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    poor = make_user("poor@example.com", credits=0)
    error = call_repeatedly(kind, live_server.url, make_token(poor), monkeypatch)
    assert (error.status_code, error.response.headers["x-should-retry"]) == (402, "false")
    assert error.response.request.headers.get("x-stainless-retry-count") == "0"


def call_repeatedly(kind: str, url: str, token: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what the SDK raised after its retries, between which it does not sleep."""
    asked: Any = MESSAGES
    if kind == "openai":
        monkeypatch.setattr(openai.OpenAI, "_calculate_retry_timeout", lambda *_: 0.0)
        sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=2)
        with pytest.raises(openai.APIStatusError) as raised:
            sdk.chat.completions.create(model="small", messages=asked)
        return raised.value
    monkeypatch.setattr(anthropic.Anthropic, "_calculate_retry_timeout", lambda *_: 0.0)
    claude = anthropic.Anthropic(base_url=url, api_key=token, max_retries=2)
    with pytest.raises(anthropic.APIStatusError) as refused:
        claude.messages.create(model="small", max_tokens=50, messages=asked)
    return refused.value


def test_a_conflict_says_whether_to_ask_again(
    client: Client, bearer: Any, payer: User, model: Any, upstream: Upstream
) -> None:
    """409 is repeated by the SDKs. While the first request runs, that is right."""
    seen: list[tuple[int, str | None]] = []

    def ask(**more: Any) -> Any:
        body = orjson.dumps({"messages": MESSAGES, **more})
        headers = {**bearer(payer), "Idempotency-Key": "one"}
        return Client().post(
            "/v1/chat/completions", body, content_type="application/json", headers=headers
        )

    def while_it_runs(handler: Any) -> None:
        again = ask()
        seen.append((again.status_code, again.headers.get(names.SHOULD_RETRY)))
        script.answer()(handler)

    upstream.script = while_it_runs
    assert ask().status_code == 200
    other = ask(top_p=0.5)
    seen.append((other.status_code, other.headers.get(names.SHOULD_RETRY)))
    assert seen == [(409, "true"), (409, "false")]
    assert ledger.balance(payer).held == 0
