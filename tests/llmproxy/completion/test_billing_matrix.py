"""The rows of docs/billing.md for `/v1/chat/completions`: the response, the charge and the receipt.

The other routes are tested in test_routes.py. This module also checks that the document names the
tests of all routes.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction
from credits.operators import actions
from credits.proof import audit
from llmproxy.models import Completion, Deployment, Endpoint, LanguageModel, Provider
from llmproxy.receipts import explain
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.routes.test_routes import ROUTES
from tests.llmproxy.scripted_upstream import Script, Upstream

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
Chat = Callable[..., Any]
LONG = "word " * 2000  # 10,000 bytes, estimated as 2,500 tokens


@dataclass(frozen=True)
class Case:
    """What a provider does, and the result. `error` is the code in the response, empty if none."""

    does: Script
    charged: int
    usage: str
    receipt: str = "completed"
    status: int = 200
    error: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def assert_settled(user: User, case: Case) -> None:
    """Check that the case was charged once, that nothing is held, and that the receipt agrees."""
    row = Completion.objects.get()
    assert (row.status, row.usage_source, row.charged) == (case.receipt, case.usage, case.charged)
    assert explain.recompute_cost(row) == row.cost
    assert (row.error or "") == case.error
    assert ledger.balance(user) == ledger.Balance(credits=50 - case.charged, held=0, plan="free")
    charges = list(Transaction.objects.filter(type="usage").values_list("amount", flat=True))
    assert charges == ([-case.charged] if case.charged else [])
    assert audit.run().findings == []


def cut_json(handler: script.Handler) -> None:
    """A part of an answer that is shorter than its Content-Length."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"message": {"content": "Hel')
    handler.connection.shutdown(2)


failed = partial(Case, charged=0, usage="none", receipt="failed")
ours = partial(failed, status=502, error="upstream_error")
JSON = {
    "with usage": Case(script.answer(usage=(1500, 600)), 3, "exact"),
    "without usage": Case(script.answer(LONG, usage=None), 3, "estimated"),
    "usage zero": Case(script.answer(usage=(0, 0)), 0, "exact"),
    "usage beyond what was allowed": Case(
        script.answer(usage=(20, 2**39)), 2, "capped", body={"max_tokens": 1000}
    ),
    "max_tokens ignored": Case(
        script.answer(usage=(20, 5000)), 2, "capped", body={"max_tokens": 1000}
    ),
    "max_tokens ignored, without usage": Case(
        script.answer(LONG, usage=None), 2, "estimated", body={"max_tokens": 1000}
    ),
    "empty, without usage": Case(script.answer("", usage=None), 0, "none"),
    "cut": ours(cut_json),
    "no JSON": ours(script.raw(b"<html>")),
    "an error with a good status": ours(script.raw(b'{"error": {"message": "no"}}')),
    "400": failed(
        script.error(400, code="context_length_exceeded"),
        status=400,
        error="context_length_exceeded",
    ),
    "413": failed(script.error(413), status=413, error="invalid_request_error"),
    "415": failed(script.error(415), status=415, error="invalid_request_error"),
    "422": failed(script.error(422), status=422, error="invalid_request_error"),
    "401": ours(script.error(401)),
    "402": ours(script.error(402)),
    "403": ours(script.error(403)),
    "404": ours(script.error(404)),
    "429": ours(script.error(429), status=503, error="upstream_unavailable"),
    "500": ours(script.error(500)),
    "not reachable": ours(
        script.silence,
        status=503,
        error="upstream_unavailable",
        settings={"LLM_UPSTREAM_BASE_URL": "http://127.0.0.1:1/v1"},
    ),
    "silent": ours(
        script.silence,
        status=504,
        error="upstream_timeout",
        settings={"LLM_FIRST_BYTE_SECONDS": 0.2},
    ),
    "hung up": ours(lambda handler: handler.connection.shutdown(2)),
    "half a character in its id": Case(
        script.raw(
            b'{"id": "\\ud83d", "choices": [{"finish_reason": "\\ud83d"}], '
            b'"usage": {"prompt_tokens": 5}}'
        ),
        1,
        "exact",
    ),
}


@pytest.mark.parametrize("case", JSON.values(), ids=JSON.keys())
def test_a_json_answer(
    chat: Chat, user: User, upstream: Upstream, settings: Any, case: Case
) -> None:
    for name, value in case.settings.items():
        setattr(settings, name, value)
    upstream.script = case.does
    answer = chat(user, **case.body)
    assert answer.status_code == case.status
    if case.status == 200:
        assert answer.json()["_credits"] == {"used": case.charged, "remaining": 50 - case.charged}
    else:
        assert answer.json()["error"]["code"] == case.error
    assert answer["x-generation-id"] == Completion.objects.get().generation_id
    assert_settled(user, case)


