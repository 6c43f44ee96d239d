"""Events that are no part of an answer are skipped or recognised; no good answer dies of one.

Sources: OpenRouter's documentation ("SSE comments"), llama.cpp (`null`, `error:`), sashabaranov's
and other clients' issues about blank lines, WHATWG HTML section 9.2.6.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from llmproxy.upstream.event_stream import Events
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)

Chat = Callable[..., Any]
HEARTBEATS = [
    b"data:\n\n",
    b"data: \n\n",
    b"data:    \n\n",
    b"data: \n",
    b"\n\n\n\n",
    b": comment\n\n",
    b":\n\n",
    b": OPENROUTER PROCESSING\n\n",
    b"data: : OPENROUTER PROCESSING\n\n",
    b"event: ping\ndata: {}\n\n",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b"event: ping\n\n",
    b"event: ping\ndata\n\n",
    b"event: heartbeat\ndata: 2026-11-30T08:00:00Z\n\n",
    b"event: keep-alive\ndata: 1\n\n",
    b'event: keepalive\ndata: ""\n\n',
    b"data: {}\n\n",
    b"data: { }\n\n",
    b"data: null\n\n",
    b"data: 1764489600\n\n",
    b'data: ""\n\n',
    b"data: true\n\n",
    b'data: {"type":"ping"}\n\n',
    b'data: {"type": "heartbeat", "time": 1764489600}\n\n',
    b'data: {"event": "keep-alive"}\n\n',
    b'data: {"ping": 5}\n\n',
    b"data: ping\n\n",
    b"data: [PING]\n\n",
    b"data: keep-alive\n\n",
    b'event: ping\ndata: {"type":"ping","time":"2026-11-30T08:00:00.000Z","request":"req_12"}\n\n',
    b'event: heartbeat\ndata: {"status":"the model is still working","seconds":40,"queue":7}\n\n',
    b"retry: 3000\n\n",
    b"id: 7\n\n",
    b"event: message\n\n",
    b"unknown: field\n\n",
    b"nonsense\n\n",
    b"\xef\xbb\xbf: a mark\n\n",
]
CHUNKS = [script.chunk("Hel"), script.chunk("lo"), script.chunk(finish="stop")]


@pytest.mark.parametrize("beat", HEARTBEATS, ids=repr)
def test_no_answer_dies_of_a_heartbeat(
    chat: Chat, user: User, upstream: Upstream, beat: bytes
) -> None:
    first, second, last = CHUNKS
    usage = script.usage_chunk()
    upstream.script = script.events(
        beat, first, beat, second, beat * 3, last, beat, usage, beat, script.DONE
    )
    text = text_of(chat(user, stream=True))
    chunks = [line for line in text.split("\n") if line.startswith("data: {")]
    assert chunks == [one.decode().strip() for one in CHUNKS]
    assert "[DONE]" in text
    row = Completion.objects.get()
    assert (row.status, row.usage_source, row.charged) == ("completed", "exact", 1)


LONG_BEATS = [
    b'data: {"type":"ping","timestamp":"2026-11-30T08:00:00.000Z","request_id":"req_12345678"}\n\n',
    b'data: {"id":"x","object":"status","status":"processing","model":"m","position":12345678}\n\n',
    b'data: {"choices": null, "id": "chatcmpl-1", "object": "chat.completion.chunk", "n": 1}\n\n',
    b'data: ["a", "list", "of", "many", "words", "that", "mean", "nothing", "at", "all", "!"]\n\n',
]


@pytest.mark.parametrize("beat", LONG_BEATS, ids=repr)
def test_what_is_no_chunk_is_not_passed(
    chat: Chat, user: User, upstream: Upstream, beat: bytes
) -> None:
    """The AI SDK ends an answer with an event that is no chunk."""
    first, second, last = CHUNKS
    usage = script.usage_chunk()
    upstream.script = script.events(beat, first, beat, second, last, beat, usage, script.DONE)
    text = text_of(chat(user, stream=True))
    assert [line for line in text.split("\n") if line.startswith("data: ")] == [
        *(one.decode().strip() for one in CHUNKS),
        "data: [DONE]",
    ]


@pytest.mark.parametrize("beat", HEARTBEATS, ids=repr)
def test_no_message_dies_of_a_heartbeat(
    chat: Chat, user: User, upstream: Upstream, beat: bytes
) -> None:
    pieces = [piece for one in scripted_routes.message_pieces("Hello") for piece in (one, beat)]
    upstream.script = script.events(*pieces)
    text = text_of(chat(user, "/v1/messages", stream=True, max_tokens=100))
    assert "Hello" in text
    assert "message_stop" in text
    for line in text.split("\n"):
        assert not line.startswith("data: ") or json.loads(line[6:])["type"]
    assert Completion.objects.get().usage_source == "exact"


def test_a_ping_of_messages_is_passed_on(chat: Chat, user: User, upstream: Upstream) -> None:
    """Anthropic's own stream has it, and its clients expect it."""
    first, *rest = scripted_routes.message_pieces("Hello")
    upstream.script = script.events(first, b'event: ping\ndata: {"type": "ping"}\n\n', *rest)
    text = text_of(chat(user, "/v1/messages", stream=True, max_tokens=100))
    assert 'event: ping\ndata: {"type": "ping"}\n\n' in text


