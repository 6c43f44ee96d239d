"""A debt is written off by a decision: the balance stays, and who decided it is recorded."""

import pytest

from accounts.models import User
from credits import ledger
from credits.exceptions import (
    IdempotencyConflict,
    InvalidAmount,
    LedgerRefusal,
    MissingReason,
    NoDebt,
)
from credits.models import Transaction
from credits.proof import audit
from tests.credits.conftest import give, reverse, spend

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> object:
    """Audit the ledger after each test of this module."""
    request.getfixturevalue("db")
    yield
    assert audit.run().findings == []


def lose(user: User, spent: int = 70, credits: int = 100) -> Transaction:
    """Buy credits, spend a part, and lose a dispute about the payment."""
    bought = give(user, credits, "purchase")
    spend(user, spent)
    return reverse("claw_back", bought)


def write_off(user: User, amount: int | None = None, key: str = "w1") -> Transaction:
    return ledger.write_off(
        user=user, amount=amount, reason=" Goodwill ", actor=None, idempotency_key=key
    )


def get_balance(user: User) -> tuple[int, int]:
    """Return the credits and the debt."""
    balance = ledger.balance(user)
    return balance.credits, balance.debt


def test_a_write_off_lowers_the_debt_and_moves_no_credits(poor: User, user: User) -> None:
    lose(poor)
    give(poor, 5)
    row = ledger.write_off(
        user=poor, amount=30, reason="Goodwill", actor=user, idempotency_key="w1"
    )
    assert (row.type, row.amount, row.debt, row.debt_after) == ("adjustment", 0, -30, 40)
    assert (row.actor, row.description, row.balance_after) == (user, "Goodwill", 5)
    assert get_balance(poor) == (5, 40)


def test_without_an_amount_all_of_the_debt_is_written_off(poor: User) -> None:
    lose(poor)
    assert write_off(poor).debt == -70
    assert get_balance(poor) == (0, 0)
    give(poor, 50, "purchase")
    assert get_balance(poor) == (50, 0)


def test_the_same_write_off_twice_is_done_once(poor: User) -> None:
    lose(poor)
    assert write_off(poor, 10) == write_off(poor, 10)
    with pytest.raises(IdempotencyConflict):
        write_off(poor, 11)
    assert get_balance(poor) == (0, 60)


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [(71, InvalidAmount), (0, InvalidAmount), (-5, InvalidAmount), (10**9 + 1, InvalidAmount)],
)
def test_more_than_is_owed_cannot_be_written_off(
    poor: User, amount: int, refusal: type[LedgerRefusal]
) -> None:
    lose(poor)
    with pytest.raises(refusal):
        write_off(poor, amount)
    assert get_balance(poor) == (0, 70)


def test_nothing_is_written_off_of_no_debt(user: User) -> None:
    with pytest.raises(NoDebt):
        write_off(user)
    with pytest.raises(NoDebt):
        write_off(user)


def test_a_write_off_needs_a_reason(poor: User) -> None:
    lose(poor)
    with pytest.raises(MissingReason):
        ledger.write_off(user=poor, amount=1, reason=" ", actor=None, idempotency_key="w1")


def test_a_dispute_won_after_the_write_off_returns_only_what_it_took(poor: User) -> None:
    lost = lose(poor)
    write_off(poor)
    reverse("restore", lost)
    assert get_balance(poor) == (30, 0)
    again = Transaction.objects.get(user=poor, debt=70, type="adjustment")
    assert (again.amount, again.description) == (0, "Debt written off before is owed again")


def test_what_was_paid_of_the_debt_is_returned_and_what_was_written_off_is_not(poor: User) -> None:
    lost = lose(poor)
    give(poor, 40, "purchase")
    write_off(poor)
    reverse("restore", lost)
    assert get_balance(poor) == (70, 0)


@pytest.mark.parametrize("first", [0, 1])
def test_two_disputes_won_after_one_write_off_return_only_what_was_taken(
    poor: User, first: int
) -> None:
    bought = [give(poor, 50, "purchase"), give(poor, 50, "purchase")]
    spend(poor, 100)
    lost = [reverse("claw_back", row) for row in bought]
    write_off(poor, 50)
    reverse("restore", lost[first])
    reverse("restore", lost[1 - first])
    assert get_balance(poor) == (0, 0)


def test_an_earlier_write_off_does_not_touch_a_later_dispute(poor: User) -> None:
    lose(poor, spent=50, credits=50)
    write_off(poor)
    lost = lose(poor, spent=20, credits=20)
    give(poor, 20, "purchase")
    reverse("restore", lost)
    assert get_balance(poor) == (20, 0)
