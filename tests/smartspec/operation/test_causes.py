"""What caused a response with 500 or more is in the log, once a minute for each kind."""

import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from psycopg.errors import AdminShutdown, LockNotAvailable

from accounts.models import User
from accounts.toolbox.diagnosis import causes
from accounts.toolbox.diagnosis.causes import attach_cause, log_cause

FORM = "application/x-www-form-urlencoded"
TOKEN_REQUEST = (
    "grant_type=urn:ietf:params:oauth:grant-type:device_code"
    f"&client_id=smartspec-desktop&device_code={'d' * 43}"
)


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "_windows", {})


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records]


def raised(error: psycopg.Error) -> OperationalError:
    """An exception as Django raises it for one of the driver."""
    outer = OperationalError(*error.args)
    outer.__cause__ = error
    return outer


def answer(error: BaseException, path: str = "/v1/models?key=secret") -> None:
    log_cause(RequestFactory().get(path), attach_cause(HttpResponse(status=503), error))


def test_a_cause_has_class_and_sqlstate_but_no_query_and_no_values(lines: Any) -> None:
    answer(raised(LockNotAvailable("canceling statement\nDETAIL: Key (email)=(ann@example.com)")))
    assert lines() == [
        "GET /v1/models answered 503: LockNotAvailable (SQLSTATE 55P03): canceling statement"
    ]


def test_no_address_and_no_message_begins_a_line_of_its_own(lines: Any) -> None:
    answer(raised(LockNotAvailable("locked\r\x1b[2J")), "/v1/a%0Aโมเดล%0D%E2%80%A8ERROR")
    assert lines() == [
        r"GET /v1/a\nโมเดล\r\u2028ERROR answered 503: LockNotAvailable (SQLSTATE 55P03): "
        r"locked\r\x1b[2J"
    ]


def test_a_kind_is_written_once_a_minute_with_the_number_of_others(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("accounts.toolbox.diagnosis.causes.time.monotonic", lambda: now[0])
    for _ in range(8):
        answer(raised(LockNotAvailable("locked")))
    answer(raised(AdminShutdown("away")))
    assert len(lines()) == 2
    now[0] += causes.WINDOW_SECONDS
    answer(raised(LockNotAvailable("locked")))
    assert lines()[-1].endswith("locked, 7 more since the last line")
    answer(raised(psycopg.OperationalError("the connection is closed")))
    assert "OperationalError: the connection is closed" in lines()[-1]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1/models", "/api/credits/history", "/api/auth/device/token"])
def test_the_cause_of_a_503_is_logged_instead_of_its_address(
    client: Client,
    make_user: Callable[..., User],
    bearer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    lines: Any,
    path: str,
) -> None:
    user = make_user()
    headers = bearer(user) if path.startswith(("/v1", "/api")) else {}

    def refuse(self: Any, *arguments: Any) -> None:
        raise raised(AdminShutdown("terminating connection")) from AdminShutdown("terminating")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
    client.raise_request_exception = False
    method, query = ("POST", "") if path.endswith("token") else ("GET", "code=secret")
    response = client.generic(
        method, path, TOKEN_REQUEST, FORM, headers=headers, QUERY_STRING=query
    )
    assert response.status_code == 503
    assert any(
        f"{method} {path} answered 503: AdminShutdown (SQLSTATE 57P01)" in x for x in lines()
    )
    assert not any(x.startswith("Service Unavailable") or "secret" in x for x in lines())
