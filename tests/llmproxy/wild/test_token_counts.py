"""Counts of tokens, compaction, and the list of models as Anthropic's clients read it.

References: Claude Code asks for a count before each turn, and its extension for 40 at once
(claude-relay-service #731); an answer of 200 with 0 tokens stops its compaction for ever (sub2api
#657); Codex needs `/v1/responses/compact` (openai/codex #24923).
"""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import orjson
import pytest
from django.test import Client

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Hold
from llmproxy import token_counts
from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from tests.concurrently import concurrently
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_routes import compaction
from tests.llmproxy.scripted_upstream import Script, Upstream
from tests.llmproxy.wild.conftest import CREDITS, MESSAGES, settled

pytestmark = pytest.mark.django_db(transaction=True)

BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages/count_tokens": {"messages": MESSAGES, "model": "small"},
    "/v1/responses/input_tokens": {"input": "Hi", "model": "small"},
}
COMPACT = "/v1/responses/compact"
every_count = pytest.mark.parametrize("path", BODIES)
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    token_counts.unable.clear()


@pytest.fixture
def post(client: Client, bearer: Any, model: LanguageModel, payer: User) -> Ask:
    def call(path: str, *, headers: Any = None, user: User | None = None, **more: Any) -> Any:
        body = orjson.dumps({**BODIES.get(path, {"model": "small", "input": "Hi"}), **more})
        sent = {**bearer(user or payer), **(headers or {})}
        return client.post(path, body, content_type="application/json", headers=sent)

    return call


def counted(tokens: Any, **more: Any) -> Script:
    return script.raw(json.dumps({"input_tokens": tokens, **more}).encode())


def require_free(user: User) -> None:
    assert ledger.balance(user).credits == CREDITS
    assert not Hold.objects.exists()
    assert not Completion.objects.exists()


