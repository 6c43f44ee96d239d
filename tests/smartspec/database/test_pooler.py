"""The site behind PgBouncer in transaction mode, whose ignore_startup_parameters is not set."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import User
from bench.pooler import Server, run_pgbouncer
from credits import ledger
from credits.models import Transaction
from credits.proof import audit
from smartspec.postgresql import connecting, options
from smartspec.postgresql.connecting import ReportedConnection
from tests.programs import find_program

pytestmark = pytest.mark.django_db(transaction=True)
ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all connections of this process go through PgBouncer."""
    config = connection.settings_dict
    monkeypatch.setattr(ReportedConnection, "sends_limits", True)
    monkeypatch.setattr(connecting.reasons, "_logged", {})
    server = Server("127.0.0.1", int(config["PORT"]), config["USER"], config["PASSWORD"])
    running = run_pgbouncer(find_program("pgbouncer"), server, size=4, is_strict=True)
    with running as port, monkeypatch.context() as patch:
        patch.setitem(config, "PORT", port)
        _end_connections()
        yield
        _end_connections()
    _end_connections()


def _end_connections() -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


def test_everything_works_behind_a_pooler(
    pooled: None,
    make_user: Callable[..., User],
    make_token: Callable[..., str],
    upstream: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    user = make_user(credits=100, is_staff=True, is_superuser=True)
    bearer = {"Authorization": f"Bearer {make_token(user)}"}
    client = Client(headers=bearer)
    for body in (ASK, {**ASK, "stream": True}):
        answer: Any = client.post("/v1/chat/completions", body, content_type="application/json")
        assert answer.status_code == 200
        assert answer.getvalue()
    assert Transaction.objects.filter(type="usage").count() == 2
    assert ledger.balance(user).held == 0
    page = Client()
    page.force_login(user)
    for path in ("/account", "/account/activity", "/admin/", "/readyz"):
        assert page.get(path).status_code == 200
    call_command("statement", user.email, stdout=StringIO())
    call_command("prepare", stdout=StringIO(), stderr=StringIO())
    assert audit.run().findings == []
    assert "PostgreSQL is behind a pooler" in caplog.text
    assert "cannot be connected" not in caplog.text


def test_the_setting_sends_no_options(pooled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReportedConnection, "sends_limits", True)
    built = options.build_options(of_url={}, pool_size=2, pool_seconds=3, has_pooler=True)
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", built)
    connection.ensure_connection()
    assert ReportedConnection.sends_limits
    _end_connections()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"PASSWORD": "wrong"}, "SASL authentication failed"), ({"NAME": "nowhere"}, "nowhere")],
)
def test_what_the_pooler_refuses_is_in_the_log(
    pooled: None,
    changes: dict[str, str],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other: Any = connection.copy("refused")
    pool = {**other.settings_dict["OPTIONS"]["pool"], "timeout": 0.5}
    changed = {**other.settings_dict["OPTIONS"], "pool": pool}
    other.settings_dict = {**other.settings_dict, **changes, "OPTIONS": changed}
    try:
        with pytest.raises(OperationalError, match=reason):
            other.ensure_connection()
    finally:
        other.close_pool()
    assert reason in caplog.text
