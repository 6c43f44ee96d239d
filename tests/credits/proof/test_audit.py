"""The audit reports what is wrong in a sentence, and nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from credits import ledger
from credits.exceptions import InsufficientCredits
from credits.models import AuditRun, Operation
from credits.proof import audit, replay
from tests.conftest import rows_may_change
from tests.credits.conftest import LATER, execute, give, hold, let_expire, reverse, spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def busy(user: User) -> User:
    """A user with one row of each kind."""
    purchase = give(user, 100, "purchase", reference_id="pi_1")
    give(user, 20, "subscription", expires_at=LATER, allowance="pro/2026-11")
    usage = spend(user, 30)
    reverse("refund", usage, 5)
    hold(user, 7, credential="key:1", budget=9)
    reverse("restore", reverse("claw_back", purchase))
    with pytest.raises(InsufficientCredits):
        ledger.adjust(user=user, amount=-1000, reason="why", actor=None, idempotency_key="refused")
    let_expire(give(user, 3, expires_at=LATER))
    ledger.expire_holds()
    return user


def change(*statements: str) -> None:
    """Run statements with every guard off, which only the owner of the tables can do."""
    guards = [
        ("users", "users_check_balance"),
        ("credit_transactions", "credit_transactions_check_balance"),
    ]
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor, rows_may_change(cursor):
        for table, guard in guards:
            execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        execute(*statements)
        for table, guard in guards:
            execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard}")


def test_a_sound_ledger_has_no_findings(busy: User) -> None:
    report = audit.run()
    assert report.findings == []
    assert (report.users, report.transactions, report.holds) == (1, 9, 2)
    assert sorted(audit.list_invariants()) == list(range(1, 21))


def new_row(type: str, amount: int, **values: str) -> str:
    """Return a statement that inserts a row after the last one, without a verb."""
    columns = {
        "seq": "10",
        "type": f"'{type}'",
        "amount": f"{amount}",
        "balance_after": f"balance_after + {amount}",
    }
    columns |= {"description": "''", "metadata": "'{}'", "reference_id": "''", "op": "99"} | values
    names, selected = ", ".join(columns), ", ".join(columns.values())
    return (
        f"INSERT INTO credit_transactions (user_id, {names})"
        f" SELECT user_id, {selected} FROM credit_transactions WHERE seq = 9"
    )


USAGE = "(SELECT id FROM credit_transactions WHERE type = 'usage')"
ALLOWANCE = "(SELECT id FROM credit_transactions WHERE type = 'subscription')"


@pytest.mark.parametrize(
    ("invariant", "statement", "says"),
    [
        (1, "UPDATE users SET credits = credits + 5", "balance is"),
        (1, "UPDATE users SET credits_debt = 5", "the debt 5"),
        (2, "UPDATE credit_transactions SET amount = amount - 1 WHERE seq = 4", "transaction 4"),
        (2, "UPDATE credit_transactions SET seq = 40 WHERE seq = 9", "follows number 8"),
        (3, "UPDATE users SET credits_held = 8", "8 credits are held"),
        (3, "UPDATE users SET open_holds = 2", "in 2 holds"),
        (
            4,
            "UPDATE credit_holds SET captured = 4, cost = 30 WHERE state = 'captured'",
            "4 of a cost of 30",
        ),
        (4, "UPDATE credit_holds SET cost = 29 WHERE state = 'captured'", "cost of 29"),
        (5, new_row("bonus", 5, idempotency_key="'again'"), "has 0 operations"),
        (
            6,
            new_row("adjustment", -5, idempotency_key="'refused'"),
            "was refused, but transaction 10",
        ),
        (8, new_row("refund", 26, reverses_id=USAGE), "transaction 4"),
        (8, new_row("refund", -1, reverses_id=USAGE), "goes its way"),
        (
            8,
            new_row("refund", -5, reverses_id=ALLOWANCE),
            "was given for nothing",
        ),
        (9, new_row("purchase", 100, reference_id="'pi_1'"), "by payment pi_1"),
        (9, new_row("subscription", 100, reference_id="'pi_1'"), "a subscription by payment pi_1"),
        (
            10,
            "INSERT INTO credit_operations"
            " (user_id, verb, idempotency_key, request, transaction_id, op)"
            " SELECT user_id, verb, 'other', request, transaction_id, op FROM credit_operations"
            " WHERE request ? 'allowance'",
            "pro/2026-11 was granted 2 times",
        ),
        (
            11,
            "UPDATE credit_grants SET remaining = remaining - 1 WHERE remaining > 20",
            "the grants have",
        ),
        (
            11,
            "UPDATE credit_grants SET pinned = 1 WHERE remaining > 20",
            "pinned, but open holds pin",
        ),
        (
            11,
            f"DELETE FROM credit_allocations WHERE transaction_id = {USAGE}",
            "moved -30, but its grants moved 0",
        ),
        (
            12,
            "UPDATE credit_transactions SET description = 'Something else' WHERE seq = 3",
            "not what was written",
        ),
        (
            12,
            "UPDATE credit_transactions SET created_at = created_at + interval '1 second'"
            " WHERE seq = 3",
            "not what was",
        ),
        (12, "UPDATE users SET ledger_digest = ''", "digest of the user"),
        (
            13,
            "UPDATE credit_holds SET amount = 6, requested = 6, at_least = 6 WHERE state = 'open'",
            "replayed",
        ),
        (
            11,
            "UPDATE credit_grants SET expires_at = '2021-01-01' WHERE source = 'adjustment'",
            "the user says",
        ),
        (
            13,
            "UPDATE credit_grants SET expires_at = NULL WHERE source = 'subscription'",
            "replayed",
        ),
        (13, "UPDATE credit_grants SET priority = 1 WHERE source = 'subscription'", "replayed"),
        (13, "UPDATE users SET ledger_ops = ledger_ops + 1", "is gone"),
        (13, "DELETE FROM credit_holds WHERE state = 'open'", "is gone"),
        (13, "UPDATE credit_transactions SET op = 0 WHERE seq = 9", "cannot be replayed"),
        (
            13,
            'UPDATE credit_operations SET refusal = \'{"code": "idempotency_conflict"}\''
            " WHERE refusal IS NOT NULL",
            "was refused",
        ),
        (
            14,
            "UPDATE credit_spending SET spent = spent + 1",
            "key:1 is counted with 7 held and 1 spent",
        ),
        (14, "UPDATE credit_spending SET held = 0", "its holds say 7 and 0"),
        (14, "UPDATE credit_spending SET month = month - 31", "0 held and 0 spent"),
        (14, "DELETE FROM credit_spending", "key:1 is counted with 0 held"),
        (
            14,
            "UPDATE credit_holds SET credential = '' WHERE state = 'open'",
            "its holds say 0 and 0",
        ),
    ],
)
def test_the_audit_names_what_was_changed_behind_the_guards(
    busy: User, invariant: int, statement: str, says: str
) -> None:
    execute("DROP INDEX credit_transactions_once_per_payment")
    change(statement)
    findings = [finding for finding in audit.run().findings if finding.invariant == invariant]
    assert any(says in finding.problem for finding in findings), audit.run().findings
    assert all(finding.user_id == busy.pk and finding.remedy for finding in findings)


def test_a_row_that_is_gone_is_missed(busy: User) -> None:
    change(
        "DELETE FROM credit_allocations",
        "DELETE FROM credit_operations",
        "DELETE FROM credit_transactions WHERE seq = 9",
    )
    assert {1, 12} <= set(audit.run().problems)


def test_one_user_is_audited_alone(busy: User, poor: User) -> None:
    change("UPDATE users SET credits = credits + 5")
    assert {finding.user_id for finding in audit.run(user=poor).findings} == {poor.pk}
    assert audit.run(user=poor).users == 1


def test_only_users_who_did_something_since_are_audited(busy: User, poor: User) -> None:
    give(poor, 5)
    change("UPDATE credit_transactions SET created_at = '2020-01-01' WHERE seq > 1")
    assert audit.run(since=datetime.now(UTC) - timedelta(hours=1)).users == 2
    change(f"UPDATE credit_transactions SET created_at = '2020-01-01' WHERE user_id = {busy.pk}")
    assert audit.run(since=datetime.now(UTC) - timedelta(hours=1)).users == 1


def test_the_audit_reads_bounded_parts_and_misses_nothing(
    busy: User, poor: User, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audit.run()
    monkeypatch.setattr(audit, "MAX_ROWS", 3)
    monkeypatch.setattr(audit, "MAX_USERS", 2)
    make_user("third@example.com", credits=5)
    give(poor, 5)
    in_parts = audit.run()
    assert in_parts.findings == []
    assert in_parts.users == 3
    assert in_parts.transactions == whole.transactions + 2
    assert in_parts.holds == whole.holds
    change("UPDATE credit_transactions SET description = 'x' WHERE seq = 7")
    assert [finding.invariant for finding in audit.run().findings] == [12]


def test_an_account_with_very_many_operations_is_replayed_only_alone(
    busy: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_OPERATIONS", 5)
    assert audit.run().not_replayed == [busy.pk]
    assert audit.run(user=busy).not_replayed == []


def test_the_command_keeps_its_result_and_says_it(busy: User) -> None:
    out = StringIO()
    call_command("audit_ledger", stdout=out)
    assert (
        out.getvalue()
        == "1 users, 9 transactions, 2 holds, 20 invariants checked: the ledger is sound.\n"
    )
    last = AuditRun.objects.get()
    assert (last.transactions, last.problems, last.first_problem) == (9, 0, "")


def test_the_command_fails_and_proposes_the_correcting_entry(busy: User) -> None:
    change("UPDATE credit_transactions SET amount = amount - 1 WHERE seq = 4")
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("audit_ledger", stdout=out, stderr=err)
    assert stopped.value.code == 1
    assert "a correction of -1 credits" in err.getvalue()
    assert AuditRun.objects.get().problems > 0


def test_the_report_for_programs_lists_all_invariants(busy: User) -> None:
    out = StringIO()
    call_command("audit_ledger", "--json", "--user", busy.email, stdout=out)
    report = json.loads(out.getvalue())
    assert report["sound"]
    assert [one["number"] for one in report["invariants"]] == list(range(1, 21))
    assert not AuditRun.objects.exists()


@pytest.mark.parametrize("arguments", [["--user", "nobody@example.com"], ["--since", "yesterday"]])
def test_odd_arguments_are_named(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("audit_ledger", *arguments)


def test_the_daily_audit_runs_once_a_day(busy: User) -> None:
    call_command("audit_daily", stdout=StringIO())
    call_command("audit_daily", stdout=StringIO())
    assert AuditRun.objects.count() == 1
    AuditRun.objects.update(started_at=datetime.now(UTC) - timedelta(days=2))
    change("UPDATE users SET credits = credits + 5")
    call_command("audit_daily", stdout=StringIO(), stderr=StringIO())
    assert AuditRun.objects.latest("id").problems > 0


def test_a_refusal_is_replayed_too(busy: User) -> None:
    assert Operation.objects.filter(user=busy, refusal__isnull=False).count() == 1
    assert list(replay.find_differences(replay.read_records(busy.pk, busy.pk)[busy.pk])) == []
