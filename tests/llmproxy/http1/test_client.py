"""The HTTP client: no request is sent twice, every wait ends, no connection stays open."""

import gc
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmproxy.http1 import client, sockets
from llmproxy.http1.client import Call
from llmproxy.http1.framing import Malformed
from llmproxy.http1.sockets import Address

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

Line = socket.socket
Act = Callable[[Line], None]


@dataclass
class Provider:
    """A server that answers each request with the next of `acts`, the last one repeatedly.

    `ended` counts the connections that the client has closed.
    """

    listener: Line
    acts: list[Act] = field(default_factory=list)
    received: int = 0  # requests
    ended: int = 0
    lines: list[Line] = field(default_factory=list)

    @property
    def address(self) -> Any:
        host, port = self.listener.getsockname()
        return Address(host, port, is_secure=False)

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                self.lines.append(line)
                threading.Thread(target=self.talk, args=(line,), daemon=True).start()

    def talk(self, line: Line) -> None:
        with suppress(OSError):
            while line.recv(65536):
                act = self.acts[min(self.received, len(self.acts) - 1)]
                self.received += 1
                act(line)
            self.ended += 1


@pytest.fixture
def provider() -> Iterator[Provider]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        served = Provider(listener)
        threading.Thread(target=served.serve, daemon=True).start()
        yield served
        for line in served.lines:
            line.close()
        sockets.pool.clear()


def says(*pieces: bytes, pause: float = 0.0) -> Act:
    def act(line: Line) -> None:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(pause)

    return act


def says_for_ever(piece: bytes, before: bytes = b"", pause: float = 0.0) -> Act:
    def act(line: Line) -> None:
        line.sendall(before)
        while True:
            line.sendall(piece)
            time.sleep(pause)

    return act


def closes(line: Line) -> None:
    line.shutdown(socket.SHUT_RDWR)


def resets(line: Line) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def after(*acts: Act, pause: float = 0.05) -> Act:
    def act(line: Line) -> None:
        for one in acts:
            one(line)
            time.sleep(pause)

    return act


def ask(
    provider: Provider, seconds: float = 5, request: bytes = REQUEST, call: Call | None = None
) -> bytes:
    """Send a request and return the body of the response; release the connection."""
    call = call or Call()
    call.first_byte_by = until = time.monotonic() + seconds
    response = client.finish(client.send(provider.address, request, call, connect_seconds=2))
    try:
        body = b""
        while piece := response.read(seconds, until):
            body += piece
        return body
    finally:
        call.finish()
        response.release()


def test_a_kept_connection_that_was_closed_is_asked_once_more(provider: Provider) -> None:
    provider.acts = [says(OK), resets, says(OK)]
    assert [ask(provider), ask(provider)] == [b"{}", b"{}"]
    assert provider.received == 3


@pytest.mark.parametrize("ending", [closes, resets])
@pytest.mark.parametrize("begun", [b"HTTP/1.1 2", HINTS], ids=["half a line", "hints"])
def test_what_has_begun_to_be_answered_is_not_asked_again(
    provider: Provider, begun: bytes, ending: Act
) -> None:
    provider.acts = [says(OK), after(says(begun), ending), says(OK)]
    ask(provider)
    with pytest.raises(Malformed):
        ask(provider)
    assert provider.received == 2


