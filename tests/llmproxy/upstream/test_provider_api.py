"""Questions to a provider about itself: limits of time and size, and nobody else gets its key."""

import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmproxy.exceptions import UpstreamError, UpstreamFailure, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import ENVIRONMENT
from llmproxy.upstream import provider_api
from llmproxy.upstream.targets import Target
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Handler, Script, Upstream

KEY = "sk-secret"
MOST = 100_000


@pytest.fixture(autouse=True)
def provider(settings: Any) -> Iterator[Upstream]:
    with script.serving() as served:
        settings.LLM_UPSTREAM_BASE_URL, settings.LLM_UPSTREAM_API_KEY = served.url, KEY
        yield served


def target(key_header: str = "bearer") -> Target:
    return Target(
        provider=1,
        slug=ENVIRONMENT,
        base_url="",
        encrypted_key="",
        key_header=key_header,
        connect_seconds=2,
    )


def ask(seconds: float = 5, key_header: str = "bearer") -> tuple[int, bytes]:
    return provider_api.get(target(key_header), "/models", seconds=seconds, most=MOST)


def says_for_ever(begin: bytes, piece: bytes, pause: float) -> Script:
    def says(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(begin)
        try:
            while True:
                handler.wfile.write(piece)
                time.sleep(pause)
        except OSError:
            handler.upstream.hung_up.set()

    return says


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 1000\r\n\r\n",
    ],
    ids=["status", "headers", "body", "sized body", "chunk", "redirect"],
)
def test_a_provider_that_trickles_is_hung_up_on_at_the_deadline(
    provider: Upstream, begin: bytes
) -> None:
    provider.offers = says_for_ever(begin, b"x", 0.05)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        ask(seconds=0.5)
    assert 0.4 < time.monotonic() - started < 1.5
    assert provider.hung_up.wait(8)


def test_silence_and_hints_end_at_the_deadline(provider: Upstream) -> None:
    for says in (script.silence_of(2), says_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01)):
        provider.offers = says
        with pytest.raises(UpstreamTimeout):
            ask(seconds=0.3)


def test_a_name_that_takes_long_to_find_is_not_waited_for(monkeypatch: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def find(*args: Any, **named: Any) -> Any:
        begun.set()
        may_end.wait(5)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", find)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        ask(seconds=0.3)
    may_end.set()
    assert begun.is_set()
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found\r\nLocation: /other", b"500 No"])
def test_a_body_beyond_the_limit_is_none(provider: Upstream, status: bytes) -> None:
    provider.offers = says_for_ever(b"HTTP/1.1 " + status + b"\r\n\r\n", b"x" * 10_000, 0)
    assert ask() == (int(status[:3]), b"")
    assert provider.hung_up.wait(8)


def test_a_body_of_the_limit_is_read(provider: Upstream) -> None:
    provider.offers = script.raw(b"x" * MOST)
    assert ask() == (200, b"x" * MOST)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_key(provider: Upstream, status: int) -> None:
    with script.serving() as other:
        provider.offers = script.raw(
            b"", status=status, headers={"Location": f"{other.url}/models"}
        )
        assert ask() == (status, b"")
    assert (len(provider.gets), other.gets) == (1, [])


@pytest.mark.parametrize("status", [200, 302])
def test_what_was_compressed_unasked_takes_no_memory(provider: Upstream, status: int) -> None:
    bomb = gzip.compress(b"0" * 50_000_000, mtime=0)
    headers = {"Content-Encoding": "gzip", "Location": "/other"}
    provider.offers = script.raw(bomb, status=status, headers=headers)
    assert ask() == (status, b"" if status == 200 else bomb)
    assert provider.gets[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("sent", [KEY, f" {KEY}", f"{KEY} "])
@pytest.mark.parametrize("header", ["x-api-key", "api-key", "bearer"])
def test_the_key_is_sent_as_the_provider_wants_it(
    provider: Upstream, settings: Any, header: str, sent: str
) -> None:
    settings.LLM_UPSTREAM_API_KEY = sent
    assert ask(key_header=header)[0] == 200
    (path, headers), *_others = provider.gets
    got = {name.lower(): value for name, value in headers.items()}
    assert path == "/v1/models"
    assert (
        got["authorization" if header == "bearer" else header].split()
        == ["Bearer", KEY][header != "bearer" :]
    )
    assert ("anthropic-version" in got) == (header == "x-api-key")


def test_logins_of_the_environment_have_no_part_in_it(
    provider: Upstream, settings: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    settings.LLM_UPSTREAM_BASE_URL = provider.url.replace("//", "//user:password@")
    assert ask()[0] == 200
    assert provider.gets[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (script.hang_up, UpstreamError),
        (script.begun(b'{"data": ', cut=True), UpstreamError),
        (says_for_ever(b"rubbish\r\n\r\n", b"", 1), UpstreamError),
        (
            says_for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"", 1),
            UpstreamError,
        ),
        (says_for_ever(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, b"\r\n", 1), UpstreamError),
    ],
    ids=["closed", "cut", "rubbish", "no chunk", "headers"],
)
def test_what_is_no_answer_is_a_failure_without_the_key(
    provider: Upstream, says: Script, kind: Any
) -> None:
    provider.offers = says
    with pytest.raises(UpstreamFailure) as failure:
        ask()
    assert type(failure.value) is kind
    assert KEY not in failure.value.detail + str(failure.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "http://nowhere.invalid/v1", "ftp://a/v1", "http:///v1"]
)
def test_an_address_where_nobody_answers_is_not_available(settings: Any, url: str) -> None:
    settings.LLM_UPSTREAM_BASE_URL = url
    with pytest.raises(UpstreamUnavailable):
        ask()


def test_no_thread_and_no_file_stays(provider: Upstream) -> None:
    def left() -> tuple[int, int]:
        return threading.active_count(), len([*Path("/proc/self/fd").iterdir()])

    def settled() -> tuple[int, int]:
        for _ in range(40):  # the scripted provider's threads and files end a little later
            if left() <= before:
                break
            time.sleep(0.05)
        return left()

    ask()
    time.sleep(0.2)
    before = left()
    for says in (
        script.hang_up,
        script.listing("a"),
        says_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02),
    ):
        provider.offers = says
        for _ in range(3):
            try:
                ask(seconds=0.3)
            except UpstreamFailure:
                continue
    assert settled() <= before


# Counts the turns of other greenlets in a worker while one provider sends byte after byte.
BESIDE = """
from gevent import monkey
monkey.patch_all()
import django, gevent, socket, time
django.setup()
from llmproxy.exceptions import UpstreamTimeout
from llmproxy.upstream import provider_api
from llmproxy.upstream.targets import Target

def trickle():
    line, _ = listener.accept()
    line.recv(65536)
    line.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\n")
    while True:
        line.sendall(b"x")
        time.sleep(0.02)

def tick():
    while True:
        turns.append(1)
        time.sleep(0.01)

listener, turns = socket.create_server(("127.0.0.1", 0)), []
gevent.spawn(trickle)
gevent.spawn(tick)
address = "http://127.0.0.1:%d" % listener.getsockname()[1]
target = Target(
    provider=1, slug="p", base_url=address, encrypted_key="", key_header="bearer", connect_seconds=1
)
started = time.monotonic()
try:
    provider_api.get(target, "/models", seconds=0.5, most=10_000)
except UpstreamTimeout:
    print(len(turns) > 20, time.monotonic() - started < 1.5)
"""


def test_a_worker_serves_others_meanwhile() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BESIDE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "smartspec.settings"},
    )
    assert (ran.stdout, ran.returncode) == ("True True\n", 0), ran.stderr
