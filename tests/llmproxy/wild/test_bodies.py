"""Request bodies as clients write them, and as they arrive: in chunks, compressed, cut, too long.

Where the transport matters, a real gunicorn serves them.
"""

import base64
import gzip
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from accounts.models import User
from credits.models import Hold
from llmproxy.exceptions import InvalidRequest
from llmproxy.models import Completion
from llmproxy.routes.bodies import content_coding
from llmproxy.routes.embeddings import MOST_AS_NUMBERS
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Handler, Upstream
from tests.llmproxy.wild.conftest import BODIES, MESSAGES, Ask, read_all, settled
from tests.smartspec.gunicorn import RawResponse, Server, serving

pytestmark = pytest.mark.django_db(transaction=True)

CHAT, TEXT, EMBEDDINGS, RESPONSES, ANTHROPIC = BODIES
HEADER = "x-dropped-parameters"
MOST = django_settings.WEB_LLM_MAX_BODY_BYTES
BODY = json.dumps(BODIES[CHAT]).encode()

Send = Callable[..., Any]


@pytest.fixture
def send(client: Client, bearer: Any, ask: Ask, payer: User) -> Send:
    """Send these bytes as a body."""

    def post(raw: bytes, path: str = CHAT, **headers: str) -> Any:
        return client.post(
            path, raw, content_type="application/json", headers={**bearer(payer), **headers}
        )

    return post


def said(text: str) -> str:
    """A body in JSON, in which the text stands as it is."""
    return '{"messages": [{"role": "user", "content": "' + text + '"}]}'


TEXTS = [
    ("cut emoji", said(r"Hi \ud83d"), "Hi \ufffd"),
    ("cut at its begin", said(r"\ude00 Hi"), "\ufffd Hi"),
    ("whole emoji", said(r"Hi \ud83d\ude00"), "Hi \U0001f600"),
    ("both", said(r"\ud83d\ud83d\ude00\ude00"), "\ufffd\U0001f600\ufffd"),
    ("an escaped backslash", said(r"C:\\ud83d \ud83d"), "C:\\ud83d \ufffd"),
    ("upper case", said(r"\uD83D\uDE00\uDE00"), "\U0001f600\ufffd"),
    ("byte order mark", "\ufeff" + said("Hi"), "Hi"),
    ("byte order mark and a cut emoji", "\ufeff" + said(r"\udc00"), "\ufffd"),
    ("space around", "\r\n\t " + said("Hi") + "\n\n", "Hi"),
    ("duplicate keys", '{"messages": 5, ' + said("Hi")[1:], "Hi"),
    ("a NUL", said(r"a\u0000b"), "a\0b"),
]


@pytest.mark.parametrize(("raw", "text"), [row[1:] for row in TEXTS], ids=[r[0] for r in TEXTS])
def test_json_is_read_as_clients_write_it(
    raw: str, text: str, send: Send, payer: User, upstream: Upstream
) -> None:
    response = send(raw.encode())
    assert response.status_code == 200, response.content
    assert upstream.sent["messages"][0]["content"] == text
    settled(payer)


def test_a_surrogate_that_was_encoded_is_replaced(send: Send, upstream: Upstream) -> None:
    raw = said("Hi \ud83d").encode(errors="surrogatepass")
    assert send(raw).status_code == 200
    assert upstream.sent["messages"][0]["content"] == "Hi \ufffd\ufffd\ufffd"[:4]


