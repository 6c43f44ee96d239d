"""`manage.py status` says how the installation is, and the admin what is wrong."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client

from accounts import jobs, mails
from accounts.models import JobRun, OutgoingMail, User
from credits import ledger
from credits.models import AuditRun, Hold
from llmproxy.models import Provider
from llmproxy.spool import folder
from smartspec.upkeep import configuration
from smartspec.upkeep.jobs import OF_EACH_MACHINE, OF_ONE_MACHINE
from tests.clock import control_clock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("roomy_disk"),
]


@pytest.fixture(autouse=True)
def spool(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.SPOOL_DIR = tmp_path / "spool"
    monkeypatch.setattr(folder, "on_keep", [])
    yield
    folder.release_files()


def run_status() -> tuple[int, dict[str, Any]]:
    """Return the exit code and the facts."""
    written = StringIO()
    try:
        call_command("status", "--json", stdout=written)
    except SystemExit as end:
        return int(str(end.code)), json.loads(written.getvalue())["facts"]
    return 0, json.loads(written.getvalue())["facts"]


def find_wrong(facts: dict[str, Any]) -> list[str]:
    return [name for name, fact in facts.items() if not fact["fine"]]


@contextmanager
def read_only_database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    _reconnect()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        _reconnect()


def _reconnect() -> None:
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()


def test_after_a_tick_everything_is_fine_and_written_a_line_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(configuration, "list_warnings", list)
    Provider.objects.create(slug="one", name="One", base_url="https://models.example/v1")
    call_command("tick", stdout=StringIO())
    code, facts = run_status()
    assert code == 0
    written = StringIO()
    call_command("status", stdout=written)
    lines = written.getvalue().splitlines()
    assert len(lines) == len(facts) > 8 + 1 + len(OF_ONE_MACHINE)
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert any("job audit_daily" in line and "less than a minute ago" in line for line in lines)


def test_a_new_installation_has_done_nothing_yet() -> None:
    code, facts = run_status()
    jobs_never_done = [f"job {job}" for job in (OF_EACH_MACHINE, *OF_ONE_MACHINE)]
    assert (code, find_wrong(facts)) == (1, ["audit", "tick", *jobs_never_done])
    assert facts["audit"]["says"].startswith("The ledger has not been audited yet.")


def test_silence_is_noticed_by_the_databases_clock(client: Client, admin: User) -> None:
    with control_clock() as clock:
        call_command("tick", stdout=StringIO())
        clock.forward(14 * 60)
        assert run_status()[0] == 0
        clock.forward(2 * 60)
        code, facts = run_status()
        page = client.get("/admin/").content.decode()
    assert code == 1
    silent = {"tick", *(f"job {job}" for job in (OF_EACH_MACHINE, *OF_ONE_MACHINE))}
    assert set(find_wrong(facts)) == silent
    assert "No regular job has run for 16 minutes" in page


def test_each_thing_that_is_wrong_is_named(user: User) -> None:
    call_command("tick", stdout=StringIO())
    ledger.hold(user=user, amount=10, reference_id="gen_1", seconds=60)
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    mails.queue_mail(user, "account/email/password_changed")
    OutgoingMail.objects.update(tries=mails.TRIES)
    AuditRun.objects.update(problems=2)
    folder.keep('{"generation_id": "gen_1"}')
    code, facts = run_status()
    assert (code, set(find_wrong(facts))) == (1, {"spool", "holds", "mails", "audit"})
    assert (facts["spool"]["waiting"], facts["holds"]["overdue"]) == (1, 1)
    assert abs(facts["spool"]["since"] - time.time()) < 60
    assert (facts["mails"]["given_up"], facts["audit"]["problems"]) == (1, 2)


def test_a_database_that_is_read_only_or_away_is_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    with read_only_database():
        code, facts = run_status()
    assert (code, facts["database"]["writable"]) == (1, False)
    assert facts["database"]["says"] == "The database is read-only: a standby, or set so."
    monkeypatch.setattr(connection, "ensure_connection", _refuse)
    connection.close()
    code, facts = run_status()
    without = {"database", "spool", "disk of the spool", "version", "settings"}
    assert (code, set(facts)) == (1, without)
    assert facts["database"]["says"] == "This cannot be told: connection refused"


def _refuse() -> None:
    raise OperationalError("connection refused\n")


def test_missing_tables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("tick", stdout=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name, applied FROM django_migrations WHERE app = 'sessions'")
        ((app, name, applied),) = cursor.fetchall()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        try:
            code, facts = run_status()
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)",
                [app, name, applied],
            )
    assert (code, facts["migrations"]["missing"]) == (1, [f"{app}.{name}"])


def test_the_first_page_of_the_admin_says_what_is_wrong(client: Client, admin: User) -> None:
    page = client.get("/admin/").content.decode()
    assert "No regular job has run yet." in page
    call_command("tick", stdout=StringIO())
    folder.keep('{"generation_id": "gen_1"}')
    page = client.get("/admin/").content.decode()
    assert "No regular job" not in page
    assert "1 charge waits on the disk of this machine" in page


def test_an_audit_of_a_database_that_takes_no_writes_is_printed_only(user: User) -> None:
    with read_only_database():
        with pytest.raises(CommandError, match="run audit_ledger --no-record") as refused:
            call_command("audit_ledger")
        written = StringIO()
        call_command("audit_ledger", "--no-record", stdout=written)
        call_command("audit_ledger", "--user", user.email, stdout=StringIO())
    assert refused.value.returncode == 3
    assert "the ledger is sound" in written.getvalue()
    assert not AuditRun.objects.exists()


def test_a_tick_on_a_database_that_takes_no_writes_says_so() -> None:
    with read_only_database(), pytest.raises(CommandError, match="takes nothing now"):
        call_command("tick", stdout=StringIO())
    assert not JobRun.objects.exists()
    assert jobs.find_holder("tick") is None


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50)


@pytest.fixture
def admin(client: Client, make_user: Callable[..., User]) -> User:
    found = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(found)
    return found
