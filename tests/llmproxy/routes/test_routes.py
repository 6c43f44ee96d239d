"""Every metered route has the same admission, charges, refusals and ends, in its own dialect."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Hold
from credits.proof import audit
from llmproxy import catalogue
from llmproxy.models import Completion, LanguageModel
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class RouteCase:
    """One route: its smallest body, the name of its limit, and a piece of its stream."""

    path: str
    body: dict[str, Any]
    limit: str = "max_tokens"
    piece: Callable[[str], bytes] | None = None
    start: tuple[bytes, ...] = ()
    reason: str = "stop"


MESSAGE = [{"role": "user", "content": "Hi"}]
TEXT = RouteCase(
    "/v1/completions", {"prompt": "Hi", "max_tokens": 900}, piece=scripted_routes.text_piece
)
EMBEDDINGS = RouteCase("/v1/embeddings", {"input": "Hi"}, limit="")
RESPONSES = RouteCase(
    "/v1/responses",
    {"input": "Hi"},
    "max_output_tokens",
    scripted_routes.response_piece,
    (scripted_routes.response_pieces()[0],),
    "completed",
)
MESSAGES = RouteCase(
    "/v1/messages",
    {"messages": MESSAGE, "max_tokens": 900},
    "max_tokens",
    scripted_routes.message_piece,
    (scripted_routes.message_start(),),
    "end_turn",
)
ROUTES = [TEXT, EMBEDDINGS, RESPONSES, MESSAGES]
STREAMED = [TEXT, RESPONSES, MESSAGES]
every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
every_stream = pytest.mark.parametrize("route", STREAMED, ids=lambda route: route.path)

Call = Callable[..., Any]


@pytest.fixture
def call(client: Client, bearer: Any) -> Call:
    """Call a route as a user; keyword arguments are added to its smallest body."""

    def post(route: RouteCase, user: User, *, headers: Any = None, **more: Any) -> Any:
        sent = {**bearer(user), **(headers or {})}
        return client.post(
            route.path, route.body | more, content_type="application/json", headers=sent
        )

    return post


def error_of(route: RouteCase, response: Any) -> dict[str, Any]:
    """Check the envelope of the error; return the error."""
    body: dict[str, Any] = response if isinstance(response, dict) else response.json()
    assert ("type" in body) == (route is MESSAGES)
    return body["error"]  # type: ignore[no-any-return]


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and data of the events, besides [DONE]."""
    blocks = [
        dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        for block in text.strip().split("\n\n")
    ]
    return [
        (block.get("event", ""), json.loads(block["data"]))
        for block in blocks
        if block["data"] != "[DONE]"
    ]


def settled(user: User) -> Completion:
    assert ledger.balance(user).held == 0
    assert not Hold.objects.filter(state="open").exists()
    return Completion.objects.get()


@every_route
def test_an_answer_is_charged_by_its_usage(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    usage = (1500, 0 if route is EMBEDDINGS else 600)
    upstream.script = scripted_routes.ANSWERS[route.path]("Hello", usage)
    response = call(route, user)
    cost = 2 if route is EMBEDDINGS else 3
    assert response.json()["_credits"] == {"used": cost, "remaining": 50 - cost}
    assert (response["x-credits-used"], upstream.paths) == (str(cost), [route.path])
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.charged, receipt.route) == (
        "completed",
        "exact",
        cost,
        route.path,
    )
    assert (receipt.prompt_tokens, receipt.completion_tokens) == usage


@every_stream
def test_a_stream_is_relayed_and_billed_before_its_last_event(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    pieces = scripted_routes.STREAMS[route.path]("Hel", "lo", usage=(1500, 600))
    upstream.script = script.events(*pieces)
    text = text_of(call(route, user, stream=True))
    bill = ': credits {"used":3,"remaining":47}\n'
    shown = pieces if route is not TEXT else [pieces[0], pieces[1], pieces[2], pieces[-1]]
    assert text == b"".join(shown[:-1]).decode() + bill + shown[-1].decode()
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.finish_reason) == (
        "completed",
        "exact",
        route.reason,
    )


@every_route
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post_is_taken(
    route: RouteCase, client: Client, user: User, bearer: Any, method: str
) -> None:
    response = getattr(client, method)(route.path, headers=bearer(user))
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert error_of(route, response)["code"] == "method_not_allowed"


