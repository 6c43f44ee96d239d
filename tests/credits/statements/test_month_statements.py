"""The statement of a month follows the one before, says what moved, and shows what was changed."""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client

from accounts.models import User
from credits.models import Transaction
from credits.statements import months, pages
from tests.conftest import rows_may_change
from tests.credits.conftest import give, spend
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
HERE = "/account/statements"
MONTHS = ["2026-01", "2026-02", "2026-03", "2026-04"]


@pytest.fixture
def person(client: Client, user: User) -> Client:
    """50 credits from the fixture, then one movement in each of three months: 100, −30, 5."""
    give(user, 100, "purchase")
    spend(user, 30)
    give(user, 5)
    date_rows((1, 9), (2, 9), (2, 10), (4, 10))
    client.force_login(user)
    return client


@contextmanager
def open_rows() -> Iterator[Any]:
    """Let the rows be changed, as their owner could do it."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with rows_may_change(cursor):
            yield cursor


def date_rows(*days: tuple[int, int]) -> None:
    """Give the rows a month and a day of 2026, and the digests that they would have had then."""
    with open_rows() as cursor:
        for seq, (month, day) in enumerate(days, 1):
            moment = datetime(2026, month, day, 12, tzinfo=UTC)
            Transaction.objects.filter(seq=seq).update(created_at=moment)
            cursor.execute(_DIGEST, {"seq": seq})
        cursor.execute(
            "UPDATE users u SET ledger_digest = t.digest FROM credit_transactions t"
            " WHERE t.user_id = u.id AND t.seq = u.ledger_seq"
        )


_DIGEST = """
UPDATE credit_transactions t
   SET digest = sha256(
           COALESCE((SELECT digest FROM credit_transactions b
                      WHERE b.user_id = t.user_id AND b.seq = t.seq - 1), '')
           || convert_to(json_build_array(
           user_id, seq, op, type, amount, balance_after, debt, debt_after, description,
           metadata::text, reference_id, idempotency_key,
           (extract(epoch FROM created_at) * 1000000)::bigint, actor_id, hold_id, reverses_id,
           expired_grant_id)::text, 'UTF8'))
 WHERE seq = %(seq)s
"""


def read(person: Client, month: str) -> months.Statement:
    statement: months.Statement = person.get(f"{HERE}/{month}").context["statement"]
    return statement


def test_each_month_begins_where_the_one_before_ended(person: Client, user: User) -> None:
    months_read = [read(person, month) for month in ("2025-12", *MONTHS)]
    assert [(one.opening, one.closing, one.rows) for one in months_read] == [
        (0, 0, 0),
        (0, 50, 1),
        (50, 120, 2),
        (120, 120, 0),
        (120, 125, 1),
    ]
    for one, following in itertools.pairwise(months_read):
        assert one.closing_digest == following.opening_digest
    assert months_read[1].closing_digest != ""
    assert [one.problems for one in months_read] == [[]] * 5
    assert [(row["type"], row["amount"]) for row in months_read[2].sums] == [
        ("purchase", 100),
        ("usage", -30),
    ]
    assert months.list_months(user) == MONTHS[::-1]


def test_the_page_has_each_movement_and_both_digests(person: Client) -> None:
    answer = person.get(f"{HERE}/2026-02")
    text = extract_text(answer)
    assert re.search(r"2 9 Feb 2026, 12:00 Purchase.* \+100 150 [0-9a-f]{16}", text)
    assert re.search(r"3 10 Feb 2026, 12:00 Usage.* −30 120 [0-9a-f]{16}", text)
    assert "no movement of this month was changed, added or left out" in text
    statement = answer.context["statement"]
    assert statement.opening_digest in text
    assert statement.closing_digest in text


def test_a_changed_row_is_found(person: Client) -> None:
    with open_rows() as cursor:
        cursor.execute("UPDATE credit_transactions SET description = 'Other' WHERE seq = 3")
    assert "found a problem" in extract_text(person.get(f"{HERE}/2026-02"))
    assert read(person, "2026-01").problems == []


def test_wrong_sums_are_found(person: Client) -> None:
    with open_rows() as cursor:
        cursor.execute("UPDATE credit_transactions SET amount = -29 WHERE seq = 3")
        cursor.execute(_DIGEST, {"seq": 3})
    (problem,) = read(person, "2026-02").problems or ["none"]
    assert "are not 120" in problem


def test_a_long_month_has_pages_and_is_not_checked_on_them(
    person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 1)
    monkeypatch.setattr(months, "MOST_VERIFIED", 1)
    first = person.get(f"{HERE}/2026-02")
    assert "too many movements" in extract_text(first)
    assert [row.seq for row in first.context["transactions"]] == [2]
    second = person.get(f"{HERE}/2026-02", {"after": first.context["next"]})
    assert [row.seq for row in second.context["transactions"]] == [3]
    assert second.context["next"] is None


def test_a_month_that_goes_on_says_so(person: Client) -> None:
    with time_machine.travel(datetime(2026, 4, 20, tzinfo=UTC)):
        assert "This month has not ended" in extract_text(person.get(f"{HERE}/2026-04"))
        assert person.get(f"{HERE}/2026-05").status_code == 404


def test_an_address_that_no_link_has_is_404(person: Client) -> None:
    for month in ("2026-13", "2026-00", "2026-1", "0001-01", "9999-12", "２０２６-01", "x"):
        assert person.get(f"{HERE}/{month}").status_code == 404, month
    for after in ("0", "-1", "x", "9" * 30):
        assert person.get(f"{HERE}/2026-02", {"after": after}).status_code == 404, after


def test_statements_are_their_owners_only(person: Client, make_user: Any) -> None:
    person.force_login(make_user("bob@example.com"))
    assert read(person, "2026-02").rows == 0
    person.logout()
    for address in ("2026-02", "whole.json"):
        assert person.get(f"{HERE}/{address}").status_code == 302
        assert person.post(f"{HERE}/{address}").status_code == 405


def test_the_whole_statement_verifies_by_the_program_that_the_page_offers(
    person: Client, tmp_path: Path
) -> None:
    page = person.get(f"{HERE}/2026-02").content.decode()
    assert "credits/verify_statement.py" in page
    program = str(finders.find("credits/verify_statement.py"))
    answer: Any = person.get(f"{HERE}/whole.json")
    (file := tmp_path / "statement.json").write_bytes(b"".join(answer.streaming_content))
    done = subprocess.run(
        [sys.executable, "-I", program, file], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "4 transactions, balance 125" in done.stdout) == (0, True), done.stdout


def test_whole_statements_are_counted(person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FILES_PER_HOUR", 1)
    codes = [person.get(f"{HERE}/whole.json").status_code for _time in range(2)]
    assert codes == [200, 429]