def test_what_a_provider_worked_on_is_not_asked_again(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CLOSED_SECONDS", 0.2, raising=False)
    provider.acts = [says(OK), after(lambda line: None, closes, pause=0.4), says(OK)]
    ask(provider)
    with pytest.raises(ConnectionError):
        ask(provider)
    assert provider.received == 2


def test_a_new_connection_that_is_closed_is_not_asked_again(provider: Provider) -> None:
    provider.acts = [resets]
    with pytest.raises(ConnectionError):
        ask(provider)
    assert provider.received == 1


def test_an_early_refusal_of_a_large_body_is_read(provider: Provider) -> None:
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    provider.acts = [says(OK), after(says(refused), resets), says(OK)]
    ask(provider)
    with suppress(ConnectionError, Malformed):
        assert ask(provider, request=REQUEST + b"x" * 8_000_000) == b"{}"
    assert provider.received == 2


@pytest.mark.parametrize(
    "act",
    [
        says_for_ever(HINTS),
        says_for_ever(HINTS, pause=0.02),
        says_for_ever(b"x", b"HTTP/1.1 200 OK\r\nX: ", pause=0.02),
        says_for_ever(b"x: y\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
        says_for_ever(
            b"x: y\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", pause=0.02
        ),
        says_for_ever(b"1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", pause=0.02),
        says_for_ever(b"x", b"HTTP/1.1 200 OK\r\n\r\n", pause=0.02),
        says_for_ever(b"", OK[:-1], pause=0.02),
        lambda line: time.sleep(20),
    ],
    ids=[
        "flood of hints",
        "hints",
        "headers",
        "flood of trailers",
        "trailers",
        "sizes",
        "body",
        "a byte",
        "silence",
    ],
)
def test_what_does_not_end_is_ended(provider: Provider, act: Act) -> None:
    provider.acts = [act]
    done: list[Any] = []

    def asks() -> None:
        try:
            ask(provider, seconds=0.5)
        except (OSError, Malformed) as error:
            done.append(error)

    thread = threading.Thread(target=asks, daemon=True)
    thread.start()
    thread.join(3)
    assert done, "it waits still"


def test_a_provider_that_does_not_read_is_not_written_to_for_ever(provider: Provider) -> None:
    provider.acts = [lambda line: time.sleep(5)]
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(provider, seconds=0.5, request=REQUEST + b"x" * 30_000_000)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nH",
        OK + b"H",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\n\r\n",
        OK.replace(b"1.1", b"1.0"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: x, Close\r\n\r\n"),
    ],
    ids=["surplus of nothing", "surplus", "two lengths", "1.0", "close"],
)
def test_a_connection_that_is_not_certainly_free_is_not_kept(
    provider: Provider, raw: bytes
) -> None:
    provider.acts = [says(raw)]
    ask(provider)
    time.sleep(0.1)
    assert provider.ended == 1


def test_old_connections_do_not_stay_open(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "IDLE_SECONDS", 0.3)
    provider.acts = [after(lambda line: None, says(OK))]
    rush = [threading.Thread(target=ask, args=(provider,)) for _ in range(10)]
    for thread in rush:
        thread.start()
    for thread in rush:
        thread.join()
    for _ in range(8):  # callers one after another need only one connection
        time.sleep(0.1)
        ask(provider)
    assert provider.ended >= 9, len(provider.lines)


def test_threads_share_a_pool_without_harm() -> None:
    shared, ends = sockets.Pool(), time.monotonic() + 1
    address = Address("x", 1, is_secure=False)
    failed: list[BaseException] = []

    def shares() -> None:
        try:
            while time.monotonic() < ends:
                one, other = socket.socketpair()
                shared.keep(address, one)
                (shared.take(address) or other).close()
                shared.clear()
                other.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=shares) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_all_addresses_of_a_name_share_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as deaf,
        socket.create_server(("127.0.0.1", 0)) as good,
    ):
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", one.getsockname())
            for one in (deaf, deaf, deaf, good)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: addresses)
        call, started = Call(), time.monotonic()
        call.first_byte_by = started + 10
        sock = client.connect(Address("name", 1, is_secure=False), call, connect_seconds=1)
        assert sock.getpeername() == good.getsockname()
        assert time.monotonic() - started < 1.2
        for one in (sock, *fillers):
            one.close()
        call.finish()


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.parametrize(
    "act",
    [
        closes,
        resets,
        says(b"rubbish\r\n\r\n"),
        after(says(OK[:-1]), closes),
        lambda line: time.sleep(0.3),
    ],
    ids=["closed", "reset", "rubbish", "cut", "silence"],
)
def test_no_failure_leaves_a_file_open(provider: Provider, act: Act) -> None:
    provider.acts = [act]
    gc.collect()
    gc.disable()
    try:
        failures = []
        before = open_files()
        for _ in range(20):
            try:
                ask(provider, seconds=0.05, call=Call())
            except (OSError, Malformed) as error:
                failures.append(error)  # with its frames, as a log shows it
        theirs = len(provider.lines)
        assert len(failures) == 20
        assert open_files() - before <= theirs
    finally:
        gc.enable()


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.15, 0.25, 0.35])
def test_a_call_is_stopped_at_any_moment(provider: Provider, wait: float) -> None:
    provider.acts = [says(OK), says(OK[:10], OK[10:-1], b"", OK[-1:], pause=0.1), says(OK)]
    ask(provider)
    call = Call()
    threading.Timer(wait, call.stop).start()
    if not wait:
        time.sleep(0.05)
    started = time.monotonic()
    try:
        assert ask(provider, call=call) == b"{}"
    except (OSError, Malformed):
        assert call.is_stopped
    assert time.monotonic() - started < wait + 0.5
    assert ask(provider) == b"{}"
    assert provider.received <= 3
