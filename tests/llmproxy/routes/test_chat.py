"""Completions in JSON: exact charges, clear refusals, and no charge without an answer."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Plan, User
from accounts.toolbox.diagnosis import causes
from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy import catalogue
from llmproxy.models import Completion, LanguageModel
from tests.concurrently import concurrently
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db

Chat = Callable[..., Any]


def test_an_answer_says_what_it_cost_and_the_balance_falls_by_that(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.answer("Hello", usage=(1500, 600))
    response = chat(user)
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    assert response.json()["_credits"] == {"used": 3, "remaining": 47}
    assert (response["x-credits-used"], response["x-credits-remaining"]) == ("3", "47")
    assert ledger.balance(user) == ledger.Balance(credits=47, held=0, plan="free")


def test_the_receipt_explains_the_charge(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.answer(usage=(1500, 600))
    response = chat(user, headers={"x-trace-id": "trace-7"})
    receipt = Completion.objects.get(generation_id=response["x-generation-id"])
    assert (receipt.status, receipt.usage_source, receipt.finish_reason) == (
        "completed",
        "exact",
        "stop",
    )
    assert (
        receipt.prompt_tokens,
        receipt.completion_tokens,
        receipt.charged,
        receipt.balance_after,
    ) == (
        1500,
        600,
        3,
        47,
    )
    assert receipt.prices.cost(receipt.usage) == receipt.cost == 3
    assert receipt.trace_id == response["x-trace-id"] == "trace-7"
    assert upstream.requests[-1][1]["x-trace-id"] == "trace-7"
    row = Transaction.objects.get(type="usage")
    assert (row.amount, row.reference_id, row.hold) == (-3, receipt.generation_id, receipt.hold)


def test_every_answer_has_the_headers_that_clients_read(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    response = chat(user)
    for kind in ("requests", "tokens"):
        for fact in ("limit", "remaining", "reset"):
            assert response[f"x-ratelimit-{fact}-{kind}"]
    assert response["x-ratelimit-limit-requests"] == "120"
    assert response["x-request-id"].startswith("req_")


def test_the_provider_gets_its_key_and_our_limit_and_not_the_callers_token(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    chat(user, temperature=0.5, max_tokens=7, seed=3)
    body, headers = upstream.requests[-1]
    assert headers["Authorization"] == "Bearer sk-provider"
    assert body == {
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "max_tokens": 7,
        "seed": 3,
        "model": "small",
        "stream": False,
    }


def test_a_limit_keeps_the_spelling_it_came_with(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    chat(user, max_completion_tokens=7, max_tokens=9)
    assert upstream.sent["max_completion_tokens"] == 7
    assert "max_tokens" not in upstream.sent


def test_a_tiny_answer_costs_one_credit(chat: Chat, user: User, upstream: Upstream) -> None:
    assert chat(user).json()["_credits"]["used"] == 1


def test_an_explicit_zero_usage_costs_nothing(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.answer(usage=(0, 0))
    assert chat(user).json()["_credits"] == {"used": 0, "remaining": 50}


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -1}, [1]])
def test_an_answer_without_usable_usage_is_estimated(
    chat: Chat, user: User, upstream: Upstream, usage: Any
) -> None:
    upstream.script = script.answer("word " * 2000, usage=usage)
    assert chat(user).json()["_credits"]["used"] == 3
    assert Completion.objects.get().usage_source == "estimated"


def test_cached_prompt_tokens_have_their_own_price(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    chat(user)
    LanguageModel.objects.filter(name="small").update(
        prompt_price=Decimal(2), cached_prompt_price=Decimal("0.5"), completion_price=Decimal(4)
    )
    usage = {
        "prompt_tokens": 3000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 2000},
    }
    upstream.script = script.answer(usage=usage)
    assert chat(user).json()["_credits"]["used"] == 5  # 1000 at 2, 2000 at 0.5, 500 at 4


def test_a_free_model_answers_at_zero_balance(
    chat: Chat, make_user: Callable[..., User], upstream: Upstream
) -> None:
    poor = make_user("poor@example.com")
    assert chat(poor).status_code == 402
    LanguageModel.objects.update(prompt_price=0, cached_prompt_price=0, completion_price=0)
    assert chat(poor).json()["_credits"] == {"used": 0, "remaining": 0}


def test_without_credits_the_provider_is_not_called(
    chat: Chat, make_user: Callable[..., User], upstream: Upstream
) -> None:
    poor = make_user("poor@example.com")
    response = chat(poor)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (402, "insufficient_credits")
    assert (error["credits_required"], error["credits_available"], error["affordable_tokens"]) == (
        1,
        0,
        0,
    )
    assert error["message"].endswith(error["top_up_url"])
    assert error["top_up_url"] == "http://127.0.0.1:8000/account/credits"
    assert upstream.requests == []
    assert not Hold.objects.exists()
    assert not Completion.objects.exists()


def test_a_balance_for_a_short_answer_gets_a_short_answer(
    chat: Chat, make_user: Callable[..., User], upstream: Upstream
) -> None:
    response = chat(make_user("poor@example.com", credits=1), max_tokens=4000)
    limit = int(response["x-credits-clamped-max-tokens"])
    assert response.status_code == 200
    assert 900 < limit < 1000
    assert upstream.sent["max_tokens"] == limit == Completion.objects.get().clamped_max_tokens


@pytest.mark.parametrize(("wanted", "clamped"), [(None, None), (300, None), (301, "300")])
def test_who_asks_for_more_than_the_model_gives_is_told(
    chat: Chat, user: User, upstream: Upstream, wanted: int | None, clamped: str | None
) -> None:
    chat(user)
    LanguageModel.objects.update(max_output_tokens=300)
    response = chat(user, max_tokens=wanted)
    assert response.get("x-model-clamped-max-tokens") == clamped
    name = "max_tokens" if wanted else "max_completion_tokens"  # the caller's, else the newer one
    assert upstream.sent[name] == 300
    assert "x-credits-clamped-max-tokens" not in response


def test_an_answer_dearer_than_the_balance_takes_the_rest_and_records_the_shortfall(
    chat: Chat, make_user: Callable[..., User], upstream: Upstream
) -> None:
    poor = make_user("poor@example.com", credits=2)
    upstream.script = script.answer(usage=(9000, 20))
    assert chat(poor).json()["_credits"] == {"used": 2, "remaining": 0}
    receipt = Completion.objects.get()
    assert (receipt.cost, receipt.charged, receipt.uncollected) == (10, 2, 8)


def test_an_absurd_cost_is_charged_within_bounds_and_frees_the_hold(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    chat(user)
    LanguageModel.objects.update(prompt_price=Decimal(999_999))
    upstream.script = script.answer(usage=(2**39, 5))
    assert chat(user, max_tokens=5).status_code == 402
    LanguageModel.objects.update(prompt_price=Decimal(1))
    upstream.script = script.answer(usage=(2**39, 5))
    assert chat(user, max_tokens=5).json()["_credits"] == {"used": 1, "remaining": 48}
    assert Completion.objects.latest("id").usage_source == "capped"
    assert ledger.balance(user).held == 0


def test_a_providers_own_parameters_do_not_pass(chat: Chat, user: User, upstream: Upstream) -> None:
    chat(
        user,
        max_tokens=5,
        n_predict=1900,
        ignore_eos=True,
        n_cmpl=4,
        min_tokens=900,
        service_tier="priority",
    )
    assert set(upstream.sent) == {"messages", "model", "max_tokens", "stream"}


def test_a_hold_covers_text_with_a_token_for_every_byte(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(1630, 1))
    messages = [{"role": "user", "content": "7391" * 400}]
    assert chat(user, messages=messages, max_tokens=1).json()["_credits"]["used"] == 2
    assert Hold.objects.get().amount == 2


def test_half_a_character_does_not_break_an_answer(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    body = (
        b'{"choices": [{"message": {"content": "\\ud83d"}}], '
        b'"usage": {"prompt_tokens": 5, "completion_tokens": 1}}'
    )
    upstream.script = script.raw(body)
    response = chat(user)
    assert response.json()["_credits"]["used"] == 1
    assert b"\\ud83d" in response.content


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (
            script.error(400, "context too long", code="context_length_exceeded"),
            400,
            "context_length_exceeded",
        ),
        (script.error(422, "bad"), 422, "invalid_request_error"),
        (script.raw(b"<html>", status=400), 400, "invalid_request_error"),
        (script.error(401, "bad key sk-provider"), 502, "upstream_error"),
        (script.error(402, "pay"), 502, "upstream_error"),
        (script.error(403, "no"), 502, "upstream_error"),
        (script.error(404, "no model"), 502, "upstream_error"),
        (script.error(429, "slow down"), 503, "upstream_unavailable"),
        (script.error(500, "boom"), 502, "upstream_error"),
        (script.error(503, "boom"), 503, "upstream_unavailable"),
        (script.raw(b"", status=302), 502, "upstream_error"),
        (script.raw(b"not json"), 502, "upstream_error"),
        (script.raw(b"[]"), 502, "upstream_error"),
        (script.raw(b"{}"), 502, "upstream_error"),
        (
            script.raw(b'{"error": {"message": "sk-provider is out of quota"}}'),
            502,
            "upstream_error",
        ),
        (script.raw(b'{"choices": ' + b"[" * 2000 + b"]" * 2000 + b"}"), 502, "upstream_error"),
        (script.raw(b'{"choices": ' + b"[" * 900 + b"]" * 900 + b"}"), 502, "upstream_error"),
        (script.raw(b'{"choices": ' + b"[" * 300 + b"]" * 300 + b"}"), 502, "upstream_error"),
        (
            script.raw(b'{"error": {"message": ' + b"[" * 900 + b"]" * 900 + b"}}", status=400),
            400,
            "invalid_request_error",
        ),
        (lambda handler: handler.connection.shutdown(2), 502, "upstream_error"),
    ],
)
def test_a_failing_provider_charges_nothing_and_frees_the_hold(
    chat: Chat, user: User, upstream: Upstream, behaviour: script.Script, status: int, code: str
) -> None:
    upstream.script = behaviour
    response = chat(user)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "sk-provider" not in response.content.decode()
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")
    receipt = Completion.objects.get(generation_id=response["x-generation-id"])
    assert (receipt.status, receipt.charged, receipt.usage_source) == ("failed", 0, "none")


@pytest.mark.parametrize("status", [200, 400, 500])
def test_our_key_is_never_repeated_to_a_caller_or_a_log(
    chat: Chat, user: User, upstream: Upstream, caplog: Any, monkeypatch: Any, status: int
) -> None:
    monkeypatch.setattr(causes, "_windows", {})  # another test may have logged the same cause
    upstream.script = script.error(status, "Bearer sk-provider is not known")
    response = chat(user)
    assert response.status_code >= 400
    assert "sk-provider" not in response.content.decode()
    assert "sk-provider" not in caplog.text
    assert "[our key] is not known" in caplog.text + response.content.decode()


def test_an_unreachable_provider_is_503(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_UPSTREAM_BASE_URL = "http://127.0.0.1:1/v1"
    response = chat(user)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert ledger.balance(user).held == 0


def test_a_silent_provider_is_504(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_FIRST_BYTE_SECONDS = 0.2
    upstream.script = script.silence
    assert chat(user).json()["error"]["code"] == "upstream_timeout"
    assert ledger.balance(user).held == 0


def test_an_endless_answer_is_bounded(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_MAX_ANSWER_BYTES = 1000
    upstream.script = script.answer("x" * 2000)
    assert chat(user).status_code == 502


def test_an_unknown_model_is_404_and_not_rated(chat: Chat, user: User, upstream: Upstream) -> None:
    for name in ("gpt-unknown", " ", "small\0", "ä", "x" * 1000):
        response = chat(user, model=name)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
        assert response.json()["error"]["param"] == "model"
    assert not Hold.objects.exists()


def test_a_plan_may_allow_few_models(chat: Chat, user: User, upstream: Upstream) -> None:
    Plan.objects.filter(slug="free").update(allowed_models=["large"])
    assert chat(user, model="small").status_code == 404
    assert chat(user, model="large").status_code == 200


def test_an_inactive_model_is_404(chat: Chat, user: User, upstream: Upstream) -> None:
    assert chat(user).status_code == 200
    LanguageModel.objects.filter(name="small").update(is_active=False)
    assert chat(user).status_code == 404


def test_the_rate_of_the_plan_is_enforced(chat: Chat, user: User, upstream: Upstream) -> None:
    Plan.objects.filter(slug="free").update(requests_per_minute=2)
    assert [chat(user).status_code for _ in range(3)] == [200, 200, 429]
    response = chat(user)
    assert response.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(response["Retry-After"]) >= 1
    assert response["x-ratelimit-remaining-requests"] == "0"
    assert ledger.balance(user).held == 0


def test_llm_chat_is_always_json(chat: Chat, user: User, upstream: Upstream) -> None:
    response = chat(user, "/api/llm/chat", stream=True, stream_options={"include_usage": True})
    assert response.json()["_credits"] == {"used": 1, "remaining": 49}
    assert upstream.sent["stream"] is False
    assert "stream_options" not in upstream.sent


def test_models_lists_what_the_caller_may_use(
    client: Client, user: User, upstream: Upstream, bearer: Any
) -> None:
    listed = client.get("/v1/models", headers=bearer(user)).json()
    assert (listed["object"], [m["id"] for m in listed["data"]]) == ("list", ["large", "small"])
    Plan.objects.filter(slug="free").update(allowed_models=["large"])
    assert [m["id"] for m in client.get("/v1/models", headers=bearer(user)).json()["data"]] == [
        "large"
    ]
    assert client.get("/v1/models/large", headers=bearer(user)).json()["id"] == "large"
    assert client.get("/v1/models/small", headers=bearer(user)).status_code == 404
    assert client.get("/v1/models").status_code == 401


def test_a_model_says_its_prices_those_of_the_cache_included(
    client: Client, user: User, upstream: Upstream, bearer: Any
) -> None:
    catalogue.adopt_environment()
    LanguageModel.objects.update(prompt_price=2, cache_write_price=Decimal("2.5"))
    prices = client.get("/v1/models/small", headers=bearer(user)).json()["credits_per_1k_tokens"]
    assert prices == {"prompt": 2, "cached_prompt": 2, "cache_write": 2.5, "completion": 1}


@pytest.mark.django_db(transaction=True)
def test_many_windows_cannot_overdraw_one_balance(
    make_user: Callable[..., User], bearer: Any, upstream: Upstream
) -> None:
    user = make_user("busy@example.com", credits=10)
    headers = bearer(user)
    upstream.script = script.answer(usage=(500, 400))

    def call(number: int) -> int:
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 900}
        return (
            Client()
            .post("/v1/chat/completions", body, content_type="application/json", headers=headers)
            .status_code
        )

    statuses = concurrently(call, threads=24)
    assert sorted(set(statuses)) == [200, 402]
    assert statuses.count(200) == 10
    assert len(upstream.requests) == 10
    assert ledger.balance(user) == ledger.Balance(credits=0, held=0, plan="free")
    assert audit.run().findings == []
