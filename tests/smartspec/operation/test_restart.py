"""A restart while streams run: each of them ends in a way that its caller can see, and is settled.

gunicorn runs with two workers, as deployed. Running streams may go on for DRAIN_SECONDS.
"""

import http.client
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from credits.models import Hold
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES
from tests.llmproxy.several import Several
from tests.smartspec.gunicorn import Server, serving
from tests.smartspec.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)
DRAIN_SECONDS, STREAMS, USERS = 1, 60, 6
RESTARTING = b'"server_restarting"'
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 50},
    "/v1/responses": {"input": "Hi"},
    "/api/llm/stream": {"messages": MESSAGES},
}


class Callers:
    """Callers with their tokens, who read each response to its end in a thread of their own."""

    def __init__(self, server: Server, tokens: list[str], threads: ThreadPoolExecutor) -> None:
        self.server, self.tokens, self.threads = server, tokens, threads
        self.begun = Counter[str]()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)

    def start(self, number: int, path: str = "/v1/chat/completions", **body: Any) -> Future[Any]:
        return self.threads.submit(self._read, number, path, body)

    def _read(self, number: int, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        with closing(self.connect()) as line:
            response = self.post(line, path, number=number, **body)
            received = response.read1()  # http.client raises if the body breaks off after this
            self.begun[path] += 1
            return response.status, received + response.read()

    def post(
        self, line: http.client.HTTPConnection, path: str, *, number: int = 0, **body: Any
    ) -> http.client.HTTPResponse:
        fields = {"model": "bright", "stream": True, **ROUTES[path], **body}
        headers = {
            "Authorization": f"Bearer {self.tokens[number % len(self.tokens)]}",
            "Content-Type": "application/json",
        }
        line.request("POST", path, json.dumps(fields), headers)
        return line.getresponse()


@pytest.fixture
def release() -> threading.Event:
    """While it is not set, the first half of the streams is not whole."""
    return threading.Event()


@pytest.fixture
def upstream(release: threading.Event) -> Iterator[script.Upstream]:
    whole = script.events(
        script.chunk("Hello"),
        release,
        script.chunk(finish="stop"),
        script.usage_chunk(),
        script.DONE,
    )
    endless = script.until_hung_up(script.chunk("word " * 20))
    with ExitStack() as stack:
        added = Several(stack).add("only")
        count = itertools.count()
        added.script = lambda handler: (endless if next(count) % 2 else whole)(handler)
        yield added


@pytest.fixture
def callers(
    tmp_path: Path,
    upstream: script.Upstream,
    make_user: Callable[..., User],
    make_token: Callable[..., str],
) -> Iterator[Callers]:
    users = [make_user(f"{number}@example.com", credits=10_000) for number in range(USERS)]
    tokens = [make_token(user) for user in users]
    settings = {"WEB_CONCURRENCY": "2", "GRACEFUL_TIMEOUT": str(DRAIN_SECONDS)}
    with ThreadPoolExecutor(STREAMS + 10) as threads, serving(tmp_path, **settings) as server:
        yield Callers(server, tokens, threads)


def list_workers(server: Server) -> list[int]:
    master = server.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(pid) for pid in children.split()]


def end_by_master(server: Server) -> None:
    server.process.terminate()


def end_by_workers(server: Server) -> None:
    for pid in list_workers(server):
        os.kill(pid, signal.SIGTERM)


def end_by_death_of_the_master(server: Server) -> None:
    server.process.kill()


def assert_everything_is_settled(number: int) -> None:
    eventually(lambda: Completion.objects.count() == number, seconds=8)
    assert not Hold.objects.filter(state=Hold.State.OPEN).exists()


@pytest.mark.parametrize(
    "end",
    [
        end_by_master,
        pytest.param(end_by_workers, marks=pytest.mark.drill),
        pytest.param(end_by_death_of_the_master, marks=pytest.mark.drill),
    ],
)
def test_60_streams_end_whole_or_with_an_event(
    callers: Callers, release: threading.Event, end: Callable[[Server], None]
) -> None:
    streams = [callers.start(number) for number in range(STREAMS)]
    eventually(lambda: callers.begun.total() == STREAMS, seconds=20)
    end(callers.server)
    time.sleep(0.3)
    release.set()
    answers = [stream.result() for stream in streams]
    assert {status for status, _text in answers} == {200}
    assert all(b"data: [DONE]" in text for _status, text in answers)
    assert sum(RESTARTING in text for _status, text in answers) == STREAMS / 2
    assert_everything_is_settled(STREAMS)
    ends = Counter(Completion.objects.values_list("status", "error"))
    assert ends == {("completed", ""): STREAMS / 2, ("failed", "server_restarting"): STREAMS / 2}
    assert Completion.objects.filter(charged__gt=0).count() == STREAMS


def test_what_runs_reports_the_restart_in_the_form_of_its_route(
    callers: Callers, upstream: script.Upstream
) -> None:
    callers.start(0)
    eventually(lambda: callers.begun.total(), seconds=20)
    upstream.script = script.until_hung_up_without_a_word
    answer = callers.start(1, stream=False)
    eventually(lambda: len(upstream.requests) == 2)
    upstream.script = script.until_hung_up(script.chunk("word " * 20))
    streams = [callers.start(number, path) for number, path in enumerate(ROUTES)]
    eventually(lambda: len(callers.begun) == len(ROUTES) and callers.begun.total() > len(ROUTES))
    end_by_master(callers.server)
    status, body = answer.result()
    assert (status, json.loads(body)["error"]["code"]) == (503, "server_restarting")
    for stream in streams:
        assert RESTARTING in stream.result()[1]
    assert callers.server.process.wait(8) == 0
    assert "SIGKILL" not in callers.server.log.read_text()
    assert_everything_is_settled(len(ROUTES) + 2)


def test_a_draining_worker_is_not_ready_and_admits_nothing(callers: Callers) -> None:
    running = callers.start(1)
    eventually(lambda: callers.begun.total(), seconds=20)
    with closing(callers.connect()) as kept, closing(callers.connect()) as other:
        for line in (kept, other):
            line.request("GET", "/readyz")
            assert line.getresponse().read()
        end_by_master(callers.server)
        time.sleep(0.5)
        kept.request("GET", "/readyz")
        ready = kept.getresponse()
        assert (ready.status, json.load(ready)["status"]) == (503, "draining")
        refused = callers.post(other, "/v1/messages")
        assert (refused.status, json.load(refused)["type"]) == (503, "error")
        for response in (ready, refused):
            assert response.headers["Connection"] == "close"
        assert int(refused.headers["Retry-After"]) > 0
    running.result()
    assert_everything_is_settled(1)


def test_a_quick_end_settles_too(callers: Callers) -> None:
    streams = [callers.start(number) for number in range(10)]
    eventually(lambda: callers.begun.total() == 10, seconds=20)
    callers.server.process.send_signal(signal.SIGINT)
    assert all(RESTARTING in stream.result()[1] for stream in streams)
    assert_everything_is_settled(10)