NEVER = (
    threading.Event()
)  # the provider waits for the event for ten seconds, longer than the gateway waits
word, stop = script.chunk(LONG), script.chunk(finish="stop")
broken = partial(Case, charged=3, usage="estimated", receipt="failed", error="upstream_error")
STREAMED = {
    "with usage": Case(
        script.events(word, stop, script.usage_chunk(1500, 600), script.DONE), 3, "exact"
    ),
    "without usage": Case(script.events(word, stop, script.DONE), 3, "estimated"),
    "without usage or [DONE]": Case(script.events(word, stop), 3, "estimated"),
    "usage zero": Case(
        script.events(word, stop, script.usage_chunk(0, 0), script.DONE), 0, "exact"
    ),
    "usage beyond what was allowed": Case(
        script.events(word, stop, script.usage_chunk(20, 2**39), script.DONE),
        2,
        "capped",
        body={"max_tokens": 1000},
    ),
    "max_tokens ignored": Case(
        script.until_hung_up(*[script.chunk("word " * 20)] * 20),
        1,
        "estimated",
        body={"max_tokens": 10},
    ),
    "an error event": broken(script.events(word, b'data: {"error": {"message": "no"}}\n\n')),
    "cut": broken(script.events(word, cut=True)),
    "cut after its usage": broken(
        script.events(word, script.usage_chunk(3000, 1000), cut=True), charged=4, usage="exact"
    ),
    "ended early": broken(script.events(word)),
    "silence": broken(
        script.until_hung_up(word),
        error="upstream_timeout",
        settings={"LLM_IDLE_SECONDS": 0.3, "LLM_KEEP_ALIVE_SECONDS": 0.1},
    ),
    "an endless event": broken(
        script.events(word, *[b"data: " + b"x" * 60_000] * 5),
        settings={"LLM_MAX_EVENT_BYTES": 100_000},
    ),
    "no JSON": broken(script.events(word, b"data: {no\n\n")),
}


@pytest.mark.parametrize("case", STREAMED.values(), ids=STREAMED.keys())
def test_a_stream(chat: Chat, user: User, upstream: Upstream, settings: Any, case: Case) -> None:
    for name, value in case.settings.items():
        setattr(settings, name, value)
    upstream.script = case.does
    answer = chat(user, stream=True, **case.body)
    text = text_of(answer)
    assert (answer.status_code, text.endswith("data: [DONE]\n\n")) == (200, True)
    assert f': credits {{"used":{case.charged},"remaining":{50 - case.charged}}}' in text
    assert (f'"code":"{case.error}"' in text, '"finish_reason":"error"' in text) == (
        bool(case.error),
    ) * 2
    assert_settled(user, case)


EARLY = {
    "500": ours(script.error(500)),
    "400": failed(
        script.error(400, code="context_length_exceeded"),
        status=400,
        error="context_length_exceeded",
    ),
    "an error event at once": ours(
        script.raw(b'data: {"error": {"message": "no"}}\n\n', content_type="text/event-stream")
    ),
    "hung up": ours(lambda handler: handler.connection.shutdown(2)),
}