@every_route
def test_without_credentials_the_answer_is_401(
    route: RouteCase, client: Client, upstream: Upstream
) -> None:
    response = client.post(route.path, route.body, content_type="application/json")
    assert (response.status_code, error_of(route, response)["type"]) == (
        401,
        "authentication_error",
    )
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert upstream.requests == []


@every_route
def test_the_key_may_come_as_anthropics_header(
    route: RouteCase, client: Client, user: User, make_token: Any, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]()
    headers = {"x-api-key": make_token(user)}
    answer = client.post(route.path, route.body, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    receipt = f"/v1/generation?id={answer['x-generation-id']}"
    for path in ("/v1/models", "/v1/credits", receipt):
        assert client.get(path, headers=headers).status_code == 200, path
    assert client.get("/v1/credits", headers={"x-api-key": "sk-none"}).status_code == 401


@pytest.mark.parametrize("path", ["/v1/messages/count", "/v1/messages/batches"])
def test_what_anthropic_alone_has_is_404_in_its_words(client: Client, path: str) -> None:
    answer = client.post(path, {}, content_type="application/json")
    assert (answer.status_code, answer.json()["type"], answer.json()["error"]["type"]) == (
        404,
        "error",
        "not_found_error",
    )
    assert answer["request-id"] == answer["x-request-id"]


@every_route
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff", b'{"a":' * 2000, b"[" * 300_000]
)
def test_what_is_no_json_object_is_400(
    route: RouteCase, client: Client, user: User, bearer: Any, upstream: Upstream, raw: bytes
) -> None:
    response = client.post(route.path, raw, content_type="application/json", headers=bearer(user))
    assert response.status_code == 400
    assert error_of(route, response)["type"] == "invalid_request_error"
    assert upstream.requests == []


@every_route
def test_without_credits_the_provider_is_not_asked(
    route: RouteCase, call: Call, make_user: Any, upstream: Upstream
) -> None:
    response = call(route, make_user("poor@example.com"))
    error = error_of(route, response)
    assert (response.status_code, error["code"]) == (402, "insufficient_credits")
    assert error["type"] == ("billing_error" if route is MESSAGES else "insufficient_quota")
    assert (error["credits_required"], error["credits_available"]) == (1, 0)
    assert error["top_up_url"].startswith("http")
    assert upstream.requests == []


@every_stream
def test_a_balance_for_a_short_answer_gets_a_short_answer(
    route: RouteCase, call: Call, make_user: Any, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]()
    response = call(route, make_user("poor@example.com", credits=1), **{route.limit: 4000})
    limit = int(response["x-credits-clamped-max-tokens"])
    assert 900 < limit < 1000
    assert upstream.sent[route.limit] == limit == Completion.objects.get().clamped_max_tokens


THINKING = {"type": "enabled", "budget_tokens": 3000, "display": "omitted"}


@pytest.mark.parametrize(("credits", "budget"), [(50, 3000), (3, 2990), (2, 1990)])
def test_a_shorter_answer_leaves_less_for_thinking(
    call: Call, make_user: Any, upstream: Upstream, credits: int, budget: int
) -> None:
    def strict(handler: script.Handler) -> None:
        """Refuse a thinking budget that Anthropic would refuse."""
        sent = upstream.sent
        good = 1024 <= sent["thinking"]["budget_tokens"] < sent["max_tokens"]
        (scripted_routes.message_answer() if good else script.error(400))(handler)

    upstream.script = strict
    response = call(
        MESSAGES, make_user("poor@example.com", credits=credits), max_tokens=4000, thinking=THINKING
    )
    assert response.status_code == 200
    sent = upstream.sent["thinking"]
    assert (sent["type"], sent["display"]) == ("enabled", "omitted")
    assert budget - 20 < sent["budget_tokens"] <= budget
    clamped = response.get("x-credits-clamped-budget-tokens")
    assert clamped == (
        None if budget == 3000 else str(int(response["x-credits-clamped-max-tokens"]) - 1)
    )
    assert sent["budget_tokens"] == int(clamped or 3000)


def test_thinking_that_the_credits_cannot_cover_is_402_and_holds_nothing(
    call: Call, make_user: Any, upstream: Upstream
) -> None:
    poor = make_user("poor@example.com", credits=1)
    response = call(MESSAGES, poor, max_tokens=4000, thinking=THINKING)
    error = error_of(MESSAGES, response)
    assert (response.status_code, error["code"], error["credits_required"]) == (
        402,
        "insufficient_credits",
        2,
    )
    assert "thinking" in error["message"]
    assert "1025" in error["message"]
    assert (upstream.requests, Hold.objects.count()) == ([], 0)
    upstream.script = scripted_routes.message_answer()
    assert call(MESSAGES, poor, max_tokens=4000).status_code == 200


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "adaptive"},
        {"type": "disabled"},
        {"type": "enabled", "budget_tokens": 9000},
        {"type": "enabled"},
        None,
    ],
)
def test_thinking_without_a_budget_below_the_limit_is_the_providers_to_judge(
    call: Call, make_user: Any, upstream: Upstream, thinking: Any
) -> None:
    upstream.script = scripted_routes.message_answer()
    response = call(
        MESSAGES, make_user("poor@example.com", credits=1), max_tokens=4000, thinking=thinking
    )
    assert (response.status_code, upstream.sent.get("thinking")) == (200, thinking)
    assert "x-credits-clamped-budget-tokens" not in response


