"""docs/ledger.md names the invariants and the tests that exist."""

import re
from pathlib import Path

from credits.proof import audit

DOC = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_the_invariants_are_those_that_the_audit_checks() -> None:
    documented = {
        int(number): text
        for number, text in re.findall(r"^\| (\d+) \| (.+) \|$", DOC, re.MULTILINE)
    }
    assert documented == audit.list_invariants()


def test_every_guard_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| .+ \| `(test_\w+)::(.+)` \|$", DOC, re.MULTILINE)
    assert len(rows) > 40
    for module, names in rows:
        files = list(Path(__file__).parent.rglob(f"{module}.py"))
        source = "\n".join(file.read_text() for file in files)
        for name in names.split(", "):
            assert f"def {name}(" in source, f"{module}::{name}"
