"""The verbs of the ledger, one at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from credits import ledger
from credits.exceptions import (
    HoldEnded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    MissingReason,
    TooManyHolds,
    UnknownAccount,
)
from credits.models import Hold, Transaction
from credits.proof import audit

pytestmark = pytest.mark.django_db

MakeUser = Callable[..., User]


@pytest.fixture
def user(make_user: MakeUser) -> User:
    return make_user(credits=50)


def hold(user: User, amount: int, reference: str = "gen_1", **options: Any) -> Hold:
    return ledger.hold(
        user=user, amount=amount, reference_id=reference, **{"seconds": 60, **options}
    )


def execute(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def expire(held: Hold) -> None:
    Hold.objects.filter(pk=held.pk).update(expires_at="2020-01-01T00:00Z")


def test_a_hold_sets_credits_aside_without_moving_the_balance(user: User) -> None:
    held = hold(user, 20)
    assert (held.amount, held.state) == (20, "open")
    assert ledger.balance(user) == ledger.Balance(credits=50, held=20, plan="free")
    assert ledger.balance(user).available == 30


def test_a_hold_is_refused_when_other_holds_leave_too_little(user: User) -> None:
    hold(user, 40)
    with pytest.raises(InsufficientCredits) as refusal:
        hold(user, 11, "gen_2")
    assert (refusal.value.required, refusal.value.available) == (11, 10)
    assert ledger.balance(user).held == 40


def test_a_hold_takes_what_is_there_if_that_is_enough(user: User) -> None:
    assert hold(user, 80, at_least=5).amount == 50
    with pytest.raises(InsufficientCredits):
        hold(user, 80, "gen_2", at_least=1)


def test_a_hold_of_nothing_is_possible_without_credits(make_user: MakeUser) -> None:
    assert hold(make_user(), 0).amount == 0


def test_a_hold_beyond_the_plans_number_is_refused(user: User) -> None:
    hold(user, 1, max_open=1)
    with pytest.raises(TooManyHolds):
        hold(user, 1, "gen_2", max_open=1)
    assert ledger.balance(user).held == 1


def test_the_same_reference_holds_once_also_when_nothing_is_left(user: User) -> None:
    first = hold(user, 50)
    assert hold(user, 50) == first
    ledger.capture(hold=first, cost=50)
    assert (hold(user, 50).pk, ledger.balance(user).held) == (first.pk, 0)


def test_the_same_reference_for_another_amount_is_refused(user: User) -> None:
    hold(user, 10)
    with pytest.raises(IdempotencyConflict):
        hold(user, 11)
    assert ledger.balance(user).held == 10


def test_an_inactive_user_cannot_hold(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(UnknownAccount):
        hold(user, 1)


@pytest.mark.parametrize("cost", [-1, ledger.MAX_AMOUNT + 1])
def test_a_cost_outside_its_bounds_is_refused(user: User, cost: int) -> None:
    with pytest.raises(InvalidAmount):
        ledger.capture(hold=hold(user, 10), cost=cost)
    assert ledger.balance(user).held == 10


@pytest.mark.parametrize("amount", [-1, ledger.MAX_AMOUNT + 1])
def test_a_hold_outside_its_bounds_is_refused(user: User, amount: int) -> None:
    with pytest.raises(InvalidAmount):
        hold(user, amount)


def test_a_capture_charges_the_real_cost_and_frees_the_rest(user: User) -> None:
    captured = ledger.capture(
        hold=hold(user, 20), cost=3, description="smollm2", metadata={"tokens": 2100}
    )
    assert captured == ledger.Capture(
        charged=3, uncollected=0, balance_after=47, available=47, seq=2
    )
    row = Transaction.objects.get(user=user, seq=2)
    assert (row.type, row.amount, row.balance_after, row.metadata) == (
        "usage",
        -3,
        47,
        {"tokens": 2100},
    )
    assert row.hold is not None
    assert (row.hold.state, row.hold.captured) == ("captured", 3)


def test_a_capture_beyond_the_hold_takes_what_is_available_and_no_more(user: User) -> None:
    first, other = hold(user, 10), hold(user, 25, "gen_2")
    captured = ledger.capture(hold=first, cost=40)
    assert (captured.charged, captured.uncollected, captured.balance_after) == (25, 15, 25)
    assert ledger.balance(user).available == 0
    assert ledger.capture(hold=other, cost=25).balance_after == 0


def test_a_capture_of_nothing_writes_no_transaction(user: User) -> None:
    assert ledger.capture(hold=hold(user, 10), cost=0).seq is None
    assert Transaction.objects.filter(user=user).count() == 1
    assert ledger.balance(user).available == 50


def test_a_hold_is_captured_once(user: User) -> None:
    held = hold(user, 10)
    ledger.capture(hold=held, cost=4)
    assert ledger.capture(hold=held, cost=4).balance_after == 46
    with pytest.raises(HoldEnded):
        ledger.capture(hold=held, cost=5)
    assert ledger.balance(user).credits == 46


def test_a_released_hold_cannot_be_captured(user: User) -> None:
    held = hold(user, 10)
    ledger.release(hold=held)
    ledger.release(hold=held)
    with pytest.raises(HoldEnded):
        ledger.capture(hold=held, cost=4)
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_an_expired_hold_frees_its_credits_and_is_still_captured_once(user: User) -> None:
    held = hold(user, 10)
    expire(held)
    assert ledger.expire_holds() == 1
    assert ledger.expire_holds() == 0
    assert ledger.balance(user).available == 50
    assert ledger.capture(hold=held, cost=4).balance_after == 46
    assert ledger.capture(hold=held, cost=4).balance_after == 46
    assert Hold.objects.get(pk=held.pk).state == "expired"


def test_a_hold_that_has_not_expired_stays(user: User) -> None:
    hold(user, 10)
    assert ledger.expire_holds() == 0


def test_the_next_hold_of_a_user_frees_what_a_dead_worker_left(user: User) -> None:
    expire(hold(user, 50))
    assert hold(user, 50, "gen_2").amount == 50
    assert ledger.balance(user).held == 50


def test_the_same_key_grants_once(user: User) -> None:
    def grant(amount: int) -> Transaction:
        return ledger.add(
            user=user, amount=amount, type="bonus", description="Hello", idempotency_key="k"
        )

    assert grant(5).pk == grant(5).pk
    assert ledger.balance(user).credits == 55
    with pytest.raises(IdempotencyConflict):
        grant(6)
    assert ledger.balance(user).credits == 55


@pytest.mark.parametrize("amount", [0, -5, ledger.MAX_AMOUNT + 1])
def test_a_grant_outside_its_bounds_is_refused(user: User, amount: int) -> None:
    with pytest.raises(InvalidAmount):
        ledger.add(user=user, amount=amount, type="bonus", description="Hello", idempotency_key="k")


def test_usage_is_not_granted(user: User) -> None:
    with pytest.raises(InvalidAmount):
        ledger.add(user=user, amount=5, type="usage", description="Hello", idempotency_key="k")


def test_an_adjustment_records_who_and_why(user: User, make_user: MakeUser) -> None:
    boss = make_user("boss@example.com")
    row = ledger.adjust(user=user, amount=-20, reason="Test account", actor=boss)
    assert (row.type, row.amount, row.balance_after, row.actor, row.description) == (
        "adjustment",
        -20,
        30,
        boss,
        "Test account",
    )


@pytest.mark.parametrize(
    ("amount", "reason", "kind", "refusal"),
    [
        (0, "why", "adjustment", InvalidAmount),
        (ledger.MAX_AMOUNT + 1, "why", "adjustment", InvalidAmount),
        (-5, "why", "bonus", InvalidAmount),
        (5, "why", "usage", InvalidAmount),
        (5, "  ", "adjustment", MissingReason),
        (-51, "why", "adjustment", InsufficientCredits),
    ],
)
def test_a_bad_adjustment_changes_nothing(
    user: User, amount: int, reason: str, kind: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        ledger.adjust(user=user, amount=amount, reason=reason, actor=None, type=kind)
    assert Transaction.objects.filter(user=user).count() == 1


def test_an_adjustment_cannot_take_held_credits(user: User) -> None:
    hold(user, 30)
    with pytest.raises(InsufficientCredits):
        ledger.adjust(user=user, amount=-21, reason="why", actor=None)
    assert ledger.adjust(user=user, amount=-20, reason="why", actor=None).balance_after == 30


def test_an_unknown_account_is_refused() -> None:
    nobody = User(pk=999_999)
    with pytest.raises(UnknownAccount):
        ledger.balance(nobody)
    with pytest.raises(UnknownAccount):
        hold(nobody, 1)
    with pytest.raises(UnknownAccount):
        ledger.adjust(user=nobody, amount=1, reason="why", actor=None)


def test_saving_a_stale_user_keeps_the_balance(user: User) -> None:
    stale = User.objects.get(pk=user.pk)
    ledger.adjust(user=user, amount=-20, reason="spent meanwhile", actor=None)
    stale.name = "Ann"
    stale.credits = 1_000_000
    stale.save()
    stale.save(update_fields=["credits", "name"])
    assert User.objects.get(pk=user.pk).credits == 30
    assert User.objects.get(pk=user.pk).name == "Ann"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_transactions SET amount = 99",
        "UPDATE credit_transactions SET amount = 99 WHERE false",
        "DELETE FROM credit_transactions",
        "TRUNCATE credit_transactions CASCADE",
        "UPDATE credit_allocations SET amount = 99",
        "DELETE FROM credit_allocations",
        "UPDATE credit_operations SET request = '{}'",
        "DELETE FROM credit_operations",
        "DELETE FROM credit_holds",
        "UPDATE credit_holds SET amount = 1",
        "UPDATE credit_holds SET reference_id = 'gen_2'",
        "DELETE FROM credit_grants",
        "UPDATE credit_grants SET amount = 99, remaining = 99",
        "UPDATE credit_grants SET is_paid = true",
        "UPDATE credit_holds SET credential = ''",
        "UPDATE credit_holds SET wanted = 1",
        "DELETE FROM credit_spending",
        "TRUNCATE credit_spending",
        "UPDATE credit_spending SET month = '2020-01-01'",
        "UPDATE credit_spending SET credential = 'key:2'",
    ],
)
def test_the_database_refuses_to_change_history(user: User, statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        execute("SET CONSTRAINTS ALL IMMEDIATE", statement)


def test_the_guards_also_fire_in_a_replica_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'A' AND NOT tgisinternal"
            " AND (tgrelid = 'users'::regclass OR tgrelid::regclass::text LIKE 'credit_%')"
        )
        assert cursor.fetchone() == (9,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET credits = credits + 1",
        "UPDATE users SET ledger_seq = ledger_seq + 1",
        "INSERT INTO credit_transactions"
        " (user_id, seq, type, amount, balance_after, description, metadata, reference_id)"
        " SELECT id, 2, 'bonus', 5, 55, '', '{}', '' FROM users",
    ],
)
def test_the_database_refuses_a_balance_that_its_rows_do_not_say(
    user: User, statement: str
) -> None:
    with pytest.raises(IntegrityError, match="not what the ledger says"):
        execute(statement, "SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    ("verb", "request_"),
    [
        ("add", """{"type": "usage", "amount": 5}"""),
        ("add", """{"type": "bonus", "amount": "5"}"""),
        ("add", """{"type": "bonus", "amount": 5, "priority": "1"}"""),
        ("add", """{"type": "bonus", "amount": 5, "expires_at": "infinity"}"""),
        ("add", """{"type": "bonus", "amount": 5, "expires_at": "tomorrow"}"""),
        ("add", """{"type": "purchase", "amount": 5, "expires_at": "2090-01-01T00:00:00+00:00"}"""),
        ("adjust", """{"type": "purchase", "amount": 5}"""),
        ("restore", """{"transaction": 1, "amount": 5}"""),
    ],
)
def test_the_verbs_take_only_what_the_audit_can_do_again(
    user: User, verb: str, request_: str
) -> None:
    with pytest.raises(IntegrityError, match="not asked for like this"):
        execute(f"SELECT ledger_post({user.pk}, '{verb}', 'k', '{request_}', '{{}}')")


def test_a_moment_is_the_same_in_every_zone_and_has_one(user: User) -> None:
    moment = datetime(2090, 1, 1, tzinfo=UTC)
    bonus = {"user": user, "amount": 5, "type": "bonus", "description": "", "idempotency_key": "k"}
    first = ledger.add(**bonus, expires_at=moment)  # type: ignore[arg-type]
    again = ledger.add(**bonus, expires_at=moment.astimezone(timezone(timedelta(hours=7))))  # type: ignore[arg-type]
    assert first == again
    with pytest.raises(InvalidAmount):
        ledger.add(**{**bonus, "idempotency_key": "l"}, expires_at=datetime(2090, 1, 1))  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "INSERT INTO credit_operations"
            " (user_id, verb, idempotency_key, request, transaction_id, op)"
            " SELECT user_id, verb, idempotency_key, '{}', transaction_id, 9"
            " FROM credit_operations",
            "credit_operations_once_per_key",
        ),
        (
            "INSERT INTO credit_transactions"
            " (user_id, seq, type, amount, balance_after, description, metadata, reference_id)"
            " SELECT user_id, 9, type, amount, 250, '', '{}', reference_id FROM credit_transactions"
            " WHERE type = 'purchase'",
            "credit_transactions_once_per_payment",
        ),
        (
            "INSERT INTO credit_transactions (user_id, seq, type, amount, balance_after,"
            " description, metadata, reference_id, hold_id)"
            " SELECT user_id, 9, type, amount, 9, '', '{}', '', hold_id FROM credit_transactions"
            " WHERE type = 'usage'",
            "credit_transactions_one_usage_per_hold",
        ),
    ],
)
def test_the_database_refuses_a_second_effect(user: User, statement: str, index: str) -> None:
    ledger.add(
        user=user,
        amount=100,
        type="purchase",
        description="",
        idempotency_key="pay",
        reference_id="pi_1",
    )
    ledger.capture(hold=hold(user, 10), cost=10)
    with pytest.raises(IntegrityError, match=index):
        execute(statement)


def test_credits_that_no_grant_has_are_not_spent(user: User) -> None:
    execute("UPDATE credit_grants SET remaining = 20")
    with pytest.raises(IntegrityError, match="10 credits short"):
        ledger.adjust(user=user, amount=-30, reason="why", actor=None)


@pytest.mark.parametrize(
    "call",
    [
        "ledger_hold(1, 5, 6, 'x', 60, 10)",
        "ledger_hold(1, 5, -1, 'x', 60, 10)",
        "ledger_hold(1, NULL, 0, 'x', 60, 10)",
        "ledger_capture(1, 1, NULL, '', '{}')",
        "ledger_capture(1, 1, -1, '', '{}')",
        """ledger_post(1, 'add', 'k', '{"type": "bonus"}', '{}')""",
        """ledger_post(1, 'add', 'k', '{"type": "bonus", "amount": -5}', '{}')""",
        """ledger_post(1, 'adjust', 'k', '{"type": "adjustment", "amount": 0}', '{}')""",
        """ledger_post(1, 'adjust', 'k', '{"type": "adjustment", "amount": -2000000000}', '{}')""",
        """ledger_post(1, 'refund', 'k', '{"transaction": 1, "amount": -5}', '{}')""",
        """ledger_post(1, 'claw_back', 'k', '{"transaction": 1, "amount": 0}', '{}')""",
    ],
)
def test_the_verbs_themselves_refuse_absurd_amounts(call: str) -> None:
    with pytest.raises(IntegrityError, match="out of bounds"):
        execute(f"SELECT {call}")


@pytest.mark.parametrize(
    ("names", "values"),
    [("credits", "5"), ("credits, ledger_seq", "5, 1"), ("credits_debt", "5"), ("open_holds", "1")],
)
def test_the_database_refuses_a_user_who_starts_with_something(names: str, values: str) -> None:
    with pytest.raises(IntegrityError, match="starts with nothing"):
        execute(
            "INSERT INTO users (password, is_superuser, public_id, email, name, is_active,"
            f" is_staff, date_joined, plan, {names})"
            f" SELECT '', false, 'x', 'x@example.com', '', true, false, now(), 'free', {values}"
        )


@pytest.mark.parametrize(
    "column", ["credits_held = credits + 1", "credits_held = -1", "credits_debt = -1"]
)
def test_the_database_refuses_an_impossible_hold(user: User, column: str) -> None:
    with pytest.raises(IntegrityError):
        execute(f"UPDATE users SET {column}")


def test_the_audit_finds_nothing_in_a_sound_ledger(user: User) -> None:
    ledger.capture(hold=hold(user, 20), cost=3)
    ledger.release(hold=hold(user, 20, "gen_2"))
    hold(user, 5, "gen_3")
    report = audit.run()
    assert report.findings == []
    assert (report.users, report.transactions, report.holds) == (1, 2, 3)


@pytest.mark.parametrize(
    ("statement", "invariant"),
    [
        ("UPDATE users SET credits = credits + 1", "invariant 1:"),
        ("UPDATE credit_transactions SET balance_after = 49 WHERE seq = 1", "invariant 2:"),
        ("UPDATE users SET credits_held = 1", "invariant 3:"),
        ("UPDATE credit_holds SET captured = 4", "invariant 4:"),
    ],
)
def test_the_audit_names_a_row_edited_behind_the_guards(
    user: User, statement: str, invariant: str
) -> None:
    ledger.capture(hold=hold(user, 20), cost=3)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE users DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE credit_transactions DISABLE TRIGGER USER")
        cursor.execute(statement)
    assert any(f.user_id == user.pk and str(f).startswith(invariant) for f in audit.run().findings)