FAILURES = {
    400: 400,
    413: 413,
    422: 422,
    401: 502,
    402: 502,
    429: 503,
    500: 502,
    503: 503,
    529: 503,
}


@every_route
@pytest.mark.parametrize("status", FAILURES)
def test_a_refusal_of_the_provider_costs_nothing(
    route: RouteCase, call: Call, user: User, upstream: Upstream, status: int
) -> None:
    upstream.script = script.error(status, "secret" if FAILURES[status] > 500 else "too long")
    response = call(route, user)
    assert response.status_code == FAILURES[status]
    assert "secret" not in error_of(route, response)["message"]
    receipt = settled(user)
    assert (receipt.status, receipt.charged) == ("failed", 0)


@every_route
@pytest.mark.parametrize("answer", [b"{}", b"[]", b"x", b'{"error": {"message": "secret"}}'])
def test_what_is_no_answer_costs_nothing(
    route: RouteCase, call: Call, user: User, upstream: Upstream, answer: bytes
) -> None:
    upstream.script = script.raw(answer)
    response = call(route, user)
    assert (response.status_code, error_of(route, response)["code"]) == (502, "upstream_error")
    assert settled(user).charged == 0


@every_stream
@pytest.mark.parametrize("cut", [True, False])
def test_a_stream_that_breaks_is_charged_by_what_went_by(
    route: RouteCase, call: Call, user: User, upstream: Upstream, cut: bool
) -> None:
    assert route.piece
    upstream.script = script.events(*route.start, route.piece("word " * 800), cut=cut)
    text = text_of(call(route, user, stream=True, **{route.limit: 4000}))
    *_, failure, end = read_events(text)
    name, event = failure if route is TEXT else end
    assert name == ("" if route is TEXT else "error")
    assert event["error"]["code"] == "upstream_error"
    assert route is not RESPONSES or event["code"] == "upstream_error"
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.completion_tokens) == (
        "failed",
        "estimated",
        1000,
    )
    assert (
        text.index(": credits") < text.index("upstream_error")
        if route is not TEXT
        else text.endswith("[DONE]\n\n")
    )


