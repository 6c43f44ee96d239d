"""The credits of a paid invoice are as paid for as those of a purchase: they can be reversed."""

from datetime import timedelta
from itertools import permutations

import pytest
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import User
from credits import balances, ledger
from credits.exceptions import (
    IdempotencyConflict,
    InsufficientCredits,
    NotRefundable,
    UnknownAccount,
)
from credits.models import Grant, Transaction
from credits.proof import audit
from tests.credits.conftest import LATER, give, hold, in_days, let_expire, remaining, reverse, spend

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> object:
    """Audit the ledger after each test of this module."""
    request.getfixturevalue("db")
    yield
    assert audit.run().findings == []


def pay_invoice(user: User, credits: int = 100, invoice: str = "in_1") -> Transaction:
    return give(user, credits, "subscription", reference_id=invoice, expires_at=LATER)


def test_the_credits_of_a_paid_invoice_are_paid_and_expire(poor: User) -> None:
    row = pay_invoice(poor)
    grant = Grant.objects.get(transaction=row)
    assert (grant.is_paid, grant.expires_at, row.is_paid) == (True, LATER, True)
    allowance = give(poor, 10, "subscription", expires_at=LATER)
    assert (Grant.objects.get(transaction=allowance).is_paid, allowance.is_paid) == (False, False)


def test_a_paid_subscription_is_refunded_from_its_own_credits_first(poor: User) -> None:
    give(poor, 10, expires_at=in_days(1))
    row = pay_invoice(poor)
    assert reverse("refund", row, 30).amount == -30
    assert (remaining(poor), balances.refundable(row)) == ([10, 70], 70)


def test_a_refund_of_a_paid_subscription_cannot_take_held_credits(poor: User) -> None:
    row = pay_invoice(poor)
    hold(poor, 60)
    with pytest.raises(InsufficientCredits):
        reverse("refund", row, 41)


def test_a_disputed_invoice_takes_what_is_there_and_books_the_rest_as_debt(poor: User) -> None:
    row = pay_invoice(poor)
    spend(poor, 70)
    lost = reverse("claw_back", row)
    assert (lost.amount, lost.debt, lost.reference_id) == (-30, 70, "in_1")
    won = reverse("restore", lost)
    assert (won.amount, won.debt) == (30, -70)
    assert balances.refundable(row) == 100


def test_what_expired_comes_back_for_a_week_when_the_dispute_is_won(poor: User) -> None:
    row = pay_invoice(poor)
    lost = reverse("claw_back", row)
    let_expire(row)
    reverse("restore", lost)
    assert ledger.balance(poor).credits == 100
    expires_at = Grant.objects.get(transaction=row).expires_at
    assert expires_at
    assert expires_at - timezone.now() > timedelta(days=6)


def test_a_paid_invoice_pays_the_debt_first(poor: User) -> None:
    lost = give(poor, 50, "purchase")
    spend(poor, 50)
    reverse("claw_back", lost)
    give(poor, 20, "subscription")
    assert ledger.balance(poor).debt == 50
    pay_invoice(poor)
    assert ledger.balance(poor) == ledger.Balance(credits=70, held=0, plan="free", debt=0)


@pytest.mark.parametrize("kinds", [("subscription", "subscription"), ("purchase", "subscription")])
def test_an_invoice_gives_credits_once_whatever_the_key(
    user: User, poor: User, kinds: tuple[str, str]
) -> None:
    give(user, 100, kinds[0], reference_id="in_1")
    for somebody in (user, poor):
        with pytest.raises(IdempotencyConflict):
            give(somebody, 100, kinds[1], reference_id="in_1")
    assert (ledger.balance(user).credits, ledger.balance(poor).credits) == (150, 0)


def test_allowances_without_an_invoice_never_collide(user: User) -> None:
    give(user, 10, "subscription")
    give(user, 10, "subscription")
    assert ledger.balance(user).credits == 70


def test_a_dispute_after_a_partial_refund_takes_only_what_is_left(poor: User) -> None:
    row = pay_invoice(poor)
    reverse("refund", row, 40)
    assert (reverse("claw_back", row).amount, balances.reversed_so_far(row)) == (-60, 100)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_reversals_are_restored_in_any_order(poor: User, order: tuple[int, ...]) -> None:
    row = pay_invoice(poor)
    reversals = [reverse("refund", row, 20), reverse("claw_back", row, 50)]
    spend(poor, 30)
    reversals.append(reverse("claw_back", row))
    for number, chosen in enumerate(order, start=1):
        assert balances.restorable(reversals[chosen]) == (20, 50, 30)[chosen]
        reverse("restore", reversals[chosen])
        left = sum((20, 50, 30)[other] for other in order[number:])
        assert (balances.reversed_so_far(row), balances.refundable(row)) == (left, 100 - left)
        assert balances.restorable(reversals[chosen]) == 0
    assert ledger.balance(poor) == ledger.Balance(credits=70, held=0, plan="free", debt=0)


def test_amounts_computed_under_the_lock_are_never_refused(poor: User) -> None:
    row = pay_invoice(poor)
    gift = give(poor, 40, "bonus", priority=200, expires_at=LATER)
    spend(poor, 80)
    let_expire(gift)
    with atomic():
        available = ledger.lock(poor).available
        assert (available, balances.refundable(row)) == (20, 100)
        assert reverse("refund", row, min(available, balances.refundable(row))).amount == -20
        reverse("claw_back", row, balances.refundable(row))
    assert ledger.balance(poor).debt == 80


def test_an_account_that_does_not_exist_is_not_locked() -> None:
    with pytest.raises(UnknownAccount):
        ledger.lock(User(pk=0))


def test_only_a_reversal_of_a_payment_can_be_restored(poor: User) -> None:
    pay_invoice(poor)
    usage = spend(poor, 5)
    returned = reverse("refund", usage)
    assert (balances.restorable(returned), balances.restorable(usage)) == (0, 0)
    with pytest.raises(NotRefundable):
        reverse("restore", returned)
