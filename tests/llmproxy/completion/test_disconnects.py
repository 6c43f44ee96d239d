"""Callers who disconnect: their provider is stopped at once or read on, and the hold is settled.

The tests run with gunicorn's gevent workers, as deployed, and with its threaded workers.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from llmproxy.completion import disconnects
from llmproxy.http1.client import Call
from llmproxy.models import Completion, Provider
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES
from tests.llmproxy.several import Several
from tests.smartspec import gunicorn
from tests.smartspec.gunicorn import Server

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = {"greenlets": "", "threads": "--worker-class gthread --threads 8"}


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture(scope="module")
def start(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Server]]:
    """Return the site with workers of this kind; start it at the first call."""
    with ExitStack() as stack:

        @cache
        def serve(workers: str) -> Server:
            folder: Path = tmp_path_factory.mktemp(workers)
            return stack.enter_context(gunicorn.serving(folder, GUNICORN_CMD_ARGS=WORKERS[workers]))

        yield serve


@pytest.fixture(params=WORKERS)
def site(request: pytest.FixtureRequest, start: Callable[[str], Server]) -> Server:
    return start(request.param)


@pytest.fixture
def call(site: Server, user: User, bearer: Any) -> Callable[..., socket.socket]:
    """Open a connection and send a completion request on it."""
    authorization = bearer(user)["Authorization"]

    def connect(**body: Any) -> socket.socket:
        raw = json.dumps(
            {"model": "bright", "messages": MESSAGES, "max_tokens": 100, **body}
        ).encode()
        line = socket.create_connection(("127.0.0.1", site.port), timeout=15)
        line.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\n"
            + f"Authorization: {authorization}\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        return line

    return connect


def until(true: Callable[[], Any], *, seconds: float = 20) -> float:
    """Wait until `true` returns a true value; return the seconds that it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, "it never came"
        time.sleep(0.02)
    return time.monotonic() - started


def receipt(user: User, *, seconds: float = 20) -> Completion:
    until(Completion.objects.exists, seconds=seconds)
    assert ledger.balance(user).held == 0
    return Completion.objects.get()


def read_until(line: socket.socket, text: bytes) -> None:
    received = b""
    while text not in received:
        piece = line.recv(65536)
        assert piece, received
        received += piece