ENDS = [
    b"data: [DONE]\n\n",
    b"data: [DONE] \n\n",
    b"data:[DONE]\n\n",
    b"data:  [DONE]  \n\n",
    b"data: [done]\n\n",
    b"data: [Done]\r\n\r\n",
    b"event: done\ndata: [DONE]\n\n",
    b"event: end\nid: 9\ndata: [DONE]\n\n",
    b"data: [DONE]",
    b"data: [DONE]\n",
    b"data: [DONE]\r",
]


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_the_end_is_recognised_in_any_spelling(
    chat: Chat, user: User, upstream: Upstream, end: bytes
) -> None:
    upstream.script = script.events(script.chunk("Hello"), end)
    text = text_of(chat(user, stream=True))
    assert text.count("[DONE]") == 1
    assert "error" not in text
    assert Completion.objects.get().status == "completed"


FORMS = {
    "no space": lambda chunk: chunk.replace(b"data: ", b"data:", 1),
    "an id": lambda chunk: b"id: 42\n" + chunk,
    "an id after it": lambda chunk: chunk[:-1] + b"id: 42\n\n",
    "a retry": lambda chunk: b"retry: 10\n" + chunk,
    "a comment before it": lambda chunk: b": x\n" + chunk,
    "a name": lambda chunk: b"event: chunk\n" + chunk,
    "CR LF": lambda chunk: chunk.replace(b"\n", b"\r\n"),
    "CR": lambda chunk: chunk.replace(b"\n", b"\r"),
    "LF and CR LF": lambda chunk: chunk[:-1] + b"\r\n",
    "CR LF and LF": lambda chunk: chunk[:-2] + b"\r\n\n",
    "CR and CR LF": lambda chunk: chunk[:-2] + b"\r\r\n",
    "CR LF and CR": lambda chunk: chunk[:-2] + b"\r\n\r",
    "LF and CR": lambda chunk: chunk[:-1] + b"\r",
    "many blank lines": lambda chunk: b"\n\r\n\r" + chunk + b"\n\r\n\n",
}


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_chunk_is_read_in_any_form(
    chat: Chat, user: User, upstream: Upstream, form: Callable[[bytes], bytes], size: int
) -> None:
    """`size`: bytes in a packet; 0: all of them."""
    whole = b"".join(map(form, [*CHUNKS, script.usage_chunk(), script.DONE]))
    size = size or len(whole)
    upstream.script = script.events(*(whole[at : at + size] for at in range(0, len(whole), size)))
    text = text_of(chat(user, stream=True))
    lines = [line for line in text.split("\n") if line.startswith("data: {")]
    assert lines == [one.decode().strip() for one in CHUNKS]
    assert "42" not in text
    assert "\r" not in text
    assert Completion.objects.get().usage_source == "exact"


def test_the_id_of_a_provider_is_not_passed(chat: Chat, user: User, upstream: Upstream) -> None:
    pieces = [b"id: secret-7\n" + one for one in scripted_routes.response_pieces("Hello")]
    upstream.script = script.events(*pieces)
    text = text_of(chat(user, "/v1/responses", input="Hi", messages=None, stream=True))
    assert "response.completed" in text
    assert "secret-7" not in text