@pytest.mark.parametrize("path", BODIES)
def test_a_cut_emoji_is_replaced_in_every_text(
    path: str, send: Send, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS.get(path, script.answer)()
    body = BODIES[path] | {"user": "\ud800", "\udc00": 1}
    response = send(json.dumps(body).replace("Hi", r"Hi \ud83d").encode(), path)
    assert response.status_code == 200, response.content
    assert "Hi \ufffd" in json.dumps(upstream.sent, ensure_ascii=False)
    assert settled(payer).dropped_parameters is not None


WRONG = [
    ("empty", b"", "empty"),
    ("blank", b" \n", "empty"),
    ("only a mark", b"\xef\xbb\xbf", "empty"),
    ("UTF-16", BODY.decode().encode("utf-16"), "UTF-8"),
    ("UTF-16 without its mark", BODY.decode().encode("utf-16-le"), "UTF-8"),
    ("UTF-32", BODY.decode().encode("utf-32-be"), "UTF-8"),
    ("no text", said("Hi").encode() + b"\xff", "JSON"),
    ("latin-1", said("caf\xe9").encode("latin-1"), "UTF-8"),
    ("NaN", b'{"temperature": NaN}', "NaN"),
    ("Infinity", b'{"temperature": Infinity}', "Infinity"),
    ("-Infinity", b'{"temperature": -Infinity}', "-Infinity"),
    ("too large a number", b'{"temperature": 1e400}', "infinity"),
    ("single quotes", b"{'messages': []}", "JSON"),
    ("a comma too many", b'{"messages": [],}', "JSON"),
    ("two values", BODY + BODY, "JSON"),
    ("cut", BODY[:-5], "JSON"),
    ("cut in an escape", said(r"Hi \ud83d").encode()[:-6], "JSON"),
    ("a list", b"[1]", "object"),
    ("a text", b'"Hi"', "object"),
    ("null", b"null", "object"),
]


@pytest.mark.parametrize(("raw", "told"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
@pytest.mark.parametrize("path", [CHAT, ANTHROPIC])
def test_what_is_no_json_is_400_with_a_clear_text(
    path: str, raw: bytes, told: str, send: Send, upstream: Upstream
) -> None:
    response = send(raw, path)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert told in error["message"]
    assert ("type" in response.json()) == (path == ANTHROPIC)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (CHAT, "seed", 2**64),
        (CHAT, "seed", -(2**70)),
        (CHAT, "top_k", 10**30),
        (CHAT, "max_tokens", 2**64),
        (CHAT, "n", 10**20),
        (RESPONSES, "max_output_tokens", 10**25),
        (ANTHROPIC, "max_tokens", 2**65),
        (EMBEDDINGS, "dimensions", 2**64),
    ],
)
def test_an_integer_beyond_64_bits_is_400(
    path: str, name: str, value: int, send: Send, upstream: Upstream
) -> None:
    body = {**BODIES[path], name: 0}
    raw = json.dumps(body).replace(f'"{name}": 0', f'"{name}": {value}')
    response = send(raw.encode(), path)
    assert (response.status_code, response.json()["error"]["param"]) == (400, name)
    assert upstream.requests == []


@pytest.mark.parametrize("value", ["2e63", "9007199254740993.0", "-0.0", "1e-400", "0.1"])
def test_numbers_of_any_size_reach_the_provider_as_numbers(
    value: str, send: Send, payer: User, upstream: Upstream
) -> None:
    raw = f'{{"frequency_penalty": 0, "min_p": {value}, {json.dumps(BODIES[CHAT])[1:]}'
    assert send(raw.encode()).status_code == 200
    assert upstream.sent["min_p"] == float(value)


def test_tokens_may_be_written_as_floats(ask: Ask, payer: User, upstream: Upstream) -> None:
    upstream.script = scripted_routes.vectors()
    assert ask(EMBEDDINGS, input=[[1.0, 2.0], [3, 4]]).status_code == 200
    assert json.dumps(upstream.sent["input"]) == "[[1, 2], [3, 4]]"
    assert ask(EMBEDDINGS, input=[1.5]).status_code == 400


# --- Content-Encoding ---------------------------------------------------------------------------


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


CODED = [
    ("gzip", gzip.compress(BODY, mtime=0)),
    ("GZIP", gzip.compress(BODY, mtime=0)),
    ("x-gzip", gzip.compress(BODY, mtime=0)),
    ("gzip", gzip.compress(BODY[:20], mtime=0) + gzip.compress(BODY[20:], mtime=0)),
    ("gzip", gzip.compress(BODY, mtime=0) + b"\0" * 64),
    ("deflate", zlib.compress(BODY)),
    ("deflate", raw_deflate(BODY)),
    ("identity", BODY),
    ("identity, gzip", gzip.compress(BODY, mtime=0)),
    ("", BODY),
]


@pytest.mark.parametrize(("coding", "raw"), CODED)
def test_a_compressed_body_is_read(
    coding: str, raw: bytes, send: Send, payer: User, upstream: Upstream
) -> None:
    assert send(raw, **{"content-encoding": coding}).status_code == 200
    assert upstream.sent["messages"] == MESSAGES
    assert settled(payer).charged == 45


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate,gzip", "x"])
def test_another_coding_is_415_and_says_which_are_known(
    coding: str, send: Send, upstream: Upstream
) -> None:
    response = send(BODY, **{"content-encoding": coding})
    assert (response.status_code, response["Accept-Encoding"]) == (415, "gzip, deflate")
    assert response.json()["error"]["code"] == "unsupported_media_type"
    assert upstream.requests == []


BROKEN = [
    ("gzip", BODY),
    ("gzip", gzip.compress(BODY, mtime=0)[:-9]),
    ("gzip", gzip.compress(BODY, mtime=0)[:10]),
    ("gzip", gzip.compress(BODY, mtime=0) + b"more"),
    ("gzip", gzip.compress(b"x", mtime=0) * 17),
    ("gzip", gzip.compress(BODY, mtime=0)[:-8] + b"\0" * 8),
    ("deflate", zlib.compress(BODY)[:-2]),
    ("deflate", b"\x78\x9c"),
    ("deflate", zlib.compress(BODY) + b"more"),
    ("gzip", zlib.compress(BODY)),
    ("gzip", b""),
    ("gzip", gzip.compress(b"", mtime=0)),
]


@pytest.mark.parametrize(("coding", "raw"), BROKEN)
def test_a_broken_compressed_body_is_400(
    coding: str, raw: bytes, send: Send, upstream: Upstream
) -> None:
    response = send(raw, ANTHROPIC, **{"content-encoding": coding})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [MOST + 1, 200 * MOST])
