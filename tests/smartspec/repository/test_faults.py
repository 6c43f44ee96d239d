"""Every fault in docs/faults.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOT_YET = "not yet: comes with purchases"
# The complete list of the faults in the ledger's design. A fault that is removed from the table in
# docs/faults.md fails the test.
FAULTS = """
worker killed before the hold commits
worker killed after the hold, before the upstream
worker killed mid-stream
worker killed after the upstream, before the capture
worker killed after the capture, before the answer
backend killed at each step
postmaster killed and restarted
commit reply lost
pool hands out a dead connection
lock timeout
deadlock victim
disconnect before the first token
disconnect mid-stream
disconnect before usage arrives
the same key twice at once
the same key an hour later
two windows spending the last credits
usage absent
usage zero
usage larger than the hold
usage duplicated
an error after partial output
upstream slower than the hold's life
price edited meanwhile
capture racing expiry
sweeper twice at once
sweeper not for a day
web-server clock wrong by minutes
webhook duplicated
webhook concurrent
webhook reordered
webhook late by days
webhook for an unknown user
webhook with a wrong amount
webhook with a bad signature
stale admin form saved
two administrators at once
user deleted
a row edited in psql
"""


def table() -> dict[str, str]:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "docs/faults.md").read_text(), re.MULTILINE)
    return dict(rows[2:])


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    file = ROOT / path
    return (
        file.exists() and re.search(rf"^def {name}\(", file.read_text(), re.MULTILINE) is not None
    )


def test_every_fault_has_its_row() -> None:
    assert set(FAULTS.strip().splitlines()) <= set(table())


def test_every_named_test_exists() -> None:
    for fault, cell in table().items():
        tests = re.findall(r"`([^`]+)`", cell)
        assert tests or cell == NOT_YET, fault
        assert [test for test in tests if not exists(test)] == [], fault


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert exists("tests/smartspec/repository/test_faults.py::test_every_fault_has_its_row")
    assert not exists("tests/smartspec/repository/test_faults.py::test_every_fault")
    assert not exists("tests/nowhere.py::test_every_fault_has_its_row")
