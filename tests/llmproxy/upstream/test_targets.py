"""Which providers are asked for a completion, their order, and what happens after failures."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from credits import ledger
from llmproxy.exceptions import UpstreamError
from llmproxy.models import Completion, Provider
from llmproxy.upstream import targets
from llmproxy.upstream.targets import Target
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.several import Several, tried

pytestmark = pytest.mark.django_db(transaction=True)

Chat = Callable[..., Any]
FAILS = script.error(500)


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Chat, user: User) -> Callable[..., Any]:
    return lambda **body: chat(user, model="bright", max_tokens=10, **body)


@pytest.fixture
def everybody(chat: Chat, make_user: Callable[..., User]) -> list[Callable[..., Any]]:
    """Like `ask`, by three users: one who repeats a bad request blames no provider."""
    users = [make_user(f"user{number}@example.com", credits=50) for number in range(3)]
    return [partial(chat, user, model="bright", max_tokens=10) for user in users]


def get_text(answer: Any) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def target(**fields: Any) -> Target:
    return Target(
        provider=1, slug="p", base_url="", encrypted_key="", key_header="bearer", **fields
    )


def failing_since(slug: str, *, failures: int = 3, seconds: int = 30) -> None:
    cooling = timezone.now() + timedelta(seconds=seconds)
    Provider.objects.filter(slug=slug).update(failures=failures, cooling_until=cooling)


def test_the_first_in_order_is_asked_by_the_name_it_knows(ask: Any, several: Several) -> None:
    second, first = several.add("second", order=7), several.add("first", order=3)
    assert get_text(ask()) == "first"
    assert (first.sent["model"], len(second.requests)) == ("first-1", 0)
    assert tried() == [("first", "")]


def test_among_equals_chance_decides_by_weight() -> None:
    weighted = [target(upstream_name=str(weight), weight=weight) for weight in (1, 2, 7)]
    firsts = Counter(targets.draw_order(weighted)[0].upstream_name for _ in range(5000))
    seconds = Counter(targets.draw_order(weighted)[1].upstream_name for _ in range(5000))
    assert 3300 < firsts["7"] < 3700  # 3500 expected; six standard deviations are 194
    assert 850 < firsts["2"] < 1150
    assert 350 < firsts["1"] < 650
    assert 2250 < seconds["2"] < 2650  # 2446 expected: the rest is drawn by weight too


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "upstream_error"),
        (402, "upstream_error"),
        (404, "upstream_error"),
        (500, "upstream_error"),
        (302, "upstream_error"),
        (429, "upstream_unavailable"),
        (503, "upstream_unavailable"),
        (529, "upstream_unavailable"),
    ],
)
def test_what_fails_falls_back(ask: Any, several: Several, status: int, code: str) -> None:
    several.add("first", script.error(status, "model of ours"))
    several.add("second")
    assert get_text(ask()) == "second"
    assert tried() == [("first", code), ("second", "")]
    noted = (
        "" if status == 404 else code
    )  # a missing route does not count against the provider's health
    assert (Completion.objects.get().provider, several.provider("first").last_error) == (
        "second",
        noted,
    )


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_the_callers_own_fault_is_asked_once(ask: Any, several: Several, status: int) -> None:
    several.add(
        "first",
        script.error(status, "context too long", code="context_length_exceeded", param="messages"),
    )
    second = several.add("second")
    answer = ask()
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, "context too long")
    assert (second.requests, several.provider("first").failures) == ([], 0)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "model_not_found", "message": "The model `first-1` does not exist"},
        {"param": "model", "message": "unknown"},
        {"code": "DeploymentNotFound", "message": "x"},
        {"message": "first-1 is not a valid model ID", "code": 400},
        {"type": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid API key."},
        {
            "type": "invalid_request_error",
            "message": "Your credit balance is too low to access the API.",
        },
    ],
)
def test_a_400_about_our_own_configuration_falls_back(
    ask: Any, several: Several, error: dict[str, Any]
) -> None:
    several.add("first", script.error(400, **error))
    several.add("second")
    assert get_text(ask()) == "second"


def test_no_more_are_asked_than_may_be(ask: Any, several: Several, settings: Any) -> None:
    settings.LLM_MAX_ATTEMPTS = 2
    providers = [several.add(slug, FAILS) for slug in ("first", "second", "third")]
    answer = ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert [len(one.requests) for one in providers] == [1, 1, 0]
    assert [one["provider"] for one in Completion.objects.get().attempts] == ["first", "second"]


def test_all_tries_share_the_wait_of_one(
    ask: Any, several: Several, settings: Any, user: User
) -> None:
    settings.LLM_FIRST_BYTE_SECONDS = 2.5
    several.add("first", script.after(0.7, FAILS))
    several.add("second", script.silence_of(5))
    third = several.add("third")
    started = time.monotonic()
    assert ask().status_code == 504
    assert 2.4 < time.monotonic() - started < 3.2
    assert third.requests == []
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_who_is_slow_to_begin_is_left_for_the_next(
    ask: Any, several: Several, settings: Any
) -> None:
    several.add("first", script.silence_of(5), first_byte_seconds=1)
    several.add("second")
    assert get_text(ask()) == "second"
    assert tried() == [("first", "upstream_timeout"), ("second", "")]
    assert 900 < Completion.objects.get().attempts[0]["ms"] < 1900


def test_a_stream_whose_headers_come_and_nothing_else_falls_back(
    ask: Any, several: Several
) -> None:
    several.add("first", script.until_hung_up(), first_byte_seconds=1)
    several.add("second")
    assert '"second"' in text_of(ask(stream=True))
    assert tried() == [("first", "upstream_timeout"), ("second", "")]


@contextmanager
def deaf() -> Iterator[str]:
    """An address that neither accepts nor refuses connections."""
    with socket.socket() as server, ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # its backlog is full
            line = stack.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def test_who_takes_no_connection_is_left_after_their_seconds_to_connect(
    ask: Any, several: Several
) -> None:
    with deaf() as url:
        several.add("first", url=url, connect_seconds=1)
        several.add("second")
        started = time.monotonic()
        assert get_text(ask()) == "second"
    assert 0.9 < time.monotonic() - started < 2
    assert tried()[0] == ("first", "upstream_unavailable")


@pytest.mark.parametrize("stream", [False, True])
def test_who_falls_silent_during_an_answer_is_left_after_their_idle_seconds(
    ask: Any, several: Several, stream: bool
) -> None:
    begun = (
        script.events(script.chunk("Hi"), threading.Event())
        if stream
        else script.begun(b'{"choices": ')
    )
    several.add("first", begun, idle_seconds=1, first_byte_seconds=30)
    second = several.add("second")
    started = time.monotonic()
    answer = ask(stream=stream)
    text = text_of(answer) if stream else str(get_text(answer))
    assert 0.9 < time.monotonic() - started < 3
    assert text == "second" if not stream else '"upstream_timeout"' in text
    assert len(second.requests) == (0 if stream else 1)


def test_a_silence_in_a_stream_may_be_longer_than_its_first_byte(
    ask: Any, several: Several
) -> None:
    several.add(
        "first",
        script.pausing(1.5, script.chunk("Hel"), script.chunk("lo", finish="stop")),
        first_byte_seconds=1,
    )
    assert '"lo"' in text_of(ask(stream=True))


def test_comments_are_bytes_too(ask: Any, several: Several) -> None:
    pieces = [script.chunk("Hel"), b": busy\n\n", b": busy\n\n", script.chunk("lo", finish="stop")]
    several.add("first", script.pausing(0.6, *pieces), idle_seconds=1)
    assert '"lo"' in text_of(ask(stream=True))


@pytest.mark.parametrize(
    "beginning",
    [
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'event: error\ndata: {"message": "x"}\n\n',
        b"data: <html>\n\n",
        b'{"error": "no event at all"}',
        b": nothing but this\n\n",
    ],
)
def test_a_stream_that_begins_with_a_failure_falls_back(
    ask: Any, several: Several, beginning: bytes
) -> None:
    several.add("first", script.events(beginning))
    several.add("second")
    text = text_of(ask(stream=True))
    assert '"second"' in text
    assert "error" not in text
    assert tried() == [("first", "upstream_error"), ("second", "")]
    assert Completion.objects.get().status == "completed"


def test_after_the_first_byte_nobody_else_is_asked(ask: Any, several: Several) -> None:
    several.add("first", script.events(script.chunk("Hel"), cut=True))
    second = several.add("second")
    assert '"upstream_error"' in text_of(ask(stream=True))
    assert second.requests == []
    assert tried() == [("first", "upstream_error")]


def test_an_answer_that_is_cut_before_it_is_whole_falls_back(ask: Any, several: Several) -> None:
    several.add("first", script.begun(b'{"choices": ', cut=True))
    several.add("second")
    assert get_text(ask()) == "second"


def test_who_keeps_failing_is_asked_last_until_they_have_cooled_down(
    ask: Any, everybody: Any, several: Several
) -> None:
    first, second = several.add("first", FAILS), several.add("second")
    for ask_too in everybody:
        ask_too()
    row = several.provider("first")
    assert row.failures == 3
    assert row.cooling_until is not None
    assert timedelta(seconds=28) < row.cooling_until - timezone.now() < timedelta(seconds=31)
    ask()
    assert (len(first.requests), len(second.requests)) == (3, 4)
    Provider.objects.update(cooling_until=timezone.now())
    ask()
    assert len(first.requests) == 4


def test_two_failures_do_not_cool_anybody_down(everybody: Any, several: Several) -> None:
    first = several.add("first", FAILS)
    several.add("second")
    for ask_too in everybody:
        ask_too()
        assert several.provider("first").cooling_until is None or len(first.requests) == 3


def test_who_is_cooling_and_the_only_one_is_still_asked(ask: Any, several: Several) -> None:
    several.add("only")
    failing_since("only")
    assert get_text(ask()) == "only"
    assert (several.provider("only").failures, several.provider("only").cooling_until) == (0, None)


def test_who_is_cooling_is_asked_when_the_others_fail(ask: Any, several: Several) -> None:
    several.add("first")
    several.add("second", FAILS)
    failing_since("first")
    assert get_text(ask()) == "first"
    assert tried() == [("second", "upstream_error"), ("first", "")]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        (lambda: "120", 120),
        (lambda: format_datetime(timezone.now() + timedelta(seconds=90), usegmt=True), 90),
        (lambda: "99999999999", 600),
    ],
)
def test_a_provider_that_says_when_to_come_back_cools_down_until_then(
    ask: Any, several: Several, status: int, wait: Callable[[], str], seconds: int
) -> None:
    several.add("only", script.raw(b"{}", status=status, headers={"Retry-After": wait()}))
    answer = ask()
    assert seconds - 3 < int(answer["Retry-After"]) <= seconds
    until = several.provider("only").cooling_until
    assert until is not None
    assert timedelta(seconds=seconds - 4) < until - timezone.now() < timedelta(seconds=seconds + 1)


@pytest.mark.parametrize("wait", ["", "soon", "0", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "\u00b2"])
def test_a_retry_after_that_says_nothing_cools_nobody_down(
    ask: Any, several: Several, wait: str
) -> None:
    several.add("only", script.raw(b"{}", status=429, headers={"Retry-After": wait}))
    assert ask()["Retry-After"] == "5"
    assert several.provider("only").cooling_until is None


def test_a_longer_cool_down_is_not_cut_short_by_another_failure(ask: Any, several: Several) -> None:
    several.add("only", FAILS)
    failing_since("only", seconds=500)
    ask()
    until = several.provider("only").cooling_until
    assert until is not None
    assert until - timezone.now() > timedelta(seconds=490)


def test_who_always_breaks_off_cools_down_too(ask: Any, everybody: Any, several: Several) -> None:
    several.add("first", script.events(script.chunk("Hel"), cut=True))
    several.add("second")
    for ask_too in everybody:
        text_of(ask_too(stream=True))
    assert several.provider("first").failures == 3
    assert '"second"' in text_of(ask(stream=True))


def test_failures_are_counted_exactly(several: Several) -> None:
    several.add("first")
    failed = Target.from_provider(several.provider("first"))

    def fail(number: int) -> None:
        try:
            targets.note_failure(failed, UpstreamError("x"), caller=f"user:{number % 3}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(64)))
    assert several.provider("first").failures == 64


def test_a_success_without_failures_before_writes_nothing(ask: Any, several: Several) -> None:
    several.add("first")
    notes = []
    for failures in (0, 3):
        Provider.objects.update(failures=failures)
        with CaptureQueriesContext(connection) as queries:
            ask()
        notes.append(sum('UPDATE "llm_providers"' in query["sql"] for query in queries))
    assert (notes, several.provider("first").failures) == ([0, 1], 0)


@pytest.mark.parametrize("failures", [0, 3])
def test_a_database_that_cannot_note_how_a_provider_does_breaks_no_answer(
    ask: Any, several: Several, monkeypatch: Any, caplog: Any, failures: int
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the connection is lost")

    several.add("first", FAILS)
    several.add("second")
    if failures:
        failing_since("second", failures=failures, seconds=0)
    monkeypatch.setattr(QuerySet, "update", away)
    assert get_text(ask()) == "second"
    assert "could not be noted" in caplog.text


def test_no_connection_is_held_while_the_next_provider_works(ask: Any, several: Several) -> None:
    pool: Any = connection.pool  # type: ignore[attr-defined]
    idle: list[bool] = []

    def look(handler: Any) -> None:
        figures = pool.get_stats()
        idle.append(figures["pool_size"] == figures["pool_available"])
        script.answer("second")(handler)

    several.add("first", FAILS)
    several.add("second", look)
    assert get_text(ask()) == "second"
    assert idle == [True]


def test_a_provider_whose_key_is_unreadable_is_passed_over(
    ask: Any, several: Several, settings: Any, caplog: Any
) -> None:
    settings.LLM_MAX_ATTEMPTS = 1
    first = several.add("first", encrypted_key="rubbish")
    several.add("second")
    assert get_text(ask()) == "second"
    assert (first.requests, tried()) == ([], [("first", "upstream_unavailable"), ("second", "")])
    assert several.provider("first").failures == 0
    assert "provider first cannot be asked" in caplog.text


def test_a_kept_connection_that_the_provider_closed_is_tried_once_more(
    ask: Any, several: Several
) -> None:
    first = several.add("first", script.answer("first"))
    second = several.add("second")
    assert get_text(ask()) == "first"
    first.script = script.once(script.hang_up, script.answer("again"))
    assert get_text(ask()) == "again"
    assert (len(first.requests), len(second.requests), several.provider("first").failures) == (
        3,
        0,
        0,
    )


def test_a_new_connection_that_breaks_is_a_failure_at_once(ask: Any, several: Several) -> None:
    first = several.add("first", script.hang_up)
    several.add("second")
    assert get_text(ask()) == "second"
    assert (len(first.requests), several.provider("first").failures) == (1, 1)


def test_a_caller_learns_nothing_of_our_accounts(ask: Any, several: Several) -> None:
    several.add("first", script.error(401, "secret of our account"))
    several.add("second", script.error(402, "secret of our account"))
    answer = ask()
    assert "secret" not in answer.content.decode()
    assert [error for _, error in tried()] == ["upstream_error"] * 2


def test_reading_on_for_the_usage_ends_after_its_seconds(
    ask: Any, several: Several, user: User
) -> None:
    """No connection is watched here, so that only a write shows that the caller has left."""
    upstream = several.add(
        "only", script.until_hung_up(script.chunk("Hi")), on_disconnect="drain", drain_seconds=1
    )
    response = ask(stream=True)
    next(iter(response.streaming_content))
    started = time.monotonic()
    response.close()
    assert 0.9 < time.monotonic() - started < 2
    assert upstream.hung_up.wait(8)
    assert Completion.objects.get().status == "interrupted"
