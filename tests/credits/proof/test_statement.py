"""A user can check a statement with Python alone."""

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from credits import ledger
from credits.proof import statement
from tests.credits.conftest import give, reverse, spend

pytestmark = pytest.mark.django_db

VERIFIER = Path(__file__).parents[3] / "static" / "credits" / "verify_statement.py"


@pytest.fixture
def busy(user: User) -> User:
    lost = give(
        user,
        100,
        "purchase",
        metadata={"ราคา": 1.50, "b": [None, "=1+1"]},
        description='=HYPERLINK("x")',
    )
    reverse("refund", spend(user, 120), 5, reason="'quoted' and\nbroken ✓")
    reverse("claw_back", lost)
    return user


def verify(*files: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", VERIFIER, *files], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def write(user: User, path: Path) -> Path:
    out = StringIO()
    call_command("statement", user.email, format=path.suffix[1:], stdout=out)
    path.write_text(out.getvalue(), newline="")
    return path


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_statement_verifies(busy: User, tmp_path: Path, kind: str) -> None:
    code, output = verify(write(busy, tmp_path / f"statement.{kind}"))
    assert (code, "5 transactions, balance 0" in output) == (0, True), output


@pytest.mark.parametrize("kind", ["json", "csv"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HYPERLINK", "HYPERLINE"),
        ("usage", "bonus"),
        ("ราคา", "ราคะ"),
        ("-120", "-119"),
        ("refund", "bonus"),
    ],
)
def test_a_changed_statement_does_not(
    busy: User, tmp_path: Path, kind: str, old: str, new: str
) -> None:
    path = write(busy, tmp_path / f"statement.{kind}")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, output = verify(path)
    assert code == 1, output


def test_a_row_left_out_is_missed(busy: User, tmp_path: Path) -> None:
    path = write(busy, tmp_path / "statement.json")
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "transactions": whole["transactions"][1:]}))
    assert "transaction 1 is missing" in verify(path)[1]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"account": 5}', "# README", '{"account": {"id": 1}, "transactions": [{}]}'],
)
def test_a_file_that_is_no_statement_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "statement"
    path.write_text(text)
    code, output = verify(path)
    assert (code, output) == (1, f"{path}: it is not a whole statement.\n")
    assert "cannot be read" in verify(tmp_path / "nowhere")[1]


def test_a_row_does_not_pass_for_one_from_before_digests(busy: User, tmp_path: Path) -> None:
    path = write(busy, tmp_path / "statement.json")
    whole = json.loads(path.read_text())
    whole["transactions"][-1] |= {"op": 0, "description": "Something else"}
    path.write_text(json.dumps(whole))
    assert verify(path)[0] == 1


def test_a_later_statement_continues_an_earlier_one(busy: User, tmp_path: Path) -> None:
    earlier = write(busy, tmp_path / "earlier.json")
    give(busy, 1)
    later = write(busy, tmp_path / "later.csv")
    assert verify(later, earlier)[0] == 0
    assert verify(earlier, later)[0] == 1


def test_an_empty_statement_verifies(poor: User, tmp_path: Path) -> None:
    assert verify(write(poor, tmp_path / "statement.json"))[0] == 0
    assert verify(write(poor, tmp_path / "statement.csv"))[0] == 0


def test_a_table_has_no_formulas_but_numbers(busy: User) -> None:
    out = StringIO()
    statement.write_csv(busy, out)
    rows = list(csv.DictReader(StringIO(out.getvalue())))
    assert rows[1]["description"] == '\'=HYPERLINK("x")'
    assert rows[2]["amount"] == "-120"


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=40
    )
)
def test_any_text_has_the_same_digest_in_the_database_and_outside(
    make_user: object, tmp_path: Path, text: str
) -> None:
    user, _ = User.objects.get_or_create(email="any@example.com")
    ledger.add(
        user=user,
        amount=1,
        type="bonus",
        description=text,
        metadata={text: text},
        idempotency_key=f"k{text}"[:200],
    )
    for kind in ("json", "csv"):
        code, output = verify(write(user, tmp_path / f"statement.{kind}"))
        assert code == 0, output


def test_long_statements_are_read_in_parts(busy: User, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(statement.read_rows(busy))
    monkeypatch.setattr(statement, "CHUNK", 2)
    assert list(statement.read_rows(busy)) == whole


def test_an_unknown_address_is_named() -> None:
    with pytest.raises(CommandError, match="no user"):
        call_command("statement", "nobody@example.com")


def test_a_statement_with_a_debt_and_its_write_off_verifies(user: User, tmp_path: Path) -> None:
    invoice = give(user, 100, "subscription", reference_id="in_1")
    spend(user, 150)
    lost = reverse("claw_back", invoice)
    ledger.write_off(user=user, amount=60, reason="Our mistake", actor=None, idempotency_key="w1")
    reverse("restore", lost)
    code, output = verify(write(user, tmp_path / "statement.csv"))
    assert (code, "7 transactions, balance 0" in output) == (0, True), output