@pytest.mark.parametrize(
    "rubbish",
    [
        b"data: {half\n\n",
        b'data: {"choices": [\n\n',
        b"data: <html>\n\n",
        b"data: \xff\xfe\n\n",
        b"data: Internal Server Error\n\n",
        b'error: {"message": "x", "code": 500}\n\n',
        b'data: [{"error": {"message": "x", "code": 500}}]\n\n',
    ],
    ids=repr,
)
def test_what_is_no_heartbeat_is_a_failure(
    chat: Chat, user: User, upstream: Upstream, rubbish: bytes
) -> None:
    upstream.script = script.events(CHUNKS[0], rubbish, CHUNKS[2], script.DONE)
    text = text_of(chat(user, stream=True))
    assert '"upstream_error"' in text
    assert Completion.objects.get().status == "failed"


AFTER = [
    [script.usage_chunk(3000, 1000)],
    [b": x\n\n", script.usage_chunk(3000, 1000)],
    [script.usage_chunk(3000, 1000), script.DONE],
    [b'data: {"id": "c", "usage": {"prompt_tokens": 3000, "completion_tokens": 1000}}\n\n'],
]


@pytest.mark.parametrize("pieces", AFTER, ids=range(len(AFTER)))
@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "later"])
def test_usage_after_the_end_counts(
    chat: Chat, user: User, upstream: Upstream, pieces: list[bytes], is_late: bool
) -> None:
    pause = threading.Event()
    between: list[Any] = [pause] if is_late else [b": \n\n"]
    upstream.script = script.events(*CHUNKS, script.DONE, *between, *pieces)
    threading.Timer(0.03, pause.set).start()
    answer = chat(user, stream=True, stream_options={"include_usage": True})
    text = text_of(answer)
    assert text.count("[DONE]") == 1
    assert text.endswith("data: [DONE]\n\n")
    row = Completion.objects.get()
    assert (row.usage_source, row.charged) == ("exact", 4)
    assert '"prompt_tokens":3000' in text.replace(" ", "")


def test_text_after_the_end_is_neither_passed_nor_charged(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*CHUNKS, script.DONE + script.chunk("word " * 4000))
    text = text_of(chat(user, stream=True))
    assert "word" not in text
    assert ledger.balance(user).credits == 49


def test_a_provider_that_stays_connected_after_the_end_delays_nothing(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    for usage in ([script.usage_chunk()], []):
        upstream.script = script.until_hung_up(*CHUNKS, *usage, script.DONE)
        started = time.monotonic()
        text_of(chat(user, stream=True))
        assert time.monotonic() - started < 4  # the provider hangs up after 5


def test_a_provider_that_talks_on_after_the_end_is_left(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.pausing(0.02, *CHUNKS, script.DONE, *[b": x\n\n"] * 200)
    started = time.monotonic()
    text_of(chat(user, stream=True))
    assert time.monotonic() - started < 1.5


def test_a_blank_line_of_two_kinds_is_one_end() -> None:
    for blank in (
        b"\n\n",
        b"\r\n\r\n",
        b"\r\r",
        b"\n\r",
        b"\n\r\n",
        b"\r\n\n",
        b"\r\r\n",
        b"\r\n\r",
    ):
        whole = b'data: {"a": "1"}' + blank + b'data: {"b": "2"}' + blank
        for cut in range(len(whole) + 1):
            events = Events()
            found = events.feed(whole[:cut]) + events.feed(whole[cut:]) + events.end()
            assert [event.data for event in found] == [b'{"a": "1"}', b'{"b": "2"}']


def test_an_event_is_passed_at_its_own_blank_line() -> None:
    """A CR may be followed by LF; an event does not wait for it."""
    assert len(Events().feed(b"data: [DONE]\r\r")) == 1


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_chunk_is_read_however_the_network_splits_it(form: Callable[[bytes], bytes]) -> None:
    """Packets that are sent one after the other may arrive as one; here each arrives alone."""
    whole = b"".join(map(form, CHUNKS))
    for size in (1, 2, 3, 5):
        events = Events()
        read = []
        for at in range(0, len(whole), size):
            read += events.feed(whole[at : at + size]) + events.feed(b"")
        read += events.end()
        assert [b"data: " + event.data for event in read] == [one.strip() for one in CHUNKS], size
