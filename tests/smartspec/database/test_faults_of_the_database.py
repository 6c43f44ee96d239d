"""A database that cannot serve is 503 with Retry-After on every route, in the route's dialect."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.signals import got_request_exception
from django.db import Error, InternalError, OperationalError, connection
from django.test import Client
from psycopg import errors
from psycopg_pool import PoolTimeout

from accounts.database.faults import find_fault
from accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
WRITES = [
    ("/v1/chat/completions", ASK),
    ("/v1/chat/completions", {**ASK, "stream": True}),
    ("/v1/messages", {**ASK, "model": "small"}),
    ("/v1/messages/count_tokens", {**ASK, "model": "small"}),
    ("/v1/responses", {"input": "Hi"}),
    ("/v1/embeddings", {"input": "Hi"}),
    ("/api/llm/chat", ASK),
    ("/api/llm/stream", ASK),
    ("/api/auth/device/code", {"client_id": "smartspec-desktop"}),
    ("/api/auth/device/verify", {"user_code": "BCDF-GHJK"}),
    ("/accounts/login/", {"login": "a@example.com", "password": "wrong wrong"}),
    ("/accounts/signup/", {"email": "b@example.com", "password1": "correct horse battery"}),
    ("/admin/accounts/user/1/change/", {"email": "c@example.com"}),
]


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_database_that_is_read_only_is_503_in_the_dialect(
    path: str,
    body: dict[str, Any],
    make_user: Callable[..., User],
    make_token: Callable[..., str],
    refuse_writes: Callable[[], None],
) -> None:
    user = make_user(credits=100, is_staff=True, is_superuser=True)
    client = Client(raise_request_exception=False)
    page = path.startswith(("/accounts", "/admin"))
    if path.startswith(("/admin", "/api/auth/device/verify")):
        client.force_login(user)
    token = {} if page else {"Authorization": f"Bearer {make_token(user)}"}
    refuse_writes()
    kind: dict[str, Any] = {} if page else {"content_type": "application/json"}
    answer: Any = client.post(path.replace("/1/", f"/{user.pk}/"), body, headers=token, **kind)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
    assert answer["Content-Type"].startswith("text/html" if page else "application/json")
    assert page or "error" in answer.json()


@pytest.mark.parametrize(
    "path", ["/docs", "/status", "/account", "/account/security", "/admin/", "/v1/models"]
)
def test_pages_that_only_read_work_on_a_database_that_is_read_only(
    path: str, make_user: Callable[..., User], refuse_writes: Callable[[], None]
) -> None:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    refuse_writes()
    assert client.get(path).status_code == 200


def test_a_session_that_cannot_be_saved_is_503_on_a_page(
    make_user: Callable[..., User], refuse_writes: Callable[[], None]
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_user())
    refuse_writes()
    answer = client.post("/accounts/logout/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The service is busy" in answer.content.decode()


STATES = {
    **dict.fromkeys(["25006"], "read only"),
    **dict.fromkeys(["53100"], "disk full"),
    **dict.fromkeys(["53200"], "out of memory"),
    **dict.fromkeys(["53300"], "too many connections"),
    **dict.fromkeys(["57P01", "57P02", "57P03", "57P04"], "server is stopping or starting"),
    **dict.fromkeys(["08000", "08003", "08006", "08P01", "57P05"], "connection lost"),
    "57014": "statement timeout",
    "55P03": "lock timeout",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "58030": "system error of the server",
    **dict.fromkeys(["23505", "22001", "42P01", "42501", "54001", "XX000", "P0001"], None),
}


@pytest.mark.parametrize("state", STATES)
def test_each_sqlstate_is_a_fault_or_a_bug(state: str) -> None:
    """Raised by PostgreSQL itself, so that psycopg and Django choose their classes."""
    statement = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"
    with pytest.raises(Error) as raised, connection.cursor() as cursor:
        cursor.execute(statement)
    fault = find_fault(raised.value)
    assert (fault.name if fault else None) == STATES[state]


def test_a_fault_is_found_behind_what_was_raised_from_it() -> None:
    wrapped = KeyError("rate")
    wrapped.__cause__ = InternalError("cannot execute UPDATE in a read-only transaction")
    wrapped.__cause__.__cause__ = errors.ReadOnlySqlTransaction()
    assert (fault := find_fault(wrapped)) is not None
    assert fault.name == "read only"
    assert find_fault(KeyError("rate")) is None


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (PoolTimeout("couldn't get a connection after 3.00 sec"), "no connection"),
        (psycopg.OperationalError("the connection is closed"), "connection lost"),
        (psycopg.InterfaceError("the cursor is closed"), "connection lost"),
        (None, "connection lost"),
    ],
)
def test_an_error_without_a_sqlstate_is_a_lost_connection(
    cause: Exception | None, name: str
) -> None:
    error = OperationalError()
    error.__cause__ = cause
    assert (fault := find_fault(error)) is not None
    assert fault.name == name


def test_what_a_middleware_raises_for_another_reason_stays_500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_down(*_: object) -> None:
        raise LookupError

    assert got_request_exception.receivers
    monkeypatch.setattr("accounts.middleware.NoStoreMiddleware.__call__", break_down)
    assert Client(raise_request_exception=False).get("/").status_code == 500