@pytest.mark.parametrize("case", EARLY.values(), ids=EARLY.keys())
def test_a_stream_that_fails_before_its_first_byte(
    chat: Chat, user: User, upstream: Upstream, case: Case
) -> None:
    upstream.script = case.does
    answer = chat(user, stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (case.status, case.error)
    assert_settled(user, case)


def test_a_stream_limited_by_us_says_length(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.until_hung_up(*[script.chunk("word " * 20)] * 20)
    assert '"finish_reason":"length"' in text_of(chat(user, stream=True, max_tokens=10))
    assert upstream.hung_up.wait(8)
    row = Completion.objects.get()
    assert (row.finish_reason, row.completion_tokens, row.max_tokens) == ("length", 10, 10)


@pytest.fixture
def second(upstream: Upstream) -> Iterator[Upstream]:
    """A second provider of the model `small`, which is asked after the first."""
    model = LanguageModel.objects.create(name="small")
    with script.serving() as served:
        for order, (slug, url) in enumerate([("first", upstream.url), ("second", served.url)]):
            row = Provider.objects.create(slug=slug, name=slug, base_url=url)
            Deployment.objects.create(model=model, provider=row, order=order)
        yield served


# A stream that is cut at once counts as left by its caller: EventStream.close stops the call.
FAULTS = {
    "500": script.error(500),
    "429": script.error(429),
    "401": script.error(401),
    "hung up": lambda handler: handler.connection.shutdown(2),
}
AT_ONCE = [
    *(
        pytest.param(fault, stream, id=f"{name}-{stream}")
        for name, fault in FAULTS.items()
        for stream in (False, True)
    ),
    pytest.param(cut_json, False, id="cut-False"),
    pytest.param(script.events(cut=True), True, id="cut-True"),
    pytest.param(script.events(), True, id="empty-True"),
    pytest.param(script.until_hung_up(b'data: {"error": "no"}\n\n'), True, id="error-True"),
]


@pytest.mark.parametrize(("fault", "stream"), AT_ONCE)
def test_when_one_provider_fails_at_once_the_next_answers(
    chat: Chat, user: User, upstream: Upstream, second: Upstream, fault: Script, stream: Any
) -> None:
    upstream.script, second.script = fault, script.as_asked("Hello")
    answer = chat(user, stream=stream)
    assert "Hello" in (text_of(answer) if stream else answer.content.decode())
    assert_settled(user, Case(fault, 1, "exact"))
    row = Completion.objects.get()
    assert [(a["provider"], bool(a["error"])) for a in row.attempts] == [
        ("first", True),
        ("second", False),
    ]
    assert (row.provider, len(upstream.requests), len(second.requests)) == ("second", 1, 1)


def test_a_callers_own_fault_is_no_reason_to_ask_another(
    chat: Chat, user: User, upstream: Upstream, second: Upstream
) -> None:
    upstream.script = script.error(400, code="bad")
    assert chat(user).status_code == 400
    assert second.requests == []
    assert_settled(user, failed(upstream.script, error="bad"))


def test_after_the_first_byte_no_other_provider_is_asked(
    chat: Chat, user: User, upstream: Upstream, second: Upstream
) -> None:
    upstream.script = script.events(word, cut=True)
    assert '"upstream_error"' in text_of(chat(user, stream=True))
    assert second.requests == []
    assert_settled(user, broken(upstream.script))


def test_when_all_providers_fail_nothing_is_charged(
    chat: Chat, user: User, upstream: Upstream, second: Upstream
) -> None:
    upstream.script, second.script = script.error(500), script.error(429)
    answer = chat(user)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert_settled(user, failed(upstream.script, error="upstream_unavailable"))
    assert [attempt["error"] for attempt in Completion.objects.get().attempts] == [
        "upstream_error",
        "upstream_unavailable",
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"messages": []}, 400),
        ({"model": "unknown"}, 404),
        ({"max_tokens": 0}, 400),
        ({"n": 99}, 400),
    ],
)
def test_what_is_refused_leaves_no_trace(
    chat: Chat, user: User, upstream: Upstream, body: dict[str, Any], status: int
) -> None:
    assert chat(user, **body).status_code == status
    assert (upstream.requests, Hold.objects.count(), Completion.objects.count()) == ([], 0, 0)
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_without_credits_nothing_begins(chat: Chat, make_user: Any, upstream: Upstream) -> None:
    assert chat(make_user("poor@example.com")).status_code == 402
    assert (upstream.requests, Hold.objects.count(), Completion.objects.count()) == ([], 0, 0)


# --- the caller leaves --------------------------------------------------------------------


def drains(seconds: float) -> None:
    Provider.objects.update(on_disconnect="drain", drain_seconds=seconds)


@pytest.fixture
def known(chat: Chat, user: User, upstream: Upstream) -> None:
    """Give the provider its row, so that the test begins without a completion."""
    from llmproxy import catalogue

    catalogue.adopt_environment()


def leave_after_the_first(response: Any) -> None:
    next(iter(response.streaming_content))
    response.close()


