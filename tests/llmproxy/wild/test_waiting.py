"""Until the caller has been told something, the next provider may be asked; and how long we wait.

Sources: maximhq/bifrost#5395 (an error after `response.created`), and the API references for the
events that come before content.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from credits.proof import audit
from llmproxy.models import Completion
from llmproxy.upstream.first_content import carries_content
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_routes import event
from tests.llmproxy.scripted_upstream import Script
from tests.llmproxy.several import Several, tried

pytestmark = pytest.mark.django_db(transaction=True)

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {},
    TEXT: {"prompt": "Hi", "messages": None},
    RESPONSES: {"input": "Hi", "messages": None},
    MESSAGES: {"max_tokens": 100},
}


def data(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(**fields: Any) -> bytes:
    return data(id="c", choices=[{"index": 0, "delta": fields, "finish_reason": None}])


ROLE = delta(role="assistant", content="")
RESPONSE = scripted_routes.response_pieces()
START = scripted_routes.message_start(3000)
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
# What comes before the first content, on each route.
BEGINNINGS: list[tuple[str, str, bytes]] = [
    ("a role", CHAT, ROLE),
    ("a role and nulls", CHAT, delta(role="assistant", content=None, refusal=None)),
    ("azure's filter", CHAT, data(choices=[], prompt_filter_results=[{"prompt_index": 0}])),
    ("choices without content", CHAT, data(id="", choices=[]) * 3),
    ("empty contents", CHAT, delta(content="") * 40),
    ("empty tool calls", CHAT, delta(tool_calls=[{"index": 0, "id": "", "function": {}}])),
    ("a usage of the prompt", CHAT, data(choices=[], usage={"prompt_tokens": 9000})),
    (
        "comments and heartbeats",
        CHAT,
        b": OPENROUTER PROCESSING\n\ndata: {}\n\ndata: ping\n\n" + ROLE,
    ),
    ("an empty text", TEXT, data(choices=[{"index": 0, "text": "", "finish_reason": None}])),
    ("created", RESPONSES, RESPONSE[0]),
    (
        "created and in progress",
        RESPONSES,
        RESPONSE[0] + event("response.in_progress", response={}),
    ),
    ("an item and a part", RESPONSES, b"".join(RESPONSE[:3])),
    (
        "an empty delta",
        RESPONSES,
        b"".join(RESPONSE[:3]) + event("response.output_text.delta", delta=""),
    ),
    ("a start", MESSAGES, START),
    ("a start, a ping and a block", MESSAGES, START + event("ping") + BLOCK),
    (
        "an empty thought",
        MESSAGES,
        START
        + event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": ""}),
    ),
    (
        "a signature",
        MESSAGES,
        START
        + event(
            "content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}
        ),
    ),
]
ENDINGS: dict[str, tuple[bytes, bool]] = {
    "an error": (
        b'event: error\ndata: {"error": {"type": "api_error", "message": "x"}}\n\n',
        False,
    ),
    "an error without a name": (b'data: {"type": "error", "error": {"message": "x"}}\n\n', False),
    "a break": (b"", True),
    "an end": (b"", False),
    "rubbish": (b"data: {half\n\n", False),
}
ANSWERS: dict[str, Script] = {
    CHAT: script.streamed("second"),
    TEXT: script.events(*scripted_routes.text_pieces("second")),
    RESPONSES: script.events(*scripted_routes.response_pieces("second")),
    MESSAGES: script.events(*scripted_routes.message_pieces("second")),
}


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    def call(path: str = CHAT, *, stream: bool = True, **more: Any) -> Any:
        return chat(user, path, model="bright", stream=stream, **{**BODIES[path], **more})

    return call


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("beginning", BEGINNINGS, ids=lambda row: row[0])
def test_what_fails_before_its_content_is_left_for_the_next(
    ask: Any, several: Several, beginning: tuple[str, str, bytes], ending: tuple[bytes, bool]
) -> None:
    _id, path, begun = beginning
    several.add("first", script.events(begun, *([ending[0]] if ending[0] else []), cut=ending[1]))
    several.add("second", ANSWERS[path])
    text = text_of(ask(path))
    assert '"second"' in text
    assert "error" not in text.replace('"error": null', "")
    assert tried() == [("first", "upstream_error"), ("second", "")]
    row = Completion.objects.get()
    assert (row.prompt_tokens, row.completion_tokens, row.usage_source) == (20, 5, "exact")


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=lambda row: row[0])
def test_if_nobody_else_is_left_the_status_tells_it(
    ask: Any, several: Several, user: User, beginning: tuple[str, str, bytes]
) -> None:
    _id, path, begun = beginning
    several.add("only", script.events(begun, cut=True))
    answer = ask(path)
    assert (answer.status_code, answer["Content-Type"]) == (502, "application/json")
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")
    assert Completion.objects.get().first_byte_ms is None


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=lambda row: row[0])
def test_what_was_held_back_comes_before_the_content(
    ask: Any, several: Several, beginning: tuple[str, str, bytes]
) -> None:
    """Nothing is lost or told twice if the first provider answers after all."""
    _id, path, begun = beginning
    answer = {
        CHAT: [script.chunk("Hel"), script.chunk("lo", finish="stop"), script.DONE],
        TEXT: scripted_routes.text_pieces("Hel", "lo"),
        RESPONSES: scripted_routes.response_pieces("Hel", "lo")[3:],
        MESSAGES: scripted_routes.message_pieces("Hel", "lo")[1:],
    }[path]
    several.add("first", script.events(begun, *answer))
    second = several.add("second")
    text = text_of(ask(path))
    assert text.count("Hel") >= 1
    for one in begun.split(b"\n\n"):
        is_part = b'"type"' in one or b"delta" in one or b'"text"' in one
        assert not is_part or one.decode() in text
    assert second.requests == []


def test_content_is_not_held_back(ask: Any, several: Several) -> None:
    never = threading.Event()
    several.add("first", script.events(ROLE, script.chunk("Hel"), never, script.chunk("lo")))
    pieces = iter(ask().streaming_content)
    assert b"Hel" in next(pieces)
    never.set()


CONTENTS: list[tuple[str, dict[str, Any]]] = [
    ("text", {"choices": [{"delta": {"content": " "}}]}),
    ("reasoning", {"choices": [{"delta": {"reasoning_content": "h"}}]}),
    ("a refusal", {"choices": [{"delta": {"refusal": "no"}}]}),
    ("a tool", {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}]}),
    ("arguments", {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{"}}]}}]}),
    ("an image", {"choices": [{"delta": {"images": [{"image_url": {"url": "data:,x"}}]}}]}),
    ("audio", {"choices": [{"delta": {"audio": {"data": "AAAA"}}}]}),
    ("the second choice", {"choices": [{"delta": {}}, {"delta": {"content": "x"}}]}),
    ("an end", {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}),
    ("a delta", {"type": "response.function_call_arguments.delta", "delta": "{"}),
    ("a finished response", {"type": "response.completed", "response": {}}),
    ("a finished item", {"type": "response.output_item.done", "item": {}}),
    (
        "a tool of a message",
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}},
    ),
    ("a thought", {"type": "content_block_delta", "delta": {"thinking": "x"}}),
    ("an end of a message", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    ("a stop", {"type": "message_stop"}),
    ("an unknown event", {"type": "response.image_generation_call.partial_image"}),
]


@pytest.mark.parametrize("chunk", [row[1] for row in CONTENTS], ids=[row[0] for row in CONTENTS])
def test_content_is_recognised(chunk: dict[str, Any]) -> None:
    assert carries_content(chunk)


@pytest.mark.parametrize(
    "chunk", [None, 1, [], "x", {}, {"choices": None}, {"choices": [1]}, {"type": 5}], ids=str
)
def test_what_is_no_chunk_is_no_content(chunk: Any) -> None:
    assert not carries_content(chunk)


def test_so_much_is_held_back_and_no_more(ask: Any, several: Several, user: User) -> None:
    """After 64 KiB without content the caller gets what came, and this provider stays."""
    several.add("first", script.events(*[delta(content="", note="x" * 1000)] * 80, cut=True))
    second = several.add("second")
    text = text_of(ask())
    assert '"upstream_error"' in text
    assert text.count('"note"') == 80
    assert (second.requests, ledger.balance(user).held) == ([], 0)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("is_begun", [True, False], ids=["begun", "without headers"])
def test_the_caller_is_kept_waiting_and_the_next_provider_answers(
    ask: Any, several: Several, settings: Any, path: str, is_begun: bool
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    begun = {CHAT: ROLE, RESPONSES: RESPONSE[0], MESSAGES: START}[path]
    late = threading.Event()
    late_events = script.events(begun, late, cut=True)
    several.add("first", late_events if is_begun else script.after(0.5, script.error(500)))
    several.add("second", script.after(0.3, ANSWERS[path]))
    threading.Timer(0.5, late.set).start()
    answer = ask(path)
    assert answer.status_code == 200
    text = text_of(answer)
    assert text.startswith(": keep-alive\n")
    assert 5 <= text.count(": keep-alive\n") <= 9
    assert '"second"' in text
    assert tried() == [("first", "upstream_error"), ("second", "")]
    row = Completion.objects.get()
    assert (row.status, row.prompt_tokens, row.completion_tokens) == ("completed", 20, 5)
    assert row.first_byte_ms is not None
    assert row.first_byte_ms >= 700


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_last_failure_after_comments_is_an_error_event(
    ask: Any, several: Several, settings: Any, user: User, path: str
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    several.add("first", script.after(0.25, script.error(500)))
    several.add("second", script.after(0.25, script.error(400, "too long: maximum context length")))
    text = text_of(ask(path))
    assert text.startswith(": keep-alive\n")
    assert "maximum context length" in text
    assert "error" in text
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")
    assert Completion.objects.get().status == "failed"
    assert audit.run().findings == []


def test_who_leaves_while_nothing_has_come_pays_nothing(
    ask: Any, several: Several, settings: Any, user: User
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    upstream = several.add("first", script.until_hung_up(ROLE))
    second = several.add("second")
    answer = ask()
    assert next(iter(answer.streaming_content)).startswith(b": keep-alive\n")
    answer.close()
    assert upstream.hung_up.wait(3)
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")
    assert (Completion.objects.get().status, second.requests) == ("interrupted", [])


def test_a_prompt_that_a_failed_provider_reported_is_not_charged(
    ask: Any, several: Several, settings: Any, user: User
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    several.add("first", script.events(START, cut=True))
    several.add("second", script.until_hung_up_without_a_word)
    answer = ask(MESSAGES)
    next(iter(answer.streaming_content))
    answer.close()
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_json_is_waited_for_without_comments(ask: Any, several: Several, settings: Any) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    several.add("first", script.after(0.5, script.answer("late")))
    started = time.monotonic()
    assert ask(stream=False).json()["choices"][0]["message"]["content"] == "late"
    assert time.monotonic() - started > 0.4
