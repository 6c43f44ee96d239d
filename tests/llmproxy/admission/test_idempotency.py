"""`Idempotency-Key`: however often a request is repeated, it is one call and one charge."""

import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.test import Client

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy.admission import idempotency
from llmproxy.models import Completion, IdempotencyKey, LanguageModel, Rate
from tests.clock import control_clock
from tests.concurrently import concurrently
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES, text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/v1/chat/completions"
Ask = Callable[..., Any]


@pytest.fixture
def token(user: User) -> str:
    """An API key, because an access token expires within the day that a test lets pass."""
    return api_keys.create(user=user, name="CI", source=Source()).plain


@pytest.fixture
def ask(token: str) -> Ask:
    def call(key: str | None = "k-1", *, token: str = token, path: str = PATH, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} | (
            {} if key is None else {"Idempotency-Key": key}
        )
        raw = orjson.dumps({"messages": MESSAGES, **body})
        return Client().post(path, raw, content_type="application/json", headers=headers)

    return call


def conflict(answer: Any) -> str:
    """Check that this is a conflict; return the id of the first completion."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "idempotency_conflict")
    return str(error["generation_id"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"message": {"content": "Hello"}}], '
        b'"usage": {"prompt_tokens": 1500, "completion_tokens": 5}}',
        b'{"choices":[{"message":{"content":"\\ud83d \xf0\x9f\x98\x80"}}],"z":1e3,'
        b'"a":123456789012345678901234567890}',
        b'{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}',
    ],
    ids=["usual", "odd", "free"],
)
def test_a_repetition_gets_the_same_bytes_and_no_charge(
    ask: Ask, user: User, upstream: Upstream, body: bytes
) -> None:
    upstream.script = script.raw(body)
    first, again = ask(), ask()
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    for name in ("x-generation-id", "x-credits-used", "x-credits-remaining", "Content-Type"):
        assert again[name] == first[name]
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert again["x-trace-id"] != first["x-trace-id"]
    assert (len(upstream.requests), Completion.objects.count(), Hold.objects.count()) == (1, 1, 1)
    assert ledger.balance(user).held == 0


def test_a_repetition_says_what_the_rates_leave_now(
    ask: Ask, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.WEB_LLM_RPM = 2
    assert [ask(key)["x-ratelimit-remaining-requests"] for key in ("k-1", "k-2")] == ["1", "0"]
    again, conflicting = ask("k-1"), ask("k-1", temperature=1)
    assert (again.status_code, conflicting.status_code) == (200, 409)
    for answer in (again, conflicting):
        limits = {
            name: answer[f"x-ratelimit-{name}"]
            for name in ("limit-requests", "remaining-requests", "limit-tokens")
        }
        assert limits == {
            "limit-requests": "2",
            "remaining-requests": "0",
            "limit-tokens": "2000000",
        }
        assert 50 < float(answer["x-ratelimit-reset-requests"].removesuffix("s")) <= 60


def test_without_a_key_a_repetition_is_a_new_request(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    assert ask(None)["x-generation-id"] != ask(None)["x-generation-id"]
    assert ledger.balance(user).credits == 48


def test_16_at_once_are_one_call_and_one_charge(ask: Ask, user: User, upstream: Upstream) -> None:
    refused, enough = [], threading.Event()

    def slow(handler: script.Handler) -> None:
        enough.wait(8)
        script.answer(usage=(1500, 5))(handler)

    def one(_: int) -> Any:
        answer = ask()
        if answer.status_code == 409:
            refused.append(answer)
            if len(refused) == 15:
                enough.set()
        return answer

    upstream.script = slow
    answers = concurrently(one, threads=16)
    (first,) = [answer for answer in answers if answer.status_code == 200]
    assert {conflict(answer) for answer in refused} == {first["x-generation-id"]}
    assert {answer["Retry-After"] for answer in refused} == {"1"}
    assert (len(refused), len(upstream.requests), Hold.objects.count()) == (15, 1, 1)
    assert list(Transaction.objects.filter(type="usage").values_list("amount", flat=True)) == [-2]
    assert ask().content == first.content
    assert audit.run().findings == []


@pytest.mark.parametrize("other", [{"temperature": 1}, {"path": "/api/llm/chat"}])
def test_another_request_with_the_same_key_is_409(
    ask: Ask, user: User, upstream: Upstream, other: Any
) -> None:
    first = ask()
    assert conflict(ask(**other)) == first["x-generation-id"]
    assert (len(upstream.requests), ledger.balance(user).credits) == (1, 49)


def test_a_stream_that_ran_is_409_with_its_receipt(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    upstream.script = script.streamed("Hello")
    first = ask(stream=True)
    assert "Hello" in text_of(first)
    again = ask(stream=True)
    assert conflict(again) == first["x-generation-id"]
    assert "receipt" in again.json()["error"]["message"]
    assert (len(upstream.requests), ledger.balance(user).credits) == (1, 49)


def test_a_stream_that_still_runs_is_409_too(ask: Ask, user: User, upstream: Upstream) -> None:
    rest = threading.Event()
    upstream.script = script.events(
        script.chunk("Hi"), rest, script.chunk(finish="stop"), script.DONE
    )
    first = ask(stream=True)
    assert conflict(ask(stream=True)) == first["x-generation-id"]
    rest.set()
    text_of(first)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("stream", [True, False])
def test_after_a_first_that_failed_it_runs_again(
    ask: Ask, user: User, upstream: Upstream, stream: Any
) -> None:
    upstream.script = script.error(500)
    failed = ask(stream=stream)
    assert failed.status_code == 502
    upstream.script = script.as_asked("Hello")
    again = ask(stream=stream)
    assert again.status_code == 200
    if stream:
        text_of(again)
    assert again["x-generation-id"] != failed["x-generation-id"]
    assert list(Transaction.objects.filter(type="usage").values_list("amount", flat=True)) == [-1]


def test_a_stream_that_broke_off_and_was_charged_does_not_run_again(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(script.chunk("word " * 2000), cut=True)
    first = ask(stream=True)
    assert '"upstream_error"' in text_of(first)
    assert conflict(ask(stream=True)) == first["x-generation-id"]
    assert ledger.balance(user).credits == 47


def test_a_refused_first_leaves_the_key_free(
    ask: Ask, user: User, make_user: Any, upstream: Upstream
) -> None:
    poor = make_user("poor@example.com")
    other = api_keys.create(user=poor, name="CI", source=Source()).plain
    assert ask(token=other).status_code == 402
    assert ask(token=other, max_tokens=-1).status_code == 400
    ledger.adjust(user=poor, amount=5, reason="Gift", actor=None)
    assert ask(token=other).status_code == 200


def test_a_repetition_is_answered_although_nothing_is_left(
    ask: Ask, make_user: Any, upstream: Upstream
) -> None:
    poor = make_user("poor@example.com", credits=1)
    other = api_keys.create(user=poor, name="CI", source=Source()).plain
    first = ask(token=other)
    assert ask(token=other).content == first.content
    assert ask("k-2", token=other).status_code == 402


def test_after_a_day_it_runs_again(ask: Ask, user: User, upstream: Upstream) -> None:
    with control_clock() as clock:
        first = ask()
        clock.forward(24 * 3600 - 60)
        assert ask()["x-generation-id"] == first["x-generation-id"]
        clock.forward(120)
        again = ask(temperature=1)
        assert (again.status_code, len(upstream.requests)) == (200, 2)
        assert again["x-generation-id"] != first["x-generation-id"]
        assert ask(temperature=1).content == again.content
    assert ledger.balance(user).credits == 48


def test_a_first_whose_worker_died_blocks_until_its_hold_ends(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    with control_clock() as clock:
        ask()
        IdempotencyKey.objects.update(running_until="2100-01-01T00:00Z", answer="")
        assert "still running" in ask().json()["error"]["message"]
        IdempotencyKey.objects.update(running_until=IdempotencyKey.objects.get().created_at)
        clock.forward(1)
        assert ask().status_code == 200
    assert len(upstream.requests) == 2


def test_the_key_of_another_user_is_another_key(
    ask: Ask, make_user: Any, upstream: Upstream
) -> None:
    other = api_keys.create(
        user=make_user("bob@example.com", credits=5), name="CI", source=Source()
    ).plain
    first, theirs = ask(), ask(token=other, temperature=1)
    assert (theirs.status_code, theirs.get("Idempotency-Replayed")) == (200, None)
    assert first["x-generation-id"] != theirs["x-generation-id"]
    assert len(upstream.requests) == 2


def test_the_same_user_by_another_credential_is_the_same_key(
    ask: Ask, user: User, make_token: Any, upstream: Upstream
) -> None:
    assert ask(token=make_token(user)).content == ask().content
    assert len(upstream.requests) == 1


def test_the_backend_without_a_user_has_keys_of_its_own(
    ask: Ask, upstream: Upstream, settings: Any
) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN, settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC = (
        "static-secret",
        True,
    )
    mine, first = ask(), ask(token="static-secret")
    assert first["x-generation-id"] != mine["x-generation-id"]
    assert ask(token="static-secret").content == first.content
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\x07b", "a\x7f", "\t"])
def test_a_malformed_key_is_400(ask: Ask, upstream: Upstream, key: str) -> None:
    answer = ask(key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request_error")
    assert upstream.requests == []


@pytest.mark.parametrize("key", ["x" * 255, " ", "a b\"'%s{}~"])
def test_any_printable_key_will_do(ask: Ask, upstream: Upstream, key: str) -> None:
    assert ask(key).content == ask(key).content
    assert len(upstream.requests) == 1


def test_an_answer_is_kept_encrypted(ask: Ask, upstream: Upstream) -> None:
    upstream.script = script.answer("a very private answer")
    ask()
    row = IdempotencyKey.objects.get()
    assert row.answer
    assert "private" not in row.answer
    assert "private" in str(idempotency.opened(row.answer))
    assert MESSAGES[0]["content"] not in (row.digest, row.answer)


@pytest.mark.parametrize("why", ["too large", "unreadable"])
def test_an_answer_that_cannot_be_given_again_is_409(
    ask: Ask, user: User, upstream: Upstream, settings: Any, why: str
) -> None:
    if why == "too large":
        settings.IDEMPOTENT_ANSWER_BYTES = 50
    first = ask()
    if why == "unreadable":
        IdempotencyKey.objects.update(answer="rubbish")
    assert conflict(ask()) == first["x-generation-id"]
    assert (len(upstream.requests), ledger.balance(user).credits) == (1, 49)


def test_tick_forgets_old_keys(ask: Ask, upstream: Upstream) -> None:
    with control_clock() as clock:
        ask("old")
        clock.forward(24 * 3600 + 1)
        ask("new")
        call_command("tick", verbosity=0)
    assert IdempotencyKey.objects.get().key == "new"


def test_a_key_that_may_not_use_the_model_gets_none_of_its_answers(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    assert ask(model="large").status_code == 200
    limited = api_keys.create(
        user=user, name="Small", source=Source(), allowed_models=["small"]
    ).plain
    answer = ask(model="large", token=limited)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_a_repetition_is_answered_though_its_model_is_gone(
    ask: Ask, user: User, upstream: Upstream
) -> None:
    first = ask(model="large")
    LanguageModel.objects.update(is_active=False)
    assert ask(model="large").content == first.content


def test_tick_forgets_rates_that_are_free_again(ask: Ask, user: User, upstream: Upstream) -> None:
    ask(max_tokens=1)
    assert Rate.objects.exists()
    Rate.objects.update(requests=user.date_joined, tokens=user.date_joined)
    call_command("tick")
    assert not Rate.objects.exists()