def reset(line: socket.socket) -> None:
    """Close with RST, as the kernel does for a killed process that has unread bytes."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    line.close()


@pytest.mark.parametrize("close", [socket.socket.close, reset])
def test_before_the_first_byte(call: Any, several: Several, user: User, close: Any) -> None:
    upstream = several.add("only", script.until_hung_up_without_a_word)
    for stream in (True, False):
        line = call(stream=stream)
        until(lambda: len(upstream.requests))
        close(line)
        assert upstream.hung_up.wait(8)
        done = receipt(user)
        assert (done.status, done.charged, done.error) == ("interrupted", 0, "")
        assert (done.attempts[0]["provider"], done.attempts[0]["error"]) == ("only", "caller_left")
        assert several.provider("only").failures == 0
        Completion.objects.all().delete()
        upstream.requests.clear()
        upstream.hung_up.clear()


def test_while_the_provider_is_silent_in_the_middle(
    call: Any, several: Several, user: User
) -> None:
    upstream = several.add("only", script.until_hung_up(script.chunk("word " * 2000)))
    with closing(call(stream=True)) as line:
        read_until(line, b"word word")
    assert upstream.hung_up.wait(8)
    done = receipt(user)
    assert (done.status, done.usage_source, done.charged) == ("interrupted", "estimated", 1)


def test_during_a_json_answer(call: Any, several: Several, user: User) -> None:
    upstream = several.add("only", script.begun_until_hung_up(b'{"choices": ['))
    line = call()
    until(lambda: len(upstream.requests))
    time.sleep(0.3)  # the headers have arrived
    line.close()
    assert upstream.hung_up.wait(8)
    assert (receipt(user).status, receipt(user).charged) == ("interrupted", 0)


def test_nobody_else_is_asked_for_who_has_left(call: Any, several: Several, user: User) -> None:
    first = several.add("first", script.until_hung_up_without_a_word)
    second = several.add("second")
    line = call()
    until(lambda: len(first.requests))
    line.close()
    assert receipt(user).status == "interrupted"
    assert second.requests == []


def test_a_stream_is_read_on_for_its_exact_usage(call: Any, several: Several, user: User) -> None:
    upstream = several.add("only", on_disconnect="drain", drain_seconds=5)
    rest = threading.Event()
    pieces = (script.chunk("Hi", finish="stop"), rest, script.usage_chunk(3000, 100), script.DONE)
    upstream.script = script.events(*pieces)
    with closing(call(stream=True)) as line:
        read_until(line, b"Hi")
    time.sleep(0.5)
    assert not Completion.objects.exists()
    rest.set()
    done = receipt(user, seconds=20)
    assert (done.status, done.usage_source, done.charged, done.prompt_tokens) == (
        "interrupted",
        "exact",
        4,
        3000,
    )


def test_a_json_answer_is_read_on_for_its_exact_usage(
    call: Any, several: Several, user: User
) -> None:
    upstream = several.add(
        "only", script.after(1, script.answer(usage=(3000, 100))), on_disconnect="drain"
    )
    line = call()
    until(lambda: len(upstream.requests))
    line.close()
    done = receipt(user)
    assert (done.status, done.usage_source, done.charged) == ("interrupted", "exact", 4)


@pytest.mark.parametrize("stream", [True, False])
def test_reading_on_ends_after_its_seconds(
    call: Any, several: Several, user: User, stream: bool
) -> None:
    begun = (
        script.until_hung_up(script.chunk("word " * 2000))
        if stream
        else script.until_hung_up_without_a_word
    )
    upstream = several.add("only", begun, on_disconnect="drain", drain_seconds=1)
    line = call(stream=stream)
    if stream:
        read_until(line, b"word word")
    else:
        until(lambda: len(upstream.requests))
    line.close()
    assert not upstream.hung_up.wait(0.7)
    assert upstream.hung_up.wait(8)
    done = receipt(user)
    assert (done.status, done.charged) == ("interrupted", 1 if stream else 0)


def test_one_who_leaves_hangs_up_on_nobody_else(call: Any, several: Several, user: User) -> None:
    """Connections to the provider are shared. Half of the callers leave; the others get answers."""
    several.add("only", script.after(0.1, script.answer("whole")))
    ledger.adjust(user=user, amount=500, reason="For many calls", actor=None)

    def one(number: int) -> bytes:
        with closing(call()) as line:
            if number % 2:
                time.sleep(0.05 + number % 7 / 50)
                return b"left"
            received = b""
            while b"_credits" not in received and (piece := line.recv(65536)):
                received += piece
            return received

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(80)))
    whole = [answer for answer in answers if answer != b"left"]
    assert [b"whole" in answer for answer in whole] == [True] * 40
    until(lambda: Completion.objects.count() == 80)
    assert Provider.objects.get().failures == 0
    assert not Completion.objects.filter(status="failed").exists()


class RecordingRun:
    """A run that records which of its methods were called."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.left, self.stopped = threading.Event(), threading.Event()

    def leave(self) -> float:
        self.left.set()
        return self.seconds

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_who_is_forgotten_is_not_told(pair: tuple[socket.socket, socket.socket]) -> None:
    run = RecordingRun()
    disconnects.forget(disconnects.watch(pair[0], run))
    pair[1].close()
    assert not run.left.wait(0.2)


def test_who_is_forgotten_before_the_time_is_not_stopped(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    run = RecordingRun(0.3)
    watch = disconnects.watch(pair[0], run)
    pair[1].close()
    assert run.left.wait(8)
    disconnects.forget(watch)
    assert not run.stopped.wait(0.6)


def test_forgetting_again_leaves_whoever_has_the_number_now_watched(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    before, now = RecordingRun(), RecordingRun()
    watch = disconnects.watch(pair[0], before)
    disconnects.forget(watch)
    disconnects.watch(pair[0], now)
    disconnects.forget(watch)
    pair[1].close()
    assert now.stopped.wait(8)
    assert not before.left.is_set()


def test_a_socket_that_is_closed_is_watched_by_nobody() -> None:
    sock = socket.socket()
    sock.close()
    disconnects.forget(disconnects.watch(sock, RecordingRun()))


def test_a_call_that_is_over_hangs_up_on_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    call = Call()
    call.begin(pair[0])
    call.finish()
    call.stop()
    pair[0].sendall(b"x")
    assert pair[1].recv(1) == b"x"


def test_a_call_hangs_up_on_its_connection_not_on_its_number(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket.socketpair()
    call = Call()
    call.begin(ours)
    number = ours.fileno()
    ours.close()
    other = pair[0].dup()
    assert other.fileno() == number  # the kernel gives the lowest free number to the next file
    call.stop()
    other.sendall(b"x")
    assert pair[1].recv(1) == b"x"
    assert theirs.recv(1) == b""
    theirs.close()
    other.close()


def test_a_call_that_was_stopped_before_it_began_is_hung_up_on(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    call = Call()
    call.stop()
    call.begin(pair[0])
    assert pair[1].recv(1) == b""
