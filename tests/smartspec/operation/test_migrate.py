"""`migrate` has no limit on statements, and tries again for a lock that the site holds."""

import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.transaction import atomic

from smartspec.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)
LIMITS = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"


@pytest.fixture(autouse=True)
def slow_migration(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a slow migration, and limit each statement of the session to a tenth of a second.

    Signals are left out: they make functions and permissions, which another test looks at.
    """
    for name in ("emit_pre_migrate_signal", "emit_post_migrate_signal"):
        monkeypatch.setattr(
            f"django.core.management.commands.migrate.{name}", lambda *_, **__: None
        )
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
    settings.MIGRATION_MODULES = {"unfold": "tests.smartspec.operation.migrations"}
    options = connection.settings_dict["OPTIONS"]
    limited = {**options, "options": "-c statement_timeout=100ms"}
    _reconnect(limited)
    yield
    _reconnect(options)
    MigrationRecorder(connection).migration_qs.filter(app="unfold").delete()


def _reconnect(options: dict[str, Any]) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["OPTIONS"] = options


def run(said: StringIO | None = None) -> str:
    said = said or StringIO()
    call_command("migrate", "unfold", stdout=StringIO(), stderr=said, verbosity=0)
    return said.getvalue()


def read_limits() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        limits: tuple[str, str] = cursor.fetchone()
    return limits


def test_a_migration_may_take_longer_than_a_request() -> None:
    before = read_limits()
    assert before[0] == "100ms"
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2)")
    assert run() == ""
    assert read_limits() == before


def test_a_migration_tries_again_for_a_table_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    locked, free = threading.Event(), threading.Event()

    def hold() -> None:
        with atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE credit_packages IN ACCESS SHARE MODE")
            locked.set()
            free.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(10)
    said = mock.Mock(StringIO, wraps=StringIO())
    said.write.side_effect = lambda _text: free.set()
    run(said)
    assert "A table is in use" in said.write.call_args_list[0].args[0]
    holder.join()


def test_other_errors_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise OperationalError("the disk is full")

    monkeypatch.setattr("django.core.management.commands.migrate.Command.handle", fail)
    with pytest.raises(OperationalError):
        run()
    assert len(calls) == 1