def test_a_body_that_inflates_beyond_the_limit_stops_early(
    coding: str, size: int, send: Send, upstream: Upstream
) -> None:
    pack = gzip.compress if coding == "gzip" else zlib.compress
    raw = pack(b" " * size)
    started = time.monotonic()
    response = send(raw, **{"content-encoding": coding})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
    assert time.monotonic() - started < 5


def test_exactly_the_limit_is_read(send: Send, upstream: Upstream) -> None:
    raw = BODY + b" " * (MOST - len(BODY))
    assert send(gzip.compress(raw, mtime=0), **{"content-encoding": "gzip"}).status_code == 200


def test_a_stranger_has_nothing_inflated(
    client: Client, monkeypatch: pytest.MonkeyPatch, upstream: Upstream
) -> None:
    def refuse(*_args: Any) -> bytes:
        raise AssertionError("inflated for nobody")

    monkeypatch.setattr(content_coding, "inflate", refuse)
    headers = {"authorization": "Bearer sk-nobody", "content-encoding": "gzip"}
    response = client.post(
        CHAT, gzip.compress(BODY, mtime=0), content_type="application/json", headers=headers
    )
    assert response.status_code == 401


def test_the_same_body_in_another_coding_is_the_same_request(
    send: Send, payer: User, upstream: Upstream
) -> None:
    first = send(BODY, **{"idempotency-key": "one"})
    second = send(
        gzip.compress(BODY, mtime=0), **{"idempotency-key": "one", "content-encoding": "gzip"}
    )
    assert first.json() == second.json()
    assert (second["Idempotency-Replayed"], len(upstream.requests)) == ("true", 1)


def test_a_body_is_inflated_as_it_was() -> None:
    for size in (0, 1, 1000, 70_000):
        body = bytes(range(256)) * (size // 256 + 1)
        for raw, coding in (
            (gzip.compress(body, mtime=0), "gzip"),
            (zlib.compress(body), "deflate"),
            (raw_deflate(body), "deflate"),
        ):
            assert content_coding.inflate(raw, coding, len(body)) == body
            for cut in {0, 1, 5, len(raw) // 2, len(raw) - 1} - {len(raw)}:
                with pytest.raises(InvalidRequest):
                    content_coding.inflate(raw[:cut], coding, len(body))


# --- Contents of messages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sent", "dropped"),
    [
        (
            [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hello"}],
            [{"type": "text", "text": "Hello"}],
            "messages.0.content (thinking)",
        ),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}],
            "",
            "messages.0.content (thinking)",
        ),
        (
            [
                {"type": "redacted_thinking", "data": "x"},
                {"type": "reasoning", "text": "Hm"},
                {"type": "text", "text": "Hello"},
            ],
            [{"type": "text", "text": "Hello"}],
            "messages.0.content (redacted_thinking), messages.0.content (reasoning)",
        ),
        ([{"type": "text", "text": "Hello"}], [{"type": "text", "text": "Hello"}], ""),
        ([], [], ""),
        ("", "", ""),
        (None, None, ""),
    ],
)
def test_thoughts_in_an_answer_that_comes_back_are_named(
    content: Any, sent: Any, dropped: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    response = ask(messages=[{"role": "assistant", "content": content}, *MESSAGES])
    assert response.status_code == 200, response.content
    assert upstream.sent["messages"][0]["content"] == sent
    assert response.get(HEADER, "") == dropped
    settled(payer)


@pytest.mark.parametrize("content", [{}, 5, False, [1], [{}], {"type": "text"}])
@pytest.mark.parametrize("role", ["assistant", "user", ""])
def test_content_of_another_type_is_400(
    content: Any, role: str, ask: Ask, upstream: Upstream
) -> None:
    response = ask(messages=[{"role": role, "content": content}])
    assert (response.status_code, upstream.requests) == (400, [])


def test_thoughts_beside_the_content_are_forwarded(ask: Ask, upstream: Upstream) -> None:
    answer = {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hm",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAA"}],
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}],
    }
    response = ask(messages=[answer, *MESSAGES])
    assert (response.status_code, HEADER in response) == (200, False)
    assert upstream.sent["messages"][0] == answer


