"""A change of the settings is in effect on all workers of a real gunicorn within five seconds."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from accounts.models import User
from accounts.operation import changes, current, watch
from tests.smartspec.gunicorn import Server, serving

WORKERS, CALLS = 3, 60
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.drill]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, WEB_CONCURRENCY=str(WORKERS), MAINTENANCE_SECONDS="120") as running:
        yield running


def ask(server: Server) -> tuple[int, str]:
    """Send a completion without credentials, over a new connection: some worker takes it."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as line:
        line.request("POST", "/v1/chat/completions", b"{}", {"Authorization": "Bearer nobody"})
        response = line.getresponse()
        response.read()
        return response.status, response.getheader("Retry-After") or ""


def measure(server: Server, expected: tuple[int, str]) -> float:
    """Return the seconds until CALLS calls in a row are answered as expected."""
    begun = last_other = time.monotonic()
    same = 0
    while same < CALLS and time.monotonic() - begun < 3 * watch.SECONDS_TO_EFFECT:
        same = same + 1 if ask(server) == expected else 0
        last_other = last_other if same else time.monotonic()
    assert same == CALLS, "it was not in effect on all workers"
    return last_other - begun


def test_all_workers_follow_a_change_within_five_seconds(
    server: Server, make_user: Callable[..., User]
) -> None:
    admin = make_user(is_staff=True, is_superuser=True)
    for is_on, expected in ((True, (503, "120")), (False, (401, "")), (True, (503, "120"))):
        changes.save(
            before=current.load(),
            wanted={"MAINTENANCE": is_on},
            restored=frozenset(),
            actor=admin,
            reason="Drill",
        )
        assert measure(server, expected) <= watch.SECONDS_TO_EFFECT
    server.process.terminate()  # A worker that starts meanwhile knows it from its first request on.
    server.process.wait(30)
    with serving(server.log.parent.parent, WEB_CONCURRENCY=str(WORKERS)) as again:
        assert {ask(again)[0] for _ in range(CALLS)} == {503}
