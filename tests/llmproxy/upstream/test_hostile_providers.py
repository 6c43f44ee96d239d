"""Bytes that a provider sends besides or instead of its answer cost nothing and reach nobody."""

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from credits.proof import audit
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Handler, Script, Upstream

pytestmark = pytest.mark.django_db(transaction=True)

Chat = Callable[..., Any]


def whole(text: str) -> bytes:
    body = json.dumps(
        {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 1}}
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def says(*pieces: bytes, pause: float = 0.1) -> Script:
    """Write these bytes unchanged, with a pause between the pieces."""

    def write(handler: Handler) -> None:
        for number, piece in enumerate(pieces):
            time.sleep(pause if number else 0)
            handler.wfile.write(piece)
            handler.wfile.flush()

    return write


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"


def test_the_answer_after_early_hints_is_the_answer(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = says(HINTS, HINTS, whole("mine"))
    assert chat(user).json()["choices"][0]["message"]["content"] == "mine"


@pytest.mark.parametrize(
    "secret",
    [
        says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", whole("SECRET")),
        says(b"HTTP/1.1 204 No Content\r\n\r\n", whole("SECRET")),
        says(b"HTTP/1.1 304 Not Modified\r\n\r\n", whole("SECRET")),
        says(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", whole("SECRET")),
        says(whole("first") + whole("SECRET")),
        says(whole("first"), whole("SECRET")),
    ],
    ids=["101", "204", "304", "500", "at once", "later"],
)
def test_what_comes_beyond_an_answer_is_nobodys(
    chat: Chat, user: User, upstream: Upstream, secret: Script
) -> None:
    upstream.script = secret
    chat(user)
    time.sleep(0.3)
    upstream.script = script.answer("mine")
    assert chat(user).json()["choices"][0]["message"]["content"] == "mine"
    assert ledger.balance(user).held == 0


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "later"])
def test_what_comes_beyond_a_stream_is_nobodys(
    chat: Chat, user: User, upstream: Upstream, pieces: int
) -> None:
    stream = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for part in (script.chunk("Hi", finish="stop"), script.DONE)
    )
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    raw = head + stream + b"0\r\n\r\n"
    upstream.script = says(raw + whole("SECRET")) if pieces == 1 else says(raw, whole("SECRET"))
    assert "[DONE]" in text_of(chat(user, stream=True))
    time.sleep(0.3)
    upstream.script = script.answer("mine")
    assert chat(user).json()["choices"][0]["message"]["content"] == "mine"


def test_an_error_of_unwritable_words_is_told_and_holds_nothing(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.raw(
        b'{"error": {"message": "a\\u0000b\\ud800", "code": "\\u0000\\ud800", "param": "\\u0000"}}',
        status=400,
    )
    response = chat(user)
    assert (response.status_code, response.json()["error"]["message"]) == (400, "ab?")
    assert ledger.balance(user) == ledger.Balance(50, 0, "free")
    assert Completion.objects.get().status == "failed"


def test_a_provider_that_repeats_our_key_tells_nobody(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.error(
        400, "m sk-provider", code="c sk-provider", param="p sk-provider"
    )
    assert "sk-provider" not in chat(user).content.decode()
    assert "sk-provider" not in Completion.objects.get().error


def test_a_reset_right_after_the_headers_is_502(chat: Chat, user: User, upstream: Upstream) -> None:
    def reset(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    upstream.script = reset
    assert chat(user, stream=True).status_code == 502
    assert ledger.balance(user).held == 0


def test_half_a_character_in_a_tool_call_is_passed_and_charged_once(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    tool_use = b'{"type": "tool_use", "name": "t", "input": {"x": "\\ud83d"}}'
    body = b'{"type": "message", "content": [' + tool_use + b"], "
    upstream.script = script.raw(body + b'"usage": {"input_tokens": 5, "output_tokens": 5}}')
    response = chat(user, "/v1/messages", max_tokens=100)
    assert (response.status_code, response["x-credits-used"]) == (200, "1")


def test_chunks_without_text_do_not_go_on_for_ever(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(*[script.chunk("") * 100 for _ in range(200)])
    text_of(chat(user, stream=True, max_tokens=10))
    assert upstream.hung_up.wait(8)
    assert ledger.balance(user).held == 0
    assert audit.run().findings == []


def test_a_slow_error_is_not_waited_for(
    chat: Chat, user: User, upstream: Upstream, monkeypatch: Any
) -> None:
    monkeypatch.setattr("llmproxy.upstream.exchange.ERROR_SECONDS", 0.5)
    upstream.script = says(b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 40)
    started = time.monotonic()
    assert chat(user).status_code == 502
    assert time.monotonic() - started < 3


def test_a_route_that_a_provider_does_not_have_says_nothing_of_its_health(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    from llmproxy.models import Provider

    upstream.script = script.error(404)
    assert [chat(user).status_code for _ in range(4)] == [502] * 4
    assert Provider.objects.get().failures == 0


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "image_file", "image_file": {"file_id": "file-1"}},
    ],
    ids=str,
)
def test_content_that_cannot_be_measured_is_refused(
    chat: Chat, user: User, upstream: Upstream, part: Any
) -> None:
    response = chat(user, messages=[{"role": "user", "content": [part]}])
    assert response.status_code == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"audio": {"voice": "alloy"}},
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
    ],
    ids=str,
)
def test_what_costs_more_than_is_metered_is_refused(
    chat: Chat, user: User, upstream: Upstream, parameters: Any
) -> None:
    assert chat(user, **parameters).status_code == 400
    assert upstream.requests == []


