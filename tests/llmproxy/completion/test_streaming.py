"""Streams are relayed unchanged, billed at the end, and settled however they end."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Hold
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)

Chat = Callable[..., Any]


def settled(user: User) -> Completion:
    """The row of the only completion; checks that nothing is held."""
    assert ledger.balance(user).held == 0
    assert Hold.objects.filter(state="open").count() == 0
    return Completion.objects.get()


def test_a_stream_ends_with_the_bill_as_a_comment_and_done(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.streamed("Hel", "lo")
    response = chat(user, stream=True)
    assert response["Content-Type"] == "text/event-stream"
    text = text_of(response)
    sent = (script.chunk("Hel") + script.chunk("lo") + script.chunk(finish="stop")).decode()
    assert text == sent + ': credits {"used":1,"remaining":49}\ndata: [DONE]\n\n'
    assert upstream.sent["stream_options"] == {"include_usage": True}
    assert settled(user).status == "completed"


def test_the_end_that_comes_alone_adds_nothing(chat: Chat, user: User, upstream: Upstream) -> None:
    rest = threading.Event()
    upstream.script = script.events(
        script.chunk("Hello"), script.chunk(finish="stop"), rest, script.DONE
    )
    pieces = iter(chat(user, stream=True).streaming_content)
    text = next(pieces)
    while b"stop" not in text:
        text += next(pieces)
    rest.set()
    assert b"keep-alive" not in text + b"".join(pieces)


def test_who_asks_for_usage_gets_it_with_the_bill_inside(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.streamed("Hello")
    text = text_of(chat(user, stream=True, stream_options={"include_usage": True}))
    usage, done = text.strip().split("\n\n")[-2:]
    chunk = json.loads(usage.removeprefix("data: "))
    assert (chunk["choices"], chunk["usage"]["total_tokens"]) == ([], 25)
    assert chunk["_credits"] == {"used": 1, "remaining": 49}
    assert done == "data: [DONE]"
    assert ": credits" not in text


def test_llm_stream_bills_in_an_event_of_its_own(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.streamed("Hello")
    text = text_of(chat(user, "/api/llm/stream"))
    assert text.endswith('event: credits\ndata: {"used":1,"remaining":49}\n\ndata: [DONE]\n\n')


def test_line_ends_become_lf_and_data_stays_as_it_was(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    choice = '{"delta": {"content": "\u2028 é \U0001f600"}, "finish_reason": "stop"}'
    data = f'{{"choices": [{choice}], "x":  1}}'
    upstream.script = script.events(
        f"event: message\r\nid: 7\r\ndata: {data}\r\n\r\n".encode(), script.DONE
    )
    assert text_of(chat(user, stream=True)).startswith(f"data: {data}\n\n")


def test_an_event_split_over_many_packets_arrives_whole(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    whole = script.chunk("日本語")
    upstream.script = script.events(
        *(whole[i : i + 1] for i in range(len(whole))), script.chunk(finish="stop"), script.DONE
    )
    assert text_of(chat(user, stream=True)).startswith(whole.decode())


def test_tokens_arrive_while_the_provider_still_works(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    rest = threading.Event()
    upstream.script = script.events(
        script.chunk("first"), rest, script.chunk(finish="stop"), script.DONE
    )
    content = iter(chat(user, stream=True).streaming_content)
    assert b"first" in next(content)
    rest.set()
    assert b"[DONE]" in b"".join(content)


def test_a_caller_who_leaves_pays_for_what_was_generated(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    never = threading.Event()
    upstream.script = script.events(
        script.chunk("word " * 2000), never, *[script.chunk("more") for _ in range(2000)]
    )
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    response.close()
    receipt = settled(user)
    assert (receipt.status, receipt.usage_source, receipt.charged) == (
        "interrupted",
        "estimated",
        3,
    )
    never.set()
    assert upstream.hung_up.wait(8)


def test_a_silent_provider_is_hung_up_on_at_once_when_the_caller_leaves(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(script.chunk("Hi"))
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    response.close()
    assert upstream.hung_up.wait(8)


def test_writing_to_a_caller_who_reads_nothing_ends(
    client: Client, user: User, upstream: Upstream, bearer: Any
) -> None:
    ours, theirs = socket.socketpair()
    upstream.script = script.streamed("Hello")
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    extra: Any = {"gunicorn.socket": ours}
    text_of(
        client.post(
            "/api/llm/stream", body, content_type="application/json", headers=bearer(user), **extra
        )
    )
    assert ours.gettimeout() == 60
    ours.close()
    theirs.close()


def test_a_caller_who_leaves_before_the_first_byte_pays_nothing(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    late = threading.Event()
    upstream.script = script.events(late, script.chunk("late"))
    threading.Timer(0.3, late.set).start()
    chat(user, stream=True).close()
    receipt = settled(user)
    assert (receipt.status, receipt.charged, ledger.balance(user).credits) == ("interrupted", 0, 50)


@pytest.mark.parametrize(
    "ending",
    [
        [b'data: {"error": {"message": "secret of our account"}}\n\n'],
        [b"data: {not json}\n\n"],
        [b"data: \xff\xfe\n\n"],
        [],
    ],
)
def test_a_failure_during_the_answer_is_an_event_and_then_done(
    chat: Chat, user: User, upstream: Upstream, ending: list[bytes]
) -> None:
    upstream.script = script.events(script.chunk("word " * 2000), *ending)
    text = text_of(chat(user, stream=True))
    failure, end, done = text.strip().split("\n\n")[-3:]
    error, chunk = (json.loads(block.partition("data: ")[2]) for block in (failure, end))
    assert (list(error), error["error"]["code"]) == (["error"], "upstream_error")
    assert (chunk["choices"][0]["finish_reason"], "error" in chunk) == ("error", False)
    assert "secret" not in text
    assert done == ': credits {"used":3,"remaining":47}\ndata: [DONE]'
    assert (settled(user).status, settled(user).usage_source) == ("failed", "estimated")


def test_a_cut_connection_is_a_failure_too(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(script.chunk("Hel"), cut=True)
    assert '"upstream_error"' in text_of(chat(user, "/api/llm/stream"))
    assert settled(user).error == "upstream_error"


def test_llm_stream_reports_a_failure_in_an_event_of_its_own(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(script.chunk("Hel"), b'data: {"error": "x"}\n\n')
    _, failure, bill, done = text_of(chat(user, "/api/llm/stream")).strip().split("\n\n")
    assert failure.startswith('event: error\ndata: {"error":')
    assert (bill, done) == ('event: credits\ndata: {"used":1,"remaining":49}', "data: [DONE]")


def test_reported_usage_counts_even_if_the_stream_then_breaks(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(script.chunk("Hel"), script.usage_chunk(3000, 1000), cut=True)
    text_of(chat(user, stream=True))
    assert (settled(user).usage_source, settled(user).charged) == ("exact", 4)


def test_usage_said_twice_counts_once(chat: Chat, user: User, upstream: Upstream) -> None:
    usage = script.usage_chunk(1000, 1000)
    upstream.script = script.events(script.chunk("Hi", finish="stop"), usage, usage, script.DONE)
    text_of(chat(user, stream=True))
    assert settled(user).charged == 2


def test_a_stream_without_usage_is_estimated_and_still_reports_it(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(
        script.chunk("word " * 2000), script.chunk(finish="stop"), script.DONE
    )
    text = text_of(chat(user, stream=True, stream_options={"include_usage": True}))
    chunk = json.loads(text.strip().split("\n\n")[-2].removeprefix("data: "))
    assert chunk["usage"]["completion_tokens"] == settled(user).completion_tokens == 2500
    assert chunk["_credits"]["used"] == 3


def test_a_refusal_before_the_first_byte_is_plain_json(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.error(400, "context too long")
    response = chat(user, stream=True)
    assert (response.status_code, response.json()["error"]["message"]) == (400, "context too long")
    assert settled(user).charged == 0


def test_an_idle_stream_is_kept_alive_and_then_ended(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS, settings.LLM_IDLE_SECONDS = 0.3, 1.5
    never = threading.Event()
    upstream.script = script.events(script.chunk("Hi"), never)
    started = time.monotonic()
    text = text_of(chat(user, stream=True))
    never.set()
    assert ": keep-alive\n" * 4 + 'data: {"error":' in text
    assert text.count(": keep-alive") == 4
    assert '"upstream_timeout"' in text
    assert time.monotonic() - started < 5


def test_a_line_and_its_blank_line_may_come_apart(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_MAX_EVENT_BYTES = 1000
    line = script.chunk("x")[:-1]
    upstream.script = script.events(*[line, b"\n"] * 50, script.chunk(finish="stop"), script.DONE)
    assert text_of(chat(user, stream=True)).count('"x"') == 50


def test_an_event_of_very_many_lines_is_refused(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(script.chunk("Hi"), b"data:1\n" * 100_000 + b"\n")
    started = time.monotonic()
    assert '"upstream_error"' in text_of(chat(user, stream=True))
    assert time.monotonic() - started < 5


def test_a_byte_order_mark_hides_nothing(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(
        b"\xef\xbb\xbf" + script.chunk("first"), script.chunk(finish="stop"), script.DONE
    )
    assert '"first"' in text_of(chat(user, stream=True))


def test_half_a_character_passes_unchanged(chat: Chat, user: User, upstream: Upstream) -> None:
    half = b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud83d"}}]}\n\n'
    upstream.script = script.events(half, script.chunk(finish="stop"), script.DONE)
    assert half.decode() in text_of(chat(user, stream=True))


def test_an_error_event_is_a_failure(chat: Chat, user: User, upstream: Upstream) -> None:
    upstream.script = script.events(script.chunk("Hi"), b'event: error\ndata: {"message": "x"}\n\n')
    assert '"upstream_error"' in text_of(chat(user, stream=True))
    assert settled(user).status == "failed"


def test_a_provider_that_talks_on_after_done_is_hung_up_on(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(script.chunk("Hi", finish="stop"), script.DONE)
    text_of(chat(user, stream=True))
    assert upstream.hung_up.wait(8)


def test_an_event_without_end_is_bounded(
    chat: Chat, user: User, upstream: Upstream, settings: Any, caplog: Any
) -> None:
    settings.LLM_MAX_EVENT_BYTES = 100_000
    upstream.script = script.events(script.chunk("Hi"), *[b"data: " + b"x" * 60_000] * 50)
    assert '"upstream_error"' in text_of(chat(user, stream=True))
    assert settled(user).status == "failed"
    assert "event too large" in caplog.text


def test_many_events_in_one_packet_are_not_an_endless_event(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_MAX_EVENT_BYTES = 1000
    upstream.script = script.events(
        script.chunk("x") * 100, script.chunk(finish="stop"), script.DONE
    )
    assert text_of(chat(user, stream=True)).count('"x"') == 100


def test_a_whole_stream_leaves_its_connection_to_the_next(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.as_asked("Hello")
    for _ in range(3):
        text_of(chat(user, stream=True))
    assert chat(user).status_code == 200
    assert len(set(upstream.ports)) == 1


def test_a_stream_that_was_left_takes_its_connection_along(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(script.chunk("Hi"))
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    response.close()
    assert upstream.hung_up.wait(8)
    upstream.script = script.answer()
    assert chat(user).status_code == 200
    assert len(set(upstream.ports)) == 2


def test_a_provider_that_ignores_the_limit_is_ended_at_it(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(*[script.chunk("word " * 20) for _ in range(500)])
    text = text_of(chat(user, stream=True, max_tokens=100))
    assert upstream.hung_up.wait(8)
    *_, last, done = text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
    assert done == ': credits {"used":1,"remaining":49}\ndata: [DONE]'
    assert text.count("word ") < 3000  # 128 bytes a token are the most
    receipt = settled(user)
    assert (receipt.status, receipt.finish_reason, receipt.completion_tokens) == (
        "completed",
        "length",
        100,
    )


def test_a_slow_reader_stops_the_provider_and_takes_no_memory(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    sent: list[int] = []

    def endless(handler: Any) -> None:
        script.start_events(handler)
        handler.connection.settimeout(2)
        for _ in range(100_000):
            chunk = script.chunk("x" * 1000)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            sent.append(len(chunk))

    upstream.script = endless
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    time.sleep(0.5)
    before = sum(sent)
    time.sleep(0.5)
    assert sum(sent) == before < 16 * 1024 * 1024  # as much as the buffers of both sockets hold
    response.close()
