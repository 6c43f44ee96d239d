"""The drill runs once on a scratch database; each test checks one line of its report."""

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from django.core.checks import run_checks

from credits.proof import audit
from smartspec.drill.failpoints import FAILPOINTS
from smartspec.drill.faults import FAULTS
from tests.smartspec.processes import eventually

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.drill


class Table:
    """The report of `manage.py ledger_drill --quick`."""

    def __init__(self, text: str, code: int) -> None:
        self.text, self.code = text, code
        self.steps: dict[str, str] = dict(
            re.findall(r"^  (?:ok|FAILED) +[\d.]+ s  (.+?) {2,}(.*)$", text, re.MULTILINE)
        )
        self.failed = set(re.findall(r"^  FAILED +[\d.]+ s  (.+?) {2,}", text, re.MULTILINE))

    def survived(self, step: str) -> str:
        """Require that the step was ok, and return what the user was charged."""
        assert step in self.steps, self.text
        assert step not in self.failed, self.text
        return self.steps[step]


@pytest.fixture(scope="module")
def drill() -> Table:
    command = [sys.executable, "manage.py", "ledger_drill", "--quick"]
    # Settings that do not work; the drill must use its own.
    environment = {
        "PATH": "/usr/bin:/bin",
        "DEBUG": "false",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return Table(done.stdout + done.stderr, done.returncode)


def test_the_whole_drill_is_ok(drill: Table) -> None:
    assert drill.code == 0, drill.text
    assert drill.failed == set()
    invariants = re.findall(r"^  ok +(\d+) +0  (.+)$", drill.text, re.MULTILINE)
    assert {int(number): text for number, text in invariants} == audit.list_invariants()


def test_a_worker_killed_before_its_hold_commits_costs_nothing(drill: Table) -> None:
    assert drill.survived("worker killed before its hold commits") == "0"
    assert drill.survived("worker killed while its hold waits for a lock") == "0"


def test_a_worker_killed_after_its_hold_costs_nothing(drill: Table) -> None:
    assert drill.survived("worker killed after the hold, before the provider") == "0"


def test_a_worker_killed_mid_stream_costs_nothing(drill: Table) -> None:
    assert drill.survived("worker killed mid-stream") == "0"


def test_a_worker_killed_before_the_capture_costs_nothing(drill: Table) -> None:
    assert drill.survived("worker killed after the provider, before the capture") == "0"


def test_a_worker_killed_during_the_capture_has_charged_once(drill: Table) -> None:
    assert drill.survived("worker killed while its capture waits for a lock") == "2"


def test_a_worker_killed_after_the_capture_has_charged_once(drill: Table) -> None:
    assert drill.survived("worker killed after the capture, before the answer") == "2"


@pytest.mark.parametrize(
    "step",
    [
        "before the hold commits",
        "while the provider works",
        "mid-stream",
        "before the capture",
        "before the capture commits",
        "after the capture, before the answer",
    ],
)
def test_a_terminated_backend_does_not_stop_an_answer(drill: Table, step: str) -> None:
    assert drill.survived(f"backend terminated {step}") == "2"


def test_a_restart_of_postgresql_does_not_stop_an_answer(drill: Table) -> None:
    assert drill.survived("postmaster killed and restarted mid-stream") == "2"
    assert drill.survived("postmaster killed before the capture, restarted during it") == "2"


def test_a_worker_killed_with_a_settlement_on_disk_has_charged_once(drill: Table) -> None:
    step = "worker killed with a settlement on disk, database away"
    assert drill.survived(step) == "2"


def test_a_lost_reply_to_a_commit_charges_once(drill: Table) -> None:
    assert drill.survived("reply to the hold lost") == "2"
    assert drill.survived("reply to the capture lost") == "2"
    assert drill.survived("reply to the capture lost, streaming") == "2"


def test_a_dead_connection_is_replaced(drill: Table) -> None:
    assert drill.survived("pool hands out a dead connection") == "2"
    assert drill.survived("connection dies under the hold") == "2"
    assert drill.survived("connection dies under the capture") == "2"


def test_connections_that_die_one_after_the_other_do_not_stop_an_answer(drill: Table) -> None:
    assert drill.survived("connections die under the hold, three in turn") == "2"
    assert drill.survived("connections die under the capture, three in turn") == "2"


def test_the_victim_of_a_deadlock_captures_at_the_second_try(drill: Table) -> None:
    assert drill.survived("deadlock victim at the capture") == "2"


def test_a_provider_slower_than_the_hold_is_charged_once(drill: Table) -> None:
    assert drill.survived("provider slower than the hold's life") == "2"


def test_windows_and_processes_race_without_harm(drill: Table) -> None:
    drill.survived("windows of one user spend the last credits")
    assert any("processes" in step for step in drill.steps)


def test_every_failpoint_is_placed_once_and_drilled() -> None:
    places = {(point.owner, point.name, point.dying) for point in FAILPOINTS.values()}
    assert len(places) == len(FAILPOINTS) == 5
    assert all(callable(getattr(resolve_name(owner), name)) for owner, name, _dying in places)
    assert [fault.failpoint for fault in FAULTS if fault.failpoint] == list(FAILPOINTS)


def test_a_failpoint_is_refused_in_production(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setenv("SMARTSPEC_FAILPOINT", "after-hold")
    settings.DEBUG = False
    assert "smartspec.E009" in {message.id for message in run_checks()}
    settings.DEBUG = True
    assert "smartspec.E009" not in {message.id for message in run_checks()}


def test_the_drill_leaves_nothing_behind_when_it_is_interrupted(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "ledger_drill"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            eventually(lambda: list(tmp_path.glob("smartspec-drill-*/log/worker-*")), seconds=120)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 128 + signal.SIGINT
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []
    eventually(lambda: not [line for line in running() if str(tmp_path) in line])


def running() -> list[str]:
    """Return the environments of all processes that can be read."""
    environments = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            environments.append(file.read_text(errors="replace"))
    return environments
