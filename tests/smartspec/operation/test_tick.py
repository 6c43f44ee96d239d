"""`manage.py tick` on several machines, behind a pooler, and stopped for longer than its lease."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import jobs, mails
from accounts.models import JobRun, Lease, Plan, User
from credits import ledger
from credits.models import AuditRun, Hold
from credits.proof import audit
from llmproxy.spool import folder
from smartspec.management.commands import tick
from smartspec.upkeep import clock
from smartspec.upkeep.conditions import Look
from smartspec.upkeep.jobs import OF_ONE_MACHINE
from tests.clock import control_clock
from tests.concurrently import concurrently
from tests.pooler import pooled

pytestmark = pytest.mark.django_db(transaction=True)


def run_tick() -> str:
    """Run one round; return what it says, or why it was skipped."""
    written = StringIO()
    try:
        call_command("tick", stdout=written)
    except CommandError as error:
        return str(error)
    finally:
        connection.close()
    return written.getvalue()


@contextmanager
def busy_neighbours(port: int) -> Iterator[None]:
    """Take and give back the pooler's connections, so that nobody gets the same one twice."""
    over = threading.Event()
    name, user = connection.settings_dict["NAME"], connection.settings_dict["USER"]

    def ask() -> None:
        address = f"host=127.0.0.1 port={port} dbname={name} user={user}"
        # A prepared statement would stay on one server connection.
        with psycopg.connect(address, prepare_threshold=None) as own:
            while not over.is_set():
                own.execute("SELECT pg_sleep(0.003)")
                own.commit()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_two_ticks_behind_a_pooler_do_all_their_work_in_each_of_three_rounds(user: User) -> None:
    with pooled() as port, busy_neighbours(port):
        for number in range(1, 4):
            mails.queue_mail(user, "account/email/password_changed")
            JobRun.objects.all().delete()
            said = concurrently(lambda _: run_tick(), threads=2)
            assert any("skipped" not in text for text in said)
            assert len(mail.outbox) == number
            assert {fact.is_fine for fact in clock.check_jobs(Look())} == {True}


def test_who_finds_another_at_work_says_so_and_exits_with_a_code_of_its_own() -> None:
    assert jobs.take_lease("tick", holder="web-1:7:ab", seconds=60)
    with pytest.raises(CommandError, match=r"skipped: web-1:7:ab until .* is at work") as skipped:
        call_command("tick")
    assert skipped.value.returncode == tick.SKIPPED == 75
    assert set(JobRun.objects.values_list("job", flat=True)) == {"settle_spool"}


def test_a_tick_that_died_is_followed_when_its_lease_ends() -> None:
    with control_clock() as clock:
        assert jobs.take_lease("tick", holder="dead", seconds=300)
        assert "skipped" in run_tick()
        clock.forward(301)
        assert "skipped" not in run_tick()
    assert AuditRun.objects.count() == 1


def test_a_tick_that_was_stopped_for_longer_than_its_lease_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def stop_in_the_third(name: str, **options: Any) -> None:
        called.append(name)
        if len(called) == 3:
            Lease.objects.update(until="2020-01-01T00:00Z")
            assert jobs.take_lease("tick", holder="other", seconds=300)

    monkeypatch.setattr(tick, "call_command", stop_in_the_third)
    assert "skipped: other until" in run_tick()
    assert called == ["settle_spool", "expire_holds", "grant_allowances"]
    assert Lease.objects.get().holder == "other"
    assert not jobs.take_lease("tick", holder="third", seconds=1)


def test_a_job_that_fails_stops_no_other_and_is_late_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def fail_to_mail(name: str, **options: Any) -> Any:
        if name == "send_mail":
            raise ValueError("no mail today")
        return call_command(name, **options)

    monkeypatch.setattr(tick, "call_command", fail_to_mail)
    assert "not done: send_mail" in run_tick()
    facts = {fact.name: fact for fact in clock.check_jobs(Look())}
    assert not facts["job send_mail"].is_fine
    assert facts["job audit_daily"].is_fine


def test_each_machine_settles_its_own_disk_also_without_the_lease(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPOOL_DIR = tmp_path
    jobs.take_lease("tick", holder="another machine", seconds=60)
    process = mock.Mock(return_value=0)
    monkeypatch.setattr(folder, "process_records", process)
    assert "skipped" in run_tick()
    process.assert_called_once()


@pytest.mark.parametrize("job", sorted({*OF_ONE_MACHINE} - {"audit_daily"}))
def test_a_job_that_two_processes_do_at_once_is_done_once(job: str, user: User) -> None:
    user.plan = Plan.objects.create(slug="pro", name="Pro", monthly_credits=5)
    user.save()
    mails.queue_mail(user, "account/email/password_changed")
    ledger.hold(user=user, amount=10, reference_id="gen_1", seconds=60)
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    concurrently(lambda _: call_command(job, stdout=StringIO()), threads=2)
    assert len(mail.outbox) == (job == "send_mail")
    assert ledger.balance(user).held == (0 if job == "expire_holds" else 10)
    assert ledger.balance(user).credits == (55 if job == "grant_allowances" else 50)
    assert audit.run().findings == []


@pytest.fixture
def user(make_user: Any) -> User:
    found: User = make_user(credits=50)
    return found