@every_stream
def test_an_error_before_anything_was_said_is_plain_json(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(
        b'event: error\ndata: {"type": "error", "error": {"message": "secret"}}\n\n'
    )
    response = call(route, user, stream=True)
    assert (response.status_code, error_of(route, response)["code"]) == (502, "upstream_error")
    assert settled(user).charged == 0


@every_stream
def test_who_leaves_pays_for_what_was_generated(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    assert route.piece
    upstream.script = script.until_hung_up(*route.start, route.piece("word " * 800))
    response = call(route, user, stream=True, **{route.limit: 4000})
    read = iter(response.streaming_content)
    while b"word" not in next(read):
        pass
    response.close()
    assert upstream.hung_up.wait(8)
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.completion_tokens) == (
        "interrupted",
        "estimated",
        1000,
    )


@every_stream
def test_an_answer_longer_than_was_paid_for_ends_well_formed(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    assert route.piece
    upstream.script = script.events(*route.start, *[route.piece("word ")] * 200)
    text = text_of(call(route, user, stream=True, **{route.limit: 2}))
    assert text.count("word ") < 100
    receipt = settled(user)
    assert (receipt.status, receipt.finish_reason, receipt.completion_tokens) == (
        "completed",
        "length",
        2,
    )
    name, event = read_events(text)[-1]
    if route is TEXT:
        assert event["choices"] == [
            {"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}
        ]
    elif route is RESPONSES:
        assert (name, event["response"]["incomplete_details"]) == (
            "response.incomplete",
            {"reason": "max_output_tokens"},
        )
    else:
        assert (name, '"stop_reason":"max_tokens"' in text) == ("message_stop", True)


@every_route
def test_an_answer_without_usage_is_estimated(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]("word " * 800, None)
    call(route, user, **({route.limit: 4000} if route.limit else {}))
    receipt = settled(user)
    assert receipt.usage_source == "estimated"
    assert receipt.completion_tokens == (0 if route is EMBEDDINGS else 1000)
    assert 0 < receipt.prompt_tokens < 20


@every_stream
def test_a_stream_without_usage_is_estimated(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*scripted_routes.STREAMS[route.path]("word " * 800, usage=None))
    text_of(call(route, user, stream=True, **{route.limit: 4000}))
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.completion_tokens) == (
        "completed",
        "estimated",
        1000,
    )


@every_route
def test_usage_beyond_what_was_allowed_is_capped(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    usage = (2**30, 0) if route is EMBEDDINGS else (20, 5000)
    upstream.script = scripted_routes.ANSWERS[route.path]("Hello", usage)
    call(route, user, **({route.limit: 1000} if route.limit else {}))
    receipt = settled(user)
    assert receipt.usage_source == "capped"
    assert receipt.completion_tokens == (0 if route is EMBEDDINGS else 1000)
    assert receipt.prompt_tokens < 51_000


@every_route
def test_a_repeated_request_gets_the_first_answer_and_is_charged_once(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]()
    first, second = (call(route, user, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert (len(upstream.requests), settled(user).charged) == (1, 1)
    other = call(route, user, headers={"Idempotency-Key": "one"}, top_p=0.5)
    assert (other.status_code, error_of(route, other)["code"]) == (409, "idempotency_conflict")


@every_route
def test_parameters_of_a_provider_of_its_own_do_not_pass(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]()
    odd = {
        "service_tier": "priority",
        "speed": "fast",
        "inference_geo": "us",
        "n_predict": 9,
        "min_tokens": 9,
    }
    assert call(route, user, **odd).status_code == 200
    assert not set(odd) & set(upstream.sent)


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/batches",
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/cancel",
        "/v1/files",
        "/v1/batches",
        "/v1/audio/speech",
        "/v1/images/generations",
        "/v1/moderations",
    ],
)
def test_nothing_passes_that_is_not_metered(
    client: Client, user: User, bearer: Any, upstream: Upstream, path: str, method: str
) -> None:
    assert getattr(client, method)(path, headers=bearer(user)).status_code == 404
    assert upstream.requests == []


@pytest.mark.parametrize("route", [TEXT, EMBEDDINGS], ids=lambda route: route.path)
def test_tokens_that_come_as_numbers_are_held_and_estimated_as_so_many(
    route: RouteCase, call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS[route.path]("Hello", None)
    name = "prompt" if route is TEXT else "input"
    call(route, user, **{name: [7] * 5000, "max_tokens": 3000})
    assert (settled(user).held, settled(user).prompt_tokens) == (8 if route is TEXT else 5, 5000)


@pytest.mark.parametrize("stream", [False, True])
def test_an_echo_is_not_charged_as_an_answer(
    call: Call, user: User, upstream: Upstream, stream: bool
) -> None:
    prompt, more = "word " * 4000, {"echo": True, "stream": stream}
    pieces = scripted_routes.text_pieces(prompt, "x" * 40, usage=None)
    upstream.script = (
        script.events(*pieces) if stream else scripted_routes.text_answer(prompt + "x" * 40, None)
    )
    response = call(TEXT, user, prompt=prompt, max_tokens=30, **more)
    if stream:
        text_of(response)
    receipt = settled(user)
    assert (receipt.status, receipt.finish_reason, receipt.completion_tokens) == (
        "completed",
        "stop",
        10,
    )


def test_a_prompt_whose_message_failed_before_it_began_is_not_charged(
    call: Call, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(scripted_routes.message_start(3000), cut=True)
    assert call(MESSAGES, user, stream=True).status_code == 502
    assert (settled(user).charged, settled(user).status) == (0, "failed")


@pytest.fixture
def anthropic(upstream: Upstream) -> LanguageModel:
    """A model whose prices have the same ratios as Anthropic's."""
    catalogue.adopt_environment()
    prices = {
        "prompt_price": 4,
        "cached_prompt_price": Decimal("0.4"),
        "cache_write_price": 5,
        "completion_price": 20,
    }
    LanguageModel.objects.filter(name="small").update(**prices)
    return LanguageModel.objects.get(name="small")


def test_what_a_message_wrote_to_a_cache_has_its_own_price(
    call: Call, make_user: Any, upstream: Upstream, anthropic: LanguageModel
) -> None:
    usage = {
        "input_tokens": 500,
        "cache_creation_input_tokens": 2000,
        "cache_read_input_tokens": 5000,
    }
    upstream.script = scripted_routes.as_message(usage={**usage, "output_tokens": 100})
    user = make_user("rich@example.com", credits=5000)
    # 500 tokens at 4, 2000 at 5, 5000 at 0.4, 100 at 20
    assert call(MESSAGES, user).json()["_credits"]["used"] == 16
    receipt = settled(user)
    assert (receipt.prompt_tokens, receipt.cached_tokens, receipt.cache_write_tokens) == (
        7500,
        5000,
        2000,
    )
    assert (receipt.prices["cache_write"], receipt.usage_source) == (Decimal(5), "exact")
    assert audit.run().findings == []


def test_a_write_costs_what_the_prompt_costs_where_it_has_no_price(
    call: Call, user: User, upstream: Upstream, anthropic: LanguageModel
) -> None:
    LanguageModel.objects.update(cache_write_price=None)
    usage = {"input_tokens": 500, "cache_creation_input_tokens": 2000, "output_tokens": 0}
    upstream.script = scripted_routes.as_message(usage=usage)
    assert call(MESSAGES, user, max_tokens=10).json()["_credits"]["used"] == 10
    assert settled(user).prices["cache_write"] == 4


def test_the_hold_covers_a_prompt_that_is_all_written(
    call: Call, make_user: Any, upstream: Upstream, anthropic: LanguageModel
) -> None:
    prompt = [{"role": "user", "content": "x" * 10_000}]
    user = make_user("rich@example.com", credits=5000)
    call(MESSAGES, user, messages=prompt, max_tokens=1)
    assert 50 <= settled(user).held <= 51  # 10,000 bytes at the price 5, not 4


@pytest.mark.parametrize(("credits", "status"), [(38, 402), (41, 200)])
def test_thinking_is_covered_also_if_all_of_the_prompt_is_written(
    call: Call,
    make_user: Any,
    upstream: Upstream,
    anthropic: LanguageModel,
    credits: int,
    status: int,
) -> None:
    upstream.script = scripted_routes.message_answer()
    # 4,000 tokens: 16 credits, or 20 if all are written to the cache.
    prompt = [{"role": "user", "content": "x" * 9900}]
    user = make_user("poor@example.com", credits=credits)
    assert (
        call(MESSAGES, user, messages=prompt, max_tokens=4000, thinking=THINKING).status_code
        == status
    )
    assert len(upstream.requests) == (status == 200)
    if status == 200:
        assert upstream.sent["thinking"]["budget_tokens"] < upstream.sent["max_tokens"]


def test_a_price_of_a_write_alone_needs_a_balance(
    call: Call, make_user: Any, upstream: Upstream, anthropic: LanguageModel
) -> None:
    LanguageModel.objects.update(prompt_price=0, cached_prompt_price=0, completion_price=0)
    assert call(MESSAGES, make_user("poor@example.com")).status_code == 402


def test_a_cache_for_a_day_is_refused_in_the_words_of_the_route(
    call: Call, user: User, upstream: Upstream
) -> None:
    day = {"type": "ephemeral", "ttl": "24h"}
    response = call(MESSAGES, user, system=[{"type": "text", "text": "Hi", "cache_control": day}])
    error = error_of(MESSAGES, response)
    assert (response.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        "system.cache_control.ttl",
    )
    assert '"5m"' in error["message"]
    assert (upstream.requests, Hold.objects.count()) == ([], 0)


def test_who_leaves_a_message_before_it_began_pays_for_its_prompt(
    call: Call, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    upstream.script = script.until_hung_up(scripted_routes.message_start(3000))
    response = call(MESSAGES, user, stream=True)
    next(iter(response.streaming_content))
    response.close()
    assert (settled(user).charged, settled(user).prompt_tokens, settled(user).usage_source) == (
        4,
        3000,
        "estimated",
    )