def test_nothing_of_a_chat_is_kept_at_the_provider(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    prediction = {"type": "content", "content": "x"}
    answer = chat(
        user, store=True, metadata={"a": "b"}, modalities=["text", "audio"], prediction=prediction
    )
    assert not {"store", "metadata", "prediction"} & upstream.sent.keys()
    assert upstream.sent["modalities"] == ["text"]
    assert answer["x-dropped-parameters"] == "store, metadata, prediction, modalities (audio)"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "user", "id": "msg_1"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
    ],
)
def test_an_item_that_is_only_named_is_refused(
    chat: Chat, user: User, upstream: Upstream, item: Any
) -> None:
    assert chat(user, "/v1/responses", input=[item], messages=None).status_code == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:port/v1",
        "http://[::1/v1",
        "http://[::1]:1/v1",
        "ftp://127.0.0.1/v1",
        "127.0.0.1/v1",
        "http:///v1",
        "http://user:secret@127.0.0.1:1/v1?a=b#c",
        "http://ผู้ให้บริการ.invalid/v1",
        "http://" + "ü" * 70 + ".invalid/v1",
        "http://a\x0bb\0.invalid/v1",
        "http://a..b.invalid/v1",
    ],
)
def test_an_address_that_is_none_is_503_and_holds_nothing(
    chat: Chat, user: User, upstream: Upstream, settings: Any, address: str
) -> None:
    settings.LLM_UPSTREAM_BASE_URL = address
    assert chat(user).status_code == 503
    assert ledger.balance(user).held == 0


@pytest.mark.parametrize(
    "address",
    ["http://u:hunter2@127.0.0.1:port/v1", "ftp://u:hunter2@a/v1", "http://u:hunter2@/v1"],
)
def test_a_password_in_an_address_is_not_logged(
    chat: Chat, user: User, upstream: Upstream, settings: Any, caplog: Any, address: str
) -> None:
    settings.LLM_UPSTREAM_BASE_URL = address
    assert chat(user).status_code == 503
    assert "base URL" in caplog.text
    assert "hunter2" not in caplog.text


def test_nothing_can_be_added_to_the_head_of_what_is_sent(
    chat: Chat, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_UPSTREAM_BASE_URL = upstream.url + "/a b\r\nX-Base: 1\r\n\x0bü"
    headers = {
        "x-trace-id": "a\r\nX-Trace: 1",
        "anthropic-beta": "pdfs-ü,pdfs-ก",
        "anthropic-version": "1\r\nX-V: 1",
    }
    chat(user, "/v1/messages", max_tokens=10, headers=headers)
    assert upstream.paths == ["/v1/a%20bX-Base:%201%0B%C3%BC/messages"]
    sent = {name.lower(): value for name, value in upstream.requests[0][1].items()}
    assert not {"x-base", "x-trace", "x-v"} & sent.keys()
    assert ("anthropic-beta" in sent, sent["anthropic-version"]) == (False, "2023-06-01")
