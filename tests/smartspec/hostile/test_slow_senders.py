"""Requests to a real gunicorn that are too slow, too deep, too many or too long.

All of them are bounded, and none leaves a hold.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from accounts.models import User
from credits.models import Hold
from tests.llmproxy import scripted_upstream
from tests.smartspec.gunicorn import RawResponse, Server, serving

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("gunicorn")
    with scripted_upstream.serving() as provider:
        upstream = {"LLM_UPSTREAM_BASE_URL": provider.url, "LLM_UPSTREAM_MODELS": "small"}
        with serving(folder, REQUEST_BODY_SECONDS="1", **upstream) as running:
            yield running
            assert provider.requests == []


@pytest.fixture
def login(make_user: Any, make_token: Any) -> str:
    return f"Authorization: Bearer {make_token(make_user(credits=50))}\r\n"


def trickle(server: Server, *pieces: bytes, seconds: float) -> tuple[bytes, float]:
    """Send the pieces `seconds` apart until the server responds or closes the connection."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as line:
        for piece in pieces:
            if time.monotonic() - started > seconds:
                break
            try:
                line.sendall(piece)
                received = line.recv(65536)
                return received and received + _rest(line), time.monotonic() - started
            except TimeoutError:
                continue
            except ConnectionError:
                break
    return b"", time.monotonic() - started


def _rest(line: socket.socket) -> bytes:
    """Read the rest of a response, whose headers and body are sent separately."""
    line.settimeout(5)
    line.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: line.recv(65536), b""))


def test_a_body_that_comes_too_slowly_is_408(server: Server, login: str) -> None:
    head = f"{HEAD}{login}Content-Length: 1000\r\n\r\n".encode()
    received, seconds = trickle(server, head, *[b"{"] * 100, seconds=10)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in received
    assert seconds < 5
    assert not Hold.objects.exists()


def test_a_late_body_is_not_read_as_a_request(server: Server, login: str) -> None:
    late = f"GET /v1/credits HTTP/1.1\r\nHost: 127.0.0.1\r\n{login}\r\n".encode()
    after = b"GET /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(f"{HEAD}{login}Content-Length: {len(late) + 1}\r\n\r\n{{".encode())
        received = line.recv(65536)
        line.sendall(late + after)
        received += _rest(line)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"408", b"404"]


def test_headers_that_come_too_slowly_end_the_connection(server: Server) -> None:
    received, seconds = trickle(server, HEAD.encode(), *[b"x-a: b\r\n"] * 200, seconds=20)
    assert received == b""
    assert seconds < 12


def send(server: Server, login: str, body: bytes, more: str = "") -> RawResponse:
    head = f"{HEAD}{login}{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return server.send(head.encode() + body)


DEEP = {"messages": [{"role": "user", "content": "x"}], "metadata": None}


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (json.dumps(DEEP).replace("null", "[" * 1000 + "]" * 1000).encode(), (400,)),
        (b'{"messages": ' + b"[" * 1000 + b"]" * 1000 + b"}", (400,)),
        (b'{"messages": [' + b'{"role":"user","content":"x"},' * 1_000_000 + b"null]}", (413,)),
        (b'{"messages": [' + b'{"role":"u"},' * 100_000 + b"null]}", (400,)),
        (b'{"messages": [' + b"[]," * 600_000 + b"null]}", (400,)),
    ],
    ids=[
        "deep metadata",
        "deep messages",
        "a million messages",
        "as many as fit",
        "lists and nothing else",
    ],
)
def test_what_is_too_deep_or_too_many_is_refused_and_nothing_held(
    server: Server, login: str, body: bytes, statuses: tuple[int, ...]
) -> None:
    started = time.monotonic()
    assert send(server, login, body).status in statuses
    assert time.monotonic() - started < 5
    assert not Hold.objects.exists()
    assert User.objects.get().credits_held == 0


@pytest.mark.parametrize("excess", [1, 100_000, 20_000_000])
def test_a_refused_body_is_read_so_that_its_sender_gets_the_answer(
    server: Server, login: str, excess: int
) -> None:
    body = b" " * (settings.WEB_LLM_MAX_BODY_BYTES + excess)
    assert send(server, login, body).status == 413
    chunked = f"{HEAD}{login}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{len(body):x}"
    assert server.send(b"%b\r\n%b\r\n0\r\n\r\n" % (chunked.encode(), body)).status == 413


def test_a_body_of_another_charset_is_read_before_it_is_refused(server: Server, login: str) -> None:
    head = HEAD.replace("application/json", "application/json; charset=koi8-r")
    body = b" " * settings.WEB_LLM_MAX_BODY_BYTES
    request = f"{head}{login}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    assert server.send(request.encode() + body).status == 400


def test_a_header_of_100_kb_is_refused(server: Server, login: str) -> None:
    assert send(server, login, b"{}", more=f"x-a: {'b' * 100_000}\r\n").status in (400, 431, 0)
