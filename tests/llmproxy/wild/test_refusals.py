"""Whose fault a refusal is, what of it reaches the caller, and who is asked next (decision 24)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from llmproxy.upstream.refusals import confidential, verdicts
from llmproxy.upstream.refusals.complaints import parse_complaint
from llmproxy.upstream.refusals.confidential import Secrets
from llmproxy.upstream.refusals.verdicts import Fault
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.several import Several, tried
from tests.llmproxy.wild import refusal_rows as rows
from tests.llmproxy.wild.refusal_rows import Row

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk-live-4f9A8b7C6d5E4f3A2b1C"
ASKED = (
    '{"messages": [{"content": "compare gpt-5 with rs_0123abc, call_8x7 and file-9xQ2zz"}, '
    '{"image_url": "https://pics.example/cat.png", "tool_call_id": "call_AbC123"}]}'
)
SECRETS = Secrets(key=KEY, host="models.internal")


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    def call(**body: Any) -> Any:
        messages = [{"role": "tool", "tool_call_id": "call_8x7", "content": ASKED}]
        return chat(user, model="bright", **{"messages": messages, "max_tokens": 10, **body})

    return call


@pytest.mark.parametrize("row", [*rows.read_all(), *rows.HOSTILE], ids=str)
def test_an_error_is_the_fault_of_one(row: Row) -> None:
    assert verdicts.judge(row.error_status, parse_complaint(row.body), request=ASKED) is row.fault


@pytest.mark.parametrize("row", rows.read_all(Fault.OPERATOR, Fault.MODEL), ids=str)
def test_what_is_ours_goes_to_the_next_provider(ask: Any, several: Several, row: Row) -> None:
    several.add("first", script.raw(row.body, status=row.status))
    several.add("second")
    assert ask().json()["choices"][0]["message"]["content"] == "second"
    assert tried() == [("first", "upstream_error"), ("second", "")]


@pytest.mark.parametrize("row", rows.read_all(Fault.OPERATOR, Fault.MODEL), ids=str)
def test_what_is_ours_is_502_and_says_nothing(ask: Any, several: Several, row: Row) -> None:
    several.add("first", script.raw(row.body, status=row.status))
    answer = ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert answer.json()["error"]["message"].startswith("The provider failed.")
    assert several.provider("first").failures == (row.fault is not Fault.MODEL)


@pytest.mark.parametrize("row", rows.read_all(Fault.CALLER), ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["JSON", "stream"])
def test_what_is_the_callers_is_told_and_nobody_else_is_asked(
    ask: Any, several: Several, user: User, row: Row, stream: bool
) -> None:
    several.add("first", script.raw(row.body, status=row.status))
    second = several.add("second")
    answer = ask(stream=stream)
    assert answer.status_code == (row.status if 400 <= row.status < 500 else 400)
    assert answer.json()["error"]["message"]
    assert (second.requests, several.provider("first").failures) == ([], 0)
    assert ledger.balance(user).credits == 50
    assert Completion.objects.get().status == "failed"


def test_the_reason_behind_a_router_is_told(ask: Any, several: Several) -> None:
    error = {"message": "Model 'k2' supports at most 1 image.", "code": "too_many_images"}
    raw = orjson.dumps({"error": error}).decode()
    several.add("first", script.error(400, "Provider returned error", metadata={"raw": raw}))
    told = ask().json()["error"]
    assert told["message"] == "Model 'k2' supports at most 1 image."
    assert told["code"] == "too_many_images"


def test_a_conversation_that_is_too_long_has_the_code_that_clients_know(
    ask: Any, several: Several
) -> None:
    several.add("first", script.error(400, "prompt is too long: 9 tokens > 8 maximum"))
    assert ask().json()["error"]["code"] == "context_length_exceeded"


def test_an_error_event_is_judged_like_a_body(ask: Any, several: Several) -> None:
    event = b'event: error\ndata: {"message": "image input is not supported", "code": 500}\n\n'
    several.add("first", script.events(event))
    second = several.add("second")
    answer = ask(stream=True)
    assert (answer.status_code, second.requests) == (400, [])
    assert answer.json()["error"]["message"] == "image input is not supported"


def test_an_error_in_the_middle_tells_the_callers_fault(ask: Any, several: Several) -> None:
    error = orjson.dumps({"error": {"message": "Your output was flagged: content_filter"}})
    several.add("first", script.events(script.chunk("Hel"), b"data: " + error + b"\n\n"))
    text = text_of(ask(stream=True))
    assert "Your output was flagged" in text
    assert several.provider("first").failures == 0


@pytest.mark.parametrize(("came", "read"), rows.read_words())
def test_what_is_the_operators_is_hidden(came: str, read: str) -> None:
    names = {"own_name": "acme-gpt-prod", "model": "bright"}
    assert confidential.hide(came, SECRETS, **names, request=ASKED) == read


def test_the_words_of_a_refusal_are_hidden_on_their_way(ask: Any, several: Several) -> None:
    upstream = several.add("first")
    words = f"first-1 at {upstream.url}: 127.0.0.1 org-A1b2 does not support tools, call_8x7"
    upstream.script = script.error(400, words, param="http://10.0.0.1/x", code="proj_A1b2")
    told = ask().json()["error"]
    assert told["message"].startswith("bright at [hidden]")
    assert told["message"].endswith("[hidden] does not support tools, call_8x7")
    assert (told["param"], told["code"]) == ("[hidden]", "[hidden]")
    assert upstream.requests


def test_a_caller_cannot_ask_for_the_address(ask: Any, several: Several) -> None:
    """Words of the request stay, but not the host of the provider."""
    upstream = several.add("first")
    upstream.script = script.error(400, f"bad: {upstream.url} and 127.0.0.1")
    told = ask(messages=[{"role": "user", "content": f"{upstream.url} 127.0.0.1"}])
    assert "127.0.0.1" not in told.json()["error"]["message"]


# --- Who is blamed --------------------------------------------------------------------------------

CAUSED = {
    "a crash": script.error(500, "CUDA error"),
    "an unknown failure": script.raw(b'{"error": "x"}'),
    "no answer": script.raw(b"{}"),
    "a break": script.begun(b'{"choices": ', cut=True),
}
NOT_CAUSED = {
    "a key": script.error(401, "Invalid API key"),
    "a bill": script.error(402, "no credits"),
    "a rate": script.error(429),
    "an overload": script.error(503),
}


@pytest.fixture
def crowd(chat: Callable[..., Any], make_user: Callable[..., User]) -> Callable[..., Any]:
    """Ask as one of several users, by number."""
    users = [make_user(f"user{number}@example.com", credits=50) for number in range(3)]
    return lambda number, **body: chat(users[number], model="bright", **{"max_tokens": 10, **body})


def is_cooling(several: Several) -> bool:
    return several.provider("first").cooling_until is not None


@pytest.mark.parametrize("failure", CAUSED.values(), ids=CAUSED.keys())
def test_one_who_repeats_a_bad_request_blames_no_provider(
    crowd: Any, several: Several, failure: script.Script
) -> None:
    first = several.add("first", failure)
    several.add("second")
    for number in range(6):
        assert crowd(0, temperature=number / 10).status_code == 200
    assert not is_cooling(several)
    first.script = script.as_asked("first")
    assert crowd(1).json()["choices"][0]["message"]["content"] == "first"
    assert several.provider("first").failures == 0


@pytest.mark.parametrize("failure", CAUSED.values(), ids=CAUSED.keys())
def test_several_whose_requests_fail_blame_the_provider(
    crowd: Any, several: Several, failure: script.Script
) -> None:
    first = several.add("first", failure)
    several.add("second")
    for number in (0, 0, 1):
        crowd(number)
    assert is_cooling(several)
    crowd(2)
    assert len(first.requests) == 3


@pytest.mark.parametrize("failure", NOT_CAUSED.values(), ids=NOT_CAUSED.keys())
def test_what_no_request_can_cause_blames_at_once(
    crowd: Any, several: Several, failure: script.Script
) -> None:
    several.add("first", failure)
    several.add("second")
    for _ in range(3):
        crowd(0)
    assert is_cooling(several)


def test_a_provider_that_cannot_be_reached_is_blamed_at_once(crowd: Any, several: Several) -> None:
    several.add("first", url="http://127.0.0.1:9/v1")
    several.add("second")
    for _ in range(3):
        crowd(0)
    assert is_cooling(several)


def test_a_success_clears_the_blame(crowd: Any, several: Several) -> None:
    first = several.add("first", CAUSED["a crash"])
    several.add("second")
    crowd(0)
    crowd(0)
    first.script = script.as_asked("first")
    crowd(1)
    first.script = CAUSED["a crash"]
    for _ in range(4):
        crowd(1)
    row = several.provider("first")
    assert (row.cooling_until, row.failures, row.fails_for_others) == (None, 4, False)


def test_the_backend_blames_with_different_requests_only(
    client: Client, several: Several, settings: Any
) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = "static-token"
    settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC = True
    several.add("first", CAUSED["a crash"])
    several.add("second")

    def ask(text: str) -> None:
        body = {"model": "bright", "messages": [{"role": "user", "content": text}]}
        headers = {"Authorization": "Bearer static-token"}
        answer = client.post(
            "/v1/chat/completions", body, content_type="application/json", headers=headers
        )
        assert answer.status_code == 200

    for _ in range(4):
        ask("the same")
    assert not is_cooling(several)
    ask("another")
    assert is_cooling(several)
