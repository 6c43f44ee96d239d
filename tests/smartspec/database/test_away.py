"""PostgreSQL goes away and comes back: refusals are quick, and so is the return."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from psycopg_pool import ConnectionPool, PoolTimeout

from accounts.database.faults import SILENT, find_fault
from accounts.models import User
from smartspec.drill.wire import Wire
from smartspec.postgresql import connecting, readiness
from smartspec.postgresql.base import DatabaseWrapper
from smartspec.postgresql.connecting import Reasons

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A line to the database that can be cut."""
    wire = Wire(lambda: int(settings.DATABASES["default"]["PORT"]))
    yield wire
    wire.close()


@pytest.fixture
def other(wire: Wire) -> Iterator[Any]:
    """Another connection of its own pool, by the wire."""
    other: Any = connection.copy("by_wire")
    pool = {**other.settings_dict["OPTIONS"]["pool"], "timeout": 0.9}
    changed = {**other.settings_dict["OPTIONS"], "pool": pool}
    other.settings_dict = {**other.settings_dict, "PORT": wire.port, "OPTIONS": changed}
    yield other
    other.close_pool()


def go_away(wire: Wire) -> None:
    wire.target = lambda: 1
    wire.cut()


def test_a_line_that_is_being_made_is_cut_with_the_others(wire: Wire) -> None:
    server = wire.target

    def go_away_meanwhile() -> int:
        go_away(wire)
        return server()

    wire.target = go_away_meanwhile
    with socket.create_connection(("127.0.0.1", wire.port), timeout=2) as client:
        assert client.recv(1) == b""


def test_the_first_call_after_the_return_is_quick(wire: Wire, other: Any) -> None:
    """The pool by itself would try again after 1, 2, 4 … seconds, for five minutes."""
    other.ensure_connection()
    other.close()
    server = wire.target
    go_away(wire)
    with pytest.raises(OperationalError, match=r"couldn't get a connection after 0\.90 sec: "):
        other.ensure_connection()
    time.sleep(0.4)
    wire.target = server
    other.close_if_unusable_or_obsolete()  # as a new request does
    started = time.monotonic()
    other.ensure_connection()
    assert time.monotonic() - started < 0.8
    other.close()


def test_who_waits_meanwhile_gets_a_connection_at_the_return(wire: Wire, other: Any) -> None:
    """Also after the pool has given up once: it tries again as long as somebody waits."""
    other.settings_dict["OPTIONS"]["pool"]["timeout"] = 5
    server, tried = wire.target, 0

    def come_back_at_the_fourth_try() -> int:
        nonlocal tried
        tried += 1
        return server() if tried > 3 else 1

    wire.target = come_back_at_the_fourth_try
    started = time.monotonic()
    other.ensure_connection()
    assert time.monotonic() - started < 2.5
    other.close()


def test_a_page_waits_for_the_pool_once(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with DEBUG, whose page about an error asks for the user again and again."""
    client = Client(raise_request_exception=False)
    client.force_login(make_user())
    connection.close()
    waited = mock.Mock(side_effect=PoolTimeout("couldn't get a connection after 3.00 sec"))
    with monkeypatch.context() as patch:
        patch.setattr(ConnectionPool, "getconn", waited)
        answer = client.get("/account")
    connection.close_if_unusable_or_obsolete()
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert waited.call_count == 1


def test_a_request_that_was_refused_does_not_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    waited = mock.Mock(side_effect=PoolTimeout("couldn't get a connection after 3.00 sec"))
    with monkeypatch.context() as patch:
        patch.setattr(ConnectionPool, "getconn", waited)
        for new_requests in (1, 2):
            for _ in range(3):
                with pytest.raises(OperationalError, match="couldn't get"):
                    connection.ensure_connection()
            assert waited.call_count == new_requests
            connection.close_if_unusable_or_obsolete()


def test_readiness_tells_that_the_database_is_read_only(
    refuse_writes: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "probe", readiness.Probe())
    refuse_writes()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {"status": "unavailable", "database": "read only"}


def test_readiness_does_not_wait_for_a_busy_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "probe", readiness.Probe())
    busy = mock.Mock(side_effect=AssertionError("the pool was asked"))
    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", busy)
    connection.close()
    assert Client().get("/readyz").status_code == 200


def test_readiness_is_asked_once_a_second_and_once_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = mock.Mock(return_value=readiness.READY)
    monkeypatch.setattr(readiness, "_ask_once", asked)
    probe = readiness.Probe()
    assert [probe.ask({}) for _ in range(5)] == [readiness.READY] * 5
    assert asked.call_count == 1


def test_readiness_answers_although_the_server_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 0.1)
    slow = mock.Mock(side_effect=lambda _: time.sleep(0.5))
    monkeypatch.setattr(readiness, "_ask_once", slow)
    probe = readiness.Probe()
    started = time.monotonic()
    assert [probe.ask({}) for _ in range(3)] == [readiness.UNREACHABLE] * 3
    assert time.monotonic() - started < 0.45
    assert slow.call_count == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PASSWORD": "wrong-s3cret"}, "password authentication failed"),
        ({"NAME": "nowhere"}, 'database "nowhere" does not exist'),
        ({"PORT": 1}, "onnection refused"),
    ],
)
def test_the_log_says_why_there_is_no_connection(
    other: Any,
    changes: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting.reasons, "_logged", {})
    port = settings.DATABASES["default"]["PORT"]
    other.settings_dict = {**other.settings_dict, "PORT": port, **changes}
    with pytest.raises(OperationalError, match=reason) as raised:
        other.ensure_connection()
    assert (fault := find_fault(raised.value)) is not None
    assert fault.name == "no connection"
    lines = [record.message for record in caplog.records if reason in record.message]
    assert len(lines) == 1
    assert "s3cret" not in caplog.text


def test_each_reason_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = mock.Mock(**{"monotonic.side_effect": [0, 1, 59, 61]})
    with mock.patch.object(connecting, "time", clock), caplog.at_level(logging.ERROR):
        reasons = Reasons()
        for text in ("refused\n", "refused", "refused", "refused"):
            reasons.note(Exception(text))
    assert len(caplog.records) == 2


def test_a_server_that_stands_still_is_not_waited_for(
    other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting.ReportedConnection, "silence_seconds", 0.3)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process = cursor.fetchone()[0]
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(OperationalError, match=r"has not answered for 0\.3 s") as silent:
                cursor.execute("SELECT 1")
        finally:
            os.kill(process, signal.SIGCONT)
    assert find_fault(silent.value) == SILENT
    other.close()
    other.ensure_connection()