@pytest.mark.parametrize("path", [CHAT, ANTHROPIC, RESPONSES])
def test_null_members_are_as_good_as_absent(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    names = "tools tool_choice temperature stop n stream stream_options user metadata thinking"
    response = ask(path, **dict.fromkeys(names.split()), model=None, odd=None)
    assert (response.status_code, HEADER in response) == (200, False)
    settled(payer)


# --- Many vectors -------------------------------------------------------------------------------

VECTOR = [0.25, -1.5, 3.0]
NAN = "AADAfw=="  # which JSON cannot say: it becomes null


def as_base64(handler: Handler) -> None:
    """Answer each input with a vector, in the form that was asked for."""
    sent = handler.upstream.sent
    packed = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    vector = packed if sent.get("encoding_format") == "base64" else VECTOR
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index in range(len(sent["input"]))
    ]
    usage = {"prompt_tokens": 20, "total_tokens": 20}
    body = {"object": "list", "data": data, "model": "m", "usage": usage}
    script.raw(json.dumps(body).encode())(handler)


@pytest.mark.parametrize("count", [1, MOST_AS_NUMBERS, MOST_AS_NUMBERS + 1, 2048])
@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_so_many_vectors_come_in_the_form_that_was_asked_for(
    count: int, form: str | None, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = as_base64
    more = {} if form is None else {"encoding_format": form}
    response = ask(EMBEDDINGS, input=["a"] * count, **more)
    answer = json.loads(read_all(response))
    assert response.status_code == 200
    assert [item["index"] for item in answer["data"]] == list(range(count))
    packed = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    assert answer["data"][-1]["embedding"] == (packed if form == "base64" else VECTOR)
    assert answer["_credits"]["used"] == settled(payer).charged == 20
    assert (response["x-credits-used"], response["Content-Type"]) == ("20", "application/json")
    asked = upstream.sent.get("encoding_format")
    assert asked == ("base64" if count > MOST_AS_NUMBERS or form == "base64" else form)


@pytest.mark.parametrize("vector", [VECTOR, "no base64!", "AAA=", "AAAA", None, {}, NAN, "\ud800"])
def test_what_a_provider_sends_instead_of_base64_passes(
    vector: Any, ask: Ask, payer: User, upstream: Upstream
) -> None:
    item = {"object": "embedding", "index": 0, "embedding": vector}
    item |= {} if vector == NAN else {"odd": "\ud800"}
    body = {"data": [item, "x", None, 5], "model": "\ud800", "usage": {"prompt_tokens": 20}}
    upstream.script = script.raw(json.dumps(body).encode())
    response = ask(EMBEDDINGS, input=["a"] * 600)
    answer = json.loads(read_all(response))
    numbers = [None] if vector == NAN else vector
    assert answer["data"] == [{**item, "embedding": numbers}, "x", None, 5]
    settled(payer)


def test_more_inputs_than_openai_takes_are_400(ask: Ask, upstream: Upstream) -> None:
    response = ask(EMBEDDINGS, input=["a"] * 2049)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")


def test_a_repetition_of_many_vectors_is_told_that_they_are_not_kept(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = as_base64
    first = ask(EMBEDDINGS, input=["a"] * 600, headers={"Idempotency-Key": "one"})
    read_all(first)
    second = ask(EMBEDDINGS, input=["a"] * 600, headers={"Idempotency-Key": "one"})
    assert (first.status_code, second.status_code) == (200, 409)
    assert settled(payer).charged == 20


# --- On the wire --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Upstream]]:
    with django_db_blocker.unblock(), script.serving() as provider:
        provider.script = scripted_routes.as_asked("Hello")
        upstream = {"LLM_UPSTREAM_BASE_URL": provider.url, "LLM_UPSTREAM_MODELS": "small"}
        folder = tmp_path_factory.mktemp("gunicorn")
        with serving(folder, REQUEST_BODY_SECONDS="1", **upstream) as running:
            yield running, provider
            log = running.log.read_text()
            assert "Error handling request" not in log
            assert "Internal Server Error" not in log


@pytest.fixture
def wire(server: tuple[Server, Upstream]) -> Upstream:
    server[1].requests.clear()
    return server[1]


@pytest.fixture
def login(make_user: Any, make_token: Any) -> str:
    return f"Authorization: Bearer {make_token(make_user(credits=500))}\r\n"


def head(login: str, *fields: str, path: str = CHAT, version: str = "1.1") -> bytes:
    lines = [
        f"POST {path} HTTP/{version}",
        "Content-Type: application/json",
        "Connection: close",
        *fields,
    ]
    return ("\r\n".join(lines) + f"\r\n{login}\r\n").encode()


def exchange(server: Server, raw: bytes, *, closes: bool = False) -> bytes:
    """Send the bytes and return all that comes back before the server closes the connection.

    A caller who `closes` its side counts as gone, and gets no answer of a model.
    """
    received = b""
    line = socket.create_connection(("127.0.0.1", server.port), timeout=15)
    with line, suppress(ConnectionError):
        line.sendall(raw)
        if closes:
            line.shutdown(socket.SHUT_WR)
        while piece := line.recv(65536):
            received += piece
    return received


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]


HOST = "Host: 127.0.0.1"
CHUNKED = "Transfer-Encoding: chunked"


def chunks(body: bytes, size: int, last: bytes = b"0\r\n\r\n", extension: bytes = b"") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + last


GOOD_CHUNKS = [
    ("one", chunks(BODY, 10_000)),
    ("a byte each", chunks(BODY, 1)),
    ("extensions", chunks(BODY, 7, extension=b";a=b")),
    ("trailers", chunks(BODY, 9, last=b"0\r\nX-Sum: 1\r\n\r\n")),
    ("upper case sizes", chunks(BODY, 171).replace(b"ab\r\n", b"AB\r\n")),
    ("leading zeros", b"000" + chunks(BODY, 10_000)),
]


@pytest.mark.parametrize("raw", [row[1] for row in GOOD_CHUNKS], ids=[r[0] for r in GOOD_CHUNKS])
@pytest.mark.parametrize("path", [CHAT, "/api/llm/chat"])
def test_a_chunked_body_is_read(
    path: str, raw: bytes, server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    received = exchange(server[0], head(login, HOST, CHUNKED, path=path) + raw)
    assert statuses(received) == [200], received
    assert wire.sent["messages"] == MESSAGES
    assert Completion.objects.get().status == "completed"


def test_a_chunked_body_may_be_compressed(
    server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    raw = chunks(gzip.compress(BODY, mtime=0), 11)
    received = exchange(server[0], head(login, HOST, CHUNKED, "Content-Encoding: gzip") + raw)
    assert (statuses(received), wire.sent["messages"]) == ([200], MESSAGES)


def test_two_chunked_requests_share_a_connection(
    server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    first = head(login, HOST, CHUNKED).replace(b"Connection: close\r\n", b"") + chunks(BODY, 40)
    received = exchange(server[0], first + head(login, HOST, CHUNKED) + chunks(BODY, 90))
    assert statuses(received) == [200, 200]
    assert len(wire.requests) == 2


BAD_CHUNKS = [
    ("cut", chunks(BODY, 10)[:-20]),
    ("no last chunk", chunks(BODY, 10, last=b"")),
    ("cut in the trailers", chunks(BODY, 10, last=b"0\r\nX: 1\r\n")),
    ("no size", b"\r\n" + BODY),
    ("a size that lies", b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a size beyond the body", b"ffff\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a negative size", b"-5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("an odd size", b"0x5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a huge size", b"f" * 30 + b"\r\n" + BODY),
    ("bare LF", BODY.join([b"%x\n" % len(BODY), b"\n0\n\n"])),
]


@pytest.mark.parametrize("raw", [row[1] for row in BAD_CHUNKS], ids=[r[0] for r in BAD_CHUNKS])
@pytest.mark.parametrize("path", [CHAT, ANTHROPIC])
def test_a_malformed_chunk_is_400_and_ends_the_connection(
    path: str, raw: bytes, server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    after = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + login.encode() + b"\r\n"
    open_head = head(login, HOST, CHUNKED, path=path).replace(b"Connection: close\r\n", b"")
    received = exchange(server[0], open_head + raw + after, closes=True)
    assert statuses(received) == [400]
    assert b'"invalid_request_error"' in received
    assert (b'"type": "error"' in received) == (path == ANTHROPIC)
    assert (wire.requests, Hold.objects.count()) == ([], 0)


def test_a_chunked_body_beyond_the_limit_is_413(
    server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    raw = chunks(b" " * (MOST + 1), 65_536)
    assert statuses(exchange(server[0], head(login, HOST, CHUNKED) + raw)) == [413]
    exactly = BODY + b" " * (MOST - len(BODY))
    received = exchange(server[0], head(login, HOST, CHUNKED) + chunks(exactly, 65_536))
    assert (statuses(received), len(wire.requests)) == ([200], 1)


def test_a_chunk_that_comes_too_slowly_is_408_and_ends_the_connection(
    server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    open_head = head(login, HOST, CHUNKED).replace(b"Connection: close\r\n", b"")
    late = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    line = socket.create_connection(("127.0.0.1", server[0].port), timeout=15)
    started, received = time.monotonic(), b""
    with line, suppress(ConnectionError):
        line.sendall(open_head + b"5\r\n{")
        while piece := line.recv(65536):
            received += piece
            if b"request_timeout" in received:
                line.sendall(b"}   \r\n0\r\n\r\n" + late)
    assert statuses(received) == [408]
    assert time.monotonic() - started < 8
    assert (wire.requests, Hold.objects.count()) == ([], 0)


@pytest.mark.parametrize("path", BODIES)
def test_a_body_without_a_length_is_411(
    path: str, server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    response = server[0].send(head(login, HOST, path=path))
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"]) == (411, "length_required")
    assert ("type" in json.loads(response.body)) == (path == ANTHROPIC)


def test_a_body_of_no_bytes_is_400(server: tuple[Server, Upstream], login: str) -> None:
    for fields, raw in (("Content-Length: 0", b""), (CHUNKED, b"0\r\n\r\n")):
        response = server[0].send(head(login, HOST, fields) + raw)
        assert (response.status, b"empty" in response.body) == (400, True)


def test_a_body_that_ends_early_is_400(server: tuple[Server, Upstream], login: str) -> None:
    response = server[0].send(head(login, HOST, f"Content-Length: {len(BODY) + 5}") + BODY)
    assert (response.status, b"ended early" in response.body) == (400, True)


@pytest.mark.parametrize("path", [CHAT, ANTHROPIC, "/v1/models", "/healthz", "/"])
def test_http_1_1_without_a_host_is_400(
    path: str, server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    length = f"Content-Length: {len(BODY)}"
    response = server[0].send(head(login, length, path=path) + BODY)
    assert response.status == 400
    assert b"Host" in response.body
    assert wire.requests == []
    old = server[0].send(head(login, length, path=path, version="1.0") + BODY)
    assert old.status != 400 or b"Host" not in old.body


REJECTED = [
    (HOST, "Transfer-Encoding: gzip, chunked"),
    (HOST, "Transfer-Encoding: gzip"),
    (HOST, "Transfer-Encoding: chunked, chunked"),
    (HOST, CHUNKED, f"Content-Length: {len(BODY)}"),
    (HOST, "Content-Length: x"),
    (HOST, "Content-Length: -1"),
    (HOST, "Content-Length: 5", "Content-Length: 6"),
    (HOST, HOST, f"Content-Length: {len(BODY)}"),
]


@pytest.mark.parametrize("fields", REJECTED, ids=str)
def test_an_ambiguous_length_is_400(
    fields: tuple[str, ...], server: tuple[Server, Upstream], wire: Upstream, login: str
) -> None:
    response: RawResponse = server[0].send(head(login, *fields) + chunks(BODY, 1000))
    assert response.status in (400, 501)
    assert wire.requests == []