@every_count
def test_a_provider_that_can_count_is_asked_and_nothing_is_charged(
    path: str, post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = counted(1234, usage={"cost": 0.1}, account="secret")
    answer = post(path)
    shape = {"object": "response.input_tokens"} if "responses" in path else {}
    assert (answer.status_code, answer.json()) == (200, {**shape, "input_tokens": 1234})
    assert ("x-token-count" in answer, "x-generation-id" in answer) == (False, False)
    assert upstream.paths == [path]
    require_free(payer)


def test_a_provider_gets_only_what_takes_part_in_the_count(post: Ask, upstream: Upstream) -> None:
    upstream.script = counted(7)
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    more: dict[str, Any] = {"system": "Be brief.", "tools": tools, "tool_choice": {"type": "auto"}}
    thinking = {"type": "enabled", "budget_tokens": 2048}
    sent = {**more, "thinking": thinking, "metadata": {"user_id": "x"}, "temperature": 1}
    headers = {"anthropic-version": "2023-06-01"}
    post("/v1/messages/count_tokens", headers=headers, stream=True, max_tokens=5, **sent)
    expected = {"model": "small", "messages": MESSAGES, "thinking": thinking, **more}
    assert upstream.sent == expected
    assert upstream.requests[-1][1]["anthropic-version"] == "2023-06-01"
    post("/v1/responses/input_tokens", instructions="Be brief.", store=False, stream=True)
    assert upstream.sent == {"model": "small", "input": "Hi", "instructions": "Be brief."}


def test_the_edits_of_a_context_take_part_in_the_count(post: Ask, upstream: Upstream) -> None:
    """Claude Code counts with them; Anthropic refuses them without their beta."""
    upstream.script = counted(7)
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    beta = {"anthropic-beta": "context-management-2025-06-27"}
    answer = post("/v1/messages/count_tokens", headers=beta, context_management=edits, tools=[])
    assert (answer.status_code, upstream.sent["context_management"]) == (200, edits)
    assert beta["anthropic-beta"] in upstream.requests[-1][1]["anthropic-beta"]


@pytest.mark.parametrize("path", ["/v1/responses/input_tokens", COMPACT])
def test_what_we_add_for_a_completion_is_not_added(
    path: str, post: Ask, upstream: Upstream, settings: Any
) -> None:
    """A provider refuses `include` and `store` here, which a completion of such a model needs."""
    settings.LLM_UPSTREAM_MODELS = ["gpt-5-mini"]
    upstream.script = counted(7) if "tokens" in path else compaction()
    more = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    assert post(path, model="gpt-5-mini", store=True, **more).status_code == 200
    assert upstream.sent == {"model": "gpt-5-mini", "input": "Hi", "reasoning": {"effort": "low"}}


def test_a_tool_that_is_left_out_of_a_count_is_named(post: Ask, upstream: Upstream) -> None:
    upstream.script = counted(7)
    tools = [{"type": "web_search"}, {"type": "function", "name": "f", "parameters": {}}]
    answer = post("/v1/responses/input_tokens", tools=tools)
    assert answer["x-dropped-parameters"] == "tools.0 (web_search)"
    assert [tool["type"] for tool in upstream.sent["tools"]] == ["function"]


# What a provider that cannot count says, or one that is ill or lies.
UNUSABLE: dict[str, tuple[Script, bool]] = {
    "404": (script.error(404), True),
    "405": (script.error(405), True),
    "501": (script.error(501), True),
    "404 in HTML": (script.raw(b"<h1>Not found</h1>", status=404, content_type="text/html"), True),
    "500": (script.error(500), False),
    "401": (script.error(401, "Incorrect API key sk-provider"), False),
    "429": (script.error(429), False),
    "hung up": (script.hang_up, False),
    "silent": (script.silence_of(0.8), False),
    "trickling": (script.begun(b'{"input_tokens": 7'), False),
    "zero": (counted(0), False),
    "null": (counted(None), False),
    "a text": (counted("12"), False),
    "negative": (counted(-5), False),
    "a fraction": (counted(1.5), False),
    "NaN": (script.raw(b'{"input_tokens": NaN}'), False),
    "huge": (counted(10**30), False),
    "nested": (counted({"input_tokens": 5}), False),
    "a list": (script.raw(b"[1]"), False),
    "no JSON": (script.raw(b"12"), False),
    "another object": (script.answer(), False),
    "an error with 200": (counted(5, error={"message": "No"}), False),
}


@every_count
@pytest.mark.parametrize(("said", "is_remembered"), UNUSABLE.values(), ids=UNUSABLE)
def test_elsewhere_the_count_is_estimated_and_says_so(
    path: str,
    said: Script,
    is_remembered: bool,
    post: Ask,
    payer: User,
    upstream: Upstream,
    settings: Any,
) -> None:
    settings.LLM_COUNT_SECONDS = 0.6
    upstream.script = said
    prompt = "word " * 500
    content: dict[str, Any] = (
        {"input": prompt}
        if "responses" in path
        else {"messages": [{"role": "user", "content": prompt}]}
    )
    for _ in range(2):
        answer = post(path, **content)
        assert (answer.status_code, answer["x-token-count"]) == (200, "estimated")
        assert 500 <= answer.json()["input_tokens"] <= 1200
    assert len(upstream.requests) == (1 if is_remembered else 2)
    assert Provider.objects.get().failures == 0
    assert "sk-provider" not in answer.content.decode()
    require_free(payer)


def test_a_provider_that_could_not_count_is_asked_again_later(
    post: Ask, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_COUNT_RETRY_SECONDS = 0
    upstream.script = script.once(script.error(404), counted(9))
    first, second = (post("/v1/messages/count_tokens") for _ in range(2))
    assert ("x-token-count" in first, second.json()) == (True, {"input_tokens": 9})


def test_an_image_counts_as_the_model_says(
    post: Ask, upstream: Upstream, model: LanguageModel
) -> None:
    LanguageModel.objects.update(image_tokens=1500)
    upstream.script = script.error(404)
    data = {"type": "base64", "media_type": "image/png", "data": "iVBOR" * 20_000}
    content = [{"type": "image", "source": data}, {"type": "text", "text": "What is this?"}]
    answer = post("/v1/messages/count_tokens", messages=[{"role": "user", "content": content}])
    assert 1500 < answer.json()["input_tokens"] < 1700


@pytest.mark.parametrize("text", ["", "Hi", "ภาษาไทย " * 100, "\U0001f600" * 50])
def test_no_prompt_has_no_tokens(text: str, post: Ask, upstream: Upstream) -> None:
    upstream.script = script.error(404)
    tokens = post("/v1/responses/input_tokens", input=text).json()["input_tokens"]
    assert max(len(text.encode()) // 4, 1) <= tokens <= len(text.encode()) + 20


def test_the_next_provider_is_asked(post: Ask, model: LanguageModel, upstream: Upstream) -> None:
    with script.serving() as other:
        row = Provider.objects.create(slug="other", name="Other", base_url=other.url)
        Deployment.objects.create(model=model, provider=row, order=9)
        upstream.script, other.script = script.error(404), counted(77)
        for _ in range(3):
            assert post("/v1/messages/count_tokens").json() == {"input_tokens": 77}
        assert (len(upstream.requests) <= 1, len(other.requests)) == (True, 3)


@every_count
def test_a_prompt_that_a_provider_refuses_is_400_in_its_words(
    path: str, post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.error(400, "roles must alternate")
    answer = post(path)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "roles must alternate"
    assert ("type" in answer.json()) == ("messages" in path)
    require_free(payer)


BAD: list[tuple[str, dict[str, Any], int]] = [
    ("/v1/messages/count_tokens", {"messages": None}, 400),
    ("/v1/messages/count_tokens", {"messages": "Hi"}, 400),
    ("/v1/messages/count_tokens", {"messages": []}, 400),
    ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": 5}]}, 400),
    ("/v1/messages/count_tokens", {"tools": "all"}, 400),
    ("/v1/messages/count_tokens", {"model": "unknown"}, 404),
    ("/v1/messages/count_tokens", {"model": 5}, 400),
    ("/v1/messages/count_tokens", {"system": {"a": {}}}, 400),
    ("/v1/responses/input_tokens", {"input": 5}, 400),
    ("/v1/responses/input_tokens", {"input": [{"type": "item_reference", "id": "x"}]}, 400),
    ("/v1/responses/input_tokens", {"previous_response_id": "resp_1"}, 400),
    ("/v1/responses/input_tokens", {"model": "gpt\u00e9" * 100}, 404),
    ("/v1/responses/compact", {"input": None}, 400),
    ("/v1/responses/compact", {"previous_response_id": "resp_1"}, 400),
    ("/v1/responses/compact", {"model": "unknown"}, 404),
]


@pytest.mark.parametrize(("path", "wrong", "status"), BAD)
def test_bad_input_is_refused_in_the_dialect_before_anybody_is_asked(
    path: str, wrong: dict[str, Any], status: int, post: Ask, payer: User, upstream: Upstream
) -> None:
    answer = post(path, **wrong)
    assert (answer.status_code, "type" in answer.json()) == (status, "messages" in path)
    assert upstream.requests == []
    require_free(payer)


@pytest.mark.parametrize("path", [*BODIES, COMPACT])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"a":' * 2000,
        b'{"input":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
def test_what_is_no_json_object_is_400(
    path: str, raw: bytes, client: Client, bearer: Any, payer: User, upstream: Upstream
) -> None:
    answer = client.post(path, raw, content_type="application/json", headers=bearer(payer))
    assert (answer.status_code, upstream.requests) == (400, [])


@pytest.mark.parametrize("path", [*BODIES, COMPACT])
def test_a_count_needs_credentials(
    path: str, client: Client, bearer: Any, payer: User, make_user: Any, upstream: Upstream
) -> None:
    for headers in ({}, {"Authorization": "Bearer sk-none"}, {"x-api-key": "nothing"}):
        answer = client.post(path, {}, content_type="application/json", headers=headers)
        assert (answer.status_code, "type" in answer.json()) == (401, "messages" in path)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    for method in ("get", "put", "delete"):
        answer = getattr(client, method)(path, headers=bearer(payer))
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert upstream.requests == []


@every_count
def test_who_has_no_credits_may_still_count(
    path: str, post: Ask, make_user: Any, upstream: Upstream
) -> None:
    upstream.script = counted(5)
    poor = make_user("poor@example.com", credits=0)
    assert post(path, user=poor).json()["input_tokens"] == 5


@every_count
def test_a_count_is_a_request_of_the_rate_and_has_no_tokens(
    path: str, post: Ask, payer: User, upstream: Upstream
) -> None:
    User.objects.filter(pk=payer.pk).update(requests_per_minute=3, tokens_per_minute=10)
    upstream.script = counted(1_000_000)
    answers = [post(path) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    last, refused = answers[2], answers[3]
    assert last["x-ratelimit-remaining-requests"] == "0"
    assert last["x-ratelimit-remaining-tokens"] == "10"
    assert int(refused["Retry-After"]) >= 1
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert ("type" in refused.json()) == ("messages" in path)
    assert len(upstream.requests) == 3


def test_a_used_up_token_rate_is_no_reason_to_refuse_a_count(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    User.objects.filter(pk=payer.pk).update(tokens_per_minute=50)
    upstream.script = script.raw(
        json.dumps(
            {
                "id": "r",
                "status": "completed",
                "output": [],
                "usage": {"input_tokens": 1, "output_tokens": 4000},
            }
        ).encode()
    )
    assert post("/v1/responses", max_output_tokens=40).status_code == 200
    assert post("/v1/responses", max_output_tokens=40).status_code == 429
    upstream.script = counted(9)
    assert post("/v1/responses/input_tokens").status_code == 200
    assert post("/v1/responses", max_output_tokens=40).status_code == 429  # it is not forgotten


def test_the_limits_of_a_key_count_too(
    client: Client, payer: User, model: LanguageModel, upstream: Upstream
) -> None:
    limits: Any = {"allowed_models": ["small"], "rates": {"requests_per_minute": 2}}
    key = api_keys.create(user=payer, name="CI", source=Source(), **limits).plain
    upstream.script = counted(5)

    def ask(**more: Any) -> int:
        body = {**BODIES["/v1/messages/count_tokens"], **more}
        return client.post(
            "/v1/messages/count_tokens",
            body,
            content_type="application/json",
            headers={"x-api-key": key},
        ).status_code

    assert [ask(model="large"), ask(), ask(), ask()] == [404, 200, 200, 429]


@every_count
def test_forty_at_once_are_counted_one_by_one(
    path: str, bearer: Any, payer: User, model: LanguageModel, upstream: Upstream
) -> None:
    User.objects.filter(pk=payer.pk).update(requests_per_minute=25)
    upstream.script, headers = counted(5), bearer(payer)

    def ask(_number: int) -> int:
        body = orjson.dumps(BODIES[path])
        answer = Client().post(path, body, content_type="application/json", headers=headers)
        return answer.status_code

    statuses = concurrently(ask, threads=40)
    # A request of the rate is free again every 2.4 seconds.
    assert (statuses.count(200), statuses.count(429)) in [(25, 15), (26, 14)]


@every_count
def test_an_idempotency_key_is_of_no_use_and_does_no_harm(
    path: str, post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = counted(5)
    for key in ("one", "one", "", "x" * 300):
        answer = post(path, headers={"Idempotency-Key": key})
        assert (answer.status_code, "idempotency-replayed" in answer) == (200, False)
    require_free(payer)


def test_the_sdks_count(
    live_server: Any, make_token: Any, payer: User, model: Any, upstream: Upstream
) -> None:
    upstream.script, token = counted(321), make_token(payer)
    claude = anthropic.Anthropic(base_url=live_server.url, api_key=token, max_retries=0)
    asked: Any = MESSAGES
    assert claude.messages.count_tokens(model="small", messages=asked).input_tokens == 321
    beta = claude.beta.messages.count_tokens(model="small", messages=asked)
    assert beta.input_tokens == 321
    sdk = openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=token, max_retries=0)
    answer = sdk.responses.input_tokens.count(model="small", input="Hi")
    assert (answer.object, answer.input_tokens) == ("response.input_tokens", 321)


# --- compaction


def test_a_compaction_is_charged_as_a_completion(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = compaction()
    answer = post(COMPACT, instructions="Be brief.", stream=True, store=False)
    assert answer.json()["_credits"] == {"used": 45, "remaining": CREDITS - 45}
    assert answer.json()["object"] == "response.compaction"
    assert (answer["x-credits-used"], "x-generation-id" in answer) == ("45", True)
    assert upstream.paths == [COMPACT]
    assert upstream.sent == {"model": "small", "input": "Hi", "instructions": "Be brief."}
    row = settled(payer)
    assert (row.charged, row.usage_source, row.route, row.finish_reason) == (
        45,
        "exact",
        COMPACT,
        "completed",
    )


def test_what_a_compaction_cannot_have_is_named(post: Ask, payer: User, upstream: Upstream) -> None:
    upstream.script = compaction(usage=(20, 50))
    answer = post(COMPACT, max_output_tokens=30, temperature=0.5, tool_choice="auto")
    assert answer["x-dropped-parameters"] == "temperature, tool_choice, max_output_tokens"
    assert upstream.sent == {"model": "small", "input": "Hi"}
    row = settled(payer)
    assert (row.charged, row.usage_source) == (170, "capped")
    assert row.dropped_parameters == ["temperature", "tool_choice", "max_output_tokens"]


def test_a_compaction_without_usage_costs_its_prompt(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = compaction(usage=None)
    post(COMPACT, input="word " * 400)
    row = settled(payer)
    assert (row.usage_source, row.charged, row.completion_tokens) == (
        "estimated",
        row.prompt_tokens,
        0,
    )
    assert 500 <= row.prompt_tokens <= 520


def test_a_compaction_that_reports_more_than_the_model_gives_is_capped(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    LanguageModel.objects.update(max_output_tokens=100)
    upstream.script = compaction(usage=(20, 10**9))
    post(COMPACT)
    assert (settled(payer).charged, settled(payer).usage_source) == (520, "capped")


@pytest.mark.parametrize("status", [404, 405, 501])
def test_where_no_provider_compacts_the_refusal_says_so(
    status: int, post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.error(status, "Invalid URL")
    answer = post(COMPACT)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "compaction_not_supported")
    assert "/v1/responses" in error["message"]
    assert (settled(payer).charged, settled(payer).status) == (0, "failed")
    assert Provider.objects.get().failures == 0


def test_another_failure_of_a_compaction_is_told_as_such(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.error(500)
    assert post(COMPACT).status_code == 502
    assert settled(payer).charged == 0


def test_a_compaction_is_repeated_without_a_second_charge(
    post: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = compaction()
    first, second = (post(COMPACT, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert (second.json(), second["Idempotency-Replayed"]) == (first.json(), "true")
    assert settled(payer).charged == 45


def test_the_sdk_compacts(
    live_server: Any, make_token: Any, payer: User, model: Any, upstream: Upstream
) -> None:
    upstream.script = compaction()
    sdk = openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=make_token(payer), max_retries=0)
    answer = sdk.responses.compact(model="small", input=[{"role": "user", "content": "Hi"}])
    assert (answer.output[-1].type, answer.usage.output_tokens) == ("compaction", 5)


# --- the list of models


@pytest.fixture
def models(payer: User, upstream: Upstream, settings: Any) -> list[str]:
    settings.LLM_UPSTREAM_MODELS = [f"m{number}" for number in range(7)]
    return sorted(settings.LLM_UPSTREAM_MODELS)


def test_anthropics_sdk_lists_all_models_page_by_page(
    live_server: Any, make_token: Any, payer: User, models: list[str]
) -> None:
    claude = anthropic.Anthropic(base_url=live_server.url, api_key=make_token(payer), max_retries=0)
    assert [model.id for model in claude.models.list(limit=3)] == models
    assert [model.id for model in claude.models.list(limit=1000)] == models
    assert [model.id for model in claude.models.list(limit=2, before_id="m5")] == [
        "m3",
        "m4",
        "m1",
        "m2",
        "m0",
    ]
    one = claude.models.retrieve("m3")
    assert (one.id, one.type, one.display_name, one.created_at.year > 2000) == (
        "m3",
        "model",
        "m3",
        True,
    )
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.models.retrieve("m9")
    assert unknown.value.request_id


PAGES: list[tuple[str, list[str], bool]] = [
    ("", ["m0", "m1", "m2", "m3", "m4", "m5", "m6"], False),
    ("limit=7", ["m0", "m1", "m2", "m3", "m4", "m5", "m6"], False),
    ("limit=6", ["m0", "m1", "m2", "m3", "m4", "m5"], True),
    ("limit=2&after_id=m4", ["m5", "m6"], False),
    ("limit=2&after_id=m3", ["m4", "m5"], True),
    ("after_id=m6", [], False),
    ("limit=2&before_id=m2", ["m0", "m1"], False),
    ("limit=2&before_id=m3", ["m1", "m2"], True),
    ("before_id=m0", [], False),
    ("limit=&after_id=&before_id=", ["m0", "m1", "m2", "m3", "m4", "m5", "m6"], False),
]


@pytest.mark.parametrize(("query", "expected", "has_more"), PAGES)
def test_pages_of_models(
    query: str,
    expected: list[str],
    has_more: bool,
    client: Client,
    bearer: Any,
    payer: User,
    models: Any,
) -> None:
    headers = {**bearer(payer), "anthropic-version": "2023-06-01"}
    page = client.get(f"/v1/models?{query}", headers=headers).json()
    assert ([model["id"] for model in page["data"]], page["has_more"]) == (expected, has_more)
    edges = (expected[0], expected[-1]) if expected else (None, None)
    assert (page["first_id"], page["last_id"]) == edges
    assert all(model["type"] == "model" and model["display_name"] for model in page["data"])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=1.0",
        "limit=%C2%B2",
        "limit=99999999",
        "after_id=m9",
        "before_id=x%27",
        "after_id=m1&before_id=m3",
        "after_id=" + "x" * 3000,
    ],
)
def test_a_page_that_is_none_is_400_in_anthropics_words(
    query: str, client: Client, bearer: Any, payer: User, models: Any
) -> None:
    headers = {**bearer(payer), "anthropic-version": "2023-06-01"}
    answer = client.get(f"/v1/models?{query}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert answer["request-id"] == answer["x-request-id"]
    openai_like = client.get(f"/v1/models?{query}", headers=bearer(payer))
    assert (openai_like.status_code, openai_like.json()["object"]) == (200, "list")


def test_a_list_for_nobody_is_401_in_the_words_of_its_reader(client: Client) -> None:
    for path in ("/v1/models", "/v1/models/m1"):
        assert "type" not in client.get(path).json()
        theirs = client.get(path, headers={"anthropic-version": "2023-06-01"})
        assert (theirs.status_code, theirs.json()["type"]) == (401, "error")
        assert theirs.json()["error"]["type"] == "authentication_error"