def test_who_leaves_before_the_first_byte_pays_nothing(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.2
    upstream.script = script.until_hung_up()
    response = chat(user, stream=True)
    response.close()
    assert upstream.hung_up.wait(8)
    assert_settled(user, Case(upstream.script, 0, "none", "interrupted"))


def test_who_leaves_midway_pays_for_what_came(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.until_hung_up(word)
    leave_after_the_first(chat(user, stream=True))
    assert upstream.hung_up.wait(8)
    assert_settled(user, Case(upstream.script, 3, "estimated", "interrupted"))


def test_a_drained_stream_is_charged_by_its_usage(
    chat: Chat, user: User, upstream: Upstream, known: None
) -> None:
    drains(5)
    rest = threading.Event()
    upstream.script = script.events(word, rest, stop, script.usage_chunk(3000, 2000), script.DONE)
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    rest.set()
    response.close()
    assert_settled(user, Case(upstream.script, 5, "exact", "interrupted"))


def test_a_drained_stream_whose_usage_does_not_come_is_estimated(
    chat: Chat, user: User, upstream: Upstream, known: None, settings: Any
) -> None:
    drains(1)
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    upstream.script = script.until_hung_up(word)
    leave_after_the_first(chat(user, stream=True))
    assert upstream.hung_up.wait(8)
    assert_settled(user, Case(upstream.script, 3, "estimated", "interrupted"))


# --- what happens meanwhile ---------------------------------------------------------------


def meanwhile(act: Callable[[], object], then: Script) -> Script:
    """A provider that answers after `act` has run."""

    def does(handler: script.Handler) -> None:
        try:
            act()
        finally:
            connection.close()
        then(handler)

    return does


def test_a_balance_used_up_meanwhile_is_charged_to_its_end_and_no_further(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    spend = partial(ledger.adjust, user=user, amount=-45, reason="Spent", actor=None)
    upstream.script = meanwhile(spend, script.answer(usage=(9000, 100)))
    answer = chat(user, max_tokens=1000)
    assert answer.json()["_credits"] == {"used": 5, "remaining": 0}
    row = Completion.objects.get()
    assert (row.held < 5, row.cost, row.charged, row.uncollected) == (True, 10, 5, 5)
    assert ledger.balance(user) == ledger.Balance(credits=0, held=0, plan="free")
    assert audit.run().findings == []


def test_a_price_edited_meanwhile_does_not_count(
    chat: Chat, user: User, upstream: Upstream, known: None
) -> None:
    edit = partial(
        LanguageModel.objects.update, prompt_price=Decimal(100), completion_price=Decimal(100)
    )
    upstream.script = meanwhile(edit, script.answer(usage=(1500, 600)))
    assert chat(user).json()["_credits"]["used"] == 3
    assert_settled(user, Case(upstream.script, 3, "exact"))


def test_a_hold_cancelled_meanwhile_charges_nothing(
    chat: Chat, user: User, make_user: Any, upstream: Upstream
) -> None:
    operator = make_user("operator@example.com")
    upstream.script = meanwhile(
        lambda: actions.cancel(Hold.objects.get(), "Stuck", actor=operator),
        script.answer(usage=(1500, 600)),
    )
    assert chat(user).json()["_credits"] == {"used": 0, "remaining": 50}
    assert_settled(user, Case(upstream.script, 0, "exact"))
    row = Completion.objects.get()
    assert (row.cost, row.uncollected) == (3, 3)


def test_a_hold_expired_meanwhile_is_charged_all_the_same(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    def expire() -> None:
        Hold.objects.update(expires_at="2020-01-01T00:00Z")
        assert ledger.expire_holds() == 1

    upstream.script = meanwhile(expire, script.answer(usage=(1500, 600)))
    assert chat(user).json()["_credits"] == {"used": 3, "remaining": 47}
    assert_settled(user, Case(upstream.script, 3, "exact"))


# --- the document -------------------------------------------------------------------------


def rows_of_the_document() -> list[list[str]]:
    text = (ROOT / "docs/billing.md").read_text()
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in cells if row[0] not in ("what happens", "what differs", "---", "label")]


def test_every_test_that_the_document_names_exists() -> None:
    named = [
        test
        for row in rows_of_the_document()
        for test in re.findall(r"`([\w/]+\.py::[^`]+)`", row[-1])
    ]
    assert len(named) > 100
    for test in named:
        path, _, name = test.partition("::")
        name, _, case = name.partition("[")
        source = (ROOT / "tests" / path).read_text()
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), test
        assert not case or f'"{case.removesuffix("]")}": ' in source, test


def test_every_row_says_all_and_names_a_test() -> None:
    rows = [row for row in rows_of_the_document() if len(row) > 2]
    assert len(rows) > 40
    for row in rows:
        assert len(row) == 6, row
        assert "::" in row[-1], row


def test_every_case_is_in_the_document() -> None:
    text = (ROOT / "docs/billing.md").read_text()
    tables = {
        "test_a_json_answer": JSON,
        "test_a_stream": STREAMED,
        "test_a_stream_that_fails_before_its_first_byte": EARLY,
    }
    missing = [
        f"{name}[{case}]"
        for name, cases in tables.items()
        for case in cases
        if f"{name}[{case}]`" not in text
    ]
    assert missing == []


# Tests of that module that are not about charges.
OF_OTHER_THINGS = {
    "test_only_post_is_taken",
    "test_the_key_may_come_as_anthropics_header",
    "test_parameters_of_a_provider_of_its_own_do_not_pass",
    "test_what_anthropic_alone_has_is_404_in_its_words",
}


def test_every_test_of_the_other_routes_is_in_the_document() -> None:
    text, source = (
        (ROOT / path).read_text()
        for path in ("docs/billing.md", "tests/llmproxy/routes/test_routes.py")
    )
    tests = set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE))
    assert {name for name in tests if f"test_routes.py::{name}`" not in text} == OF_OTHER_THINGS


def test_the_document_and_its_tests_leave_out_no_route() -> None:
    (header,) = [
        row
        for row in (ROOT / "docs/billing.md").read_text().splitlines()
        if row.startswith("| what differs")
    ]
    others = {route.path for route in ROUTES}
    assert set(re.findall(r"`(/v1/[^`]+)`", header)) == others
    assert {*others, "/v1/chat/completions"} == set(Endpoint.labels)
