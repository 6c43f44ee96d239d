"""Refunds, lost and won disputes: linked to the original, never more than it, and once."""

import pytest
from django.db import connection

from accounts.models import User
from credits import balances, ledger
from credits.exceptions import (
    AlreadyRefunded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    MissingReason,
    NotRefundable,
)
from credits.models import Grant, Operation, Transaction
from credits.proof import audit
from tests.credits.conftest import (
    LATER,
    PAST,
    give,
    hold,
    in_days,
    let_expire,
    remaining,
    reverse,
    spend,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> object:
    """Audit the ledger after each test of this module."""
    request.getfixturevalue("db")
    yield
    assert audit.run().findings == []


def test_a_refund_of_usage_returns_its_credits_and_names_it(user: User) -> None:
    usage = spend(user, 20)
    row = reverse("refund", usage, 5)
    assert (row.type, row.amount, row.balance_after, row.reverses) == ("refund", 5, 35, usage)
    assert balances.refundable(usage) == 15


def test_several_refunds_return_no_more_than_the_original(user: User) -> None:
    usage = spend(user, 20)
    reverse("refund", usage, 5)
    with pytest.raises(InvalidAmount):
        reverse("refund", usage, 16)
    assert reverse("refund", usage).amount == 15
    with pytest.raises(AlreadyRefunded):
        reverse("refund", usage)
    assert ledger.balance(user).credits == 50


def test_the_same_refund_twice_returns_once(user: User) -> None:
    usage = spend(user, 20)
    first = reverse("refund", usage, 5, idempotency_key="k")
    assert reverse("refund", usage, 5, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        reverse("refund", usage, 6, idempotency_key="k")
    assert ledger.balance(user).credits == 35


def test_a_refusal_is_the_outcome_of_its_key_for_good(user: User) -> None:
    purchase = give(user, 100, "purchase")
    spend(user, 120)
    with pytest.raises(InsufficientCredits) as first:
        reverse("refund", purchase, idempotency_key="k")
    give(user, 500)
    with pytest.raises(InsufficientCredits) as again:
        reverse("refund", purchase, idempotency_key="k")
    assert (
        (again.value.required, again.value.available)
        == (first.value.required, first.value.available)
        == (100, 30)
    )
    assert Operation.objects.get(idempotency_key="k").transaction is None


def test_a_refund_unwinds_in_reverse_what_was_burned(poor: User) -> None:
    give(poor, 10, expires_at=in_days(1))
    give(poor, 10, expires_at=in_days(2))
    give(poor, 10)
    usage = spend(poor, 25)
    reverse("refund", usage, 7)
    assert remaining(poor) == [0, 2, 10]
    reverse("refund", usage, 10)
    assert remaining(poor) == [2, 10, 10]


def test_a_refund_into_an_expired_grant_lasts_a_week(poor: User) -> None:
    bonus = give(poor, 10, expires_at=LATER)
    usage = spend(poor, 10)
    let_expire(bonus)
    reverse("refund", usage)
    grant = Grant.objects.get(transaction=bonus)
    assert in_days(6) < (grant.expires_at or PAST) < in_days(8)
    assert hold(poor, 10).amount == 10


def test_a_refund_into_a_living_grant_keeps_its_expiry(poor: User) -> None:
    bonus = give(poor, 10, expires_at=LATER)
    reverse("refund", spend(poor, 10))
    assert Grant.objects.get(transaction=bonus).expires_at == LATER


def test_a_refund_of_a_purchase_takes_its_own_credits_first(poor: User) -> None:
    give(poor, 10)
    purchase = give(poor, 100, "purchase")
    assert reverse("refund", purchase, 30).amount == -30
    assert remaining(poor) == [10, 70]


def test_a_refund_of_a_purchase_cannot_take_held_credits(poor: User) -> None:
    purchase = give(poor, 100, "purchase")
    hold(poor, 60)
    with pytest.raises(InsufficientCredits):
        reverse("refund", purchase, 41)
    assert reverse("refund", purchase, 40).balance_after == 60


def test_a_lost_dispute_takes_what_is_there_and_books_the_rest_as_debt(poor: User) -> None:
    purchase = give(poor, 100, "purchase")
    spend(poor, 70)
    row = reverse("claw_back", purchase)
    assert (row.amount, row.debt, row.balance_after, row.debt_after) == (-30, 70, 0, 70)
    assert ledger.balance(poor) == ledger.Balance(credits=0, held=0, plan="free", debt=70)


def test_a_lost_dispute_of_spent_credits_is_all_debt(poor: User) -> None:
    purchase = give(poor, 100, "purchase")
    spend(poor, 100)
    row = reverse("claw_back", purchase)
    assert (row.amount, row.debt_after) == (0, 100)


def test_a_purchase_pays_the_debt_first_and_says_so(poor: User) -> None:
    lost = give(poor, 100, "purchase")
    spend(poor, 100)
    reverse("claw_back", lost)
    give(poor, 30, "bonus")
    assert ledger.balance(poor).debt == 100
    assert give(poor, 120, "purchase").balance_after == 150
    payment = Transaction.objects.filter(user=poor).latest("seq")
    assert (payment.type, payment.amount, payment.debt_after) == ("adjustment", -100, 0)
    assert ledger.balance(poor) == ledger.Balance(credits=50, held=0, plan="free", debt=0)


def test_a_won_dispute_brings_everything_back(poor: User) -> None:
    purchase = give(poor, 100, "purchase")
    spend(poor, 70)
    lost = reverse("claw_back", purchase)
    won = reverse("restore", lost)
    assert (won.amount, won.debt, won.reverses) == (30, -70, lost)
    assert ledger.balance(poor) == ledger.Balance(credits=30, held=0, plan="free", debt=0)
    assert balances.refundable(purchase) == 100


def test_a_dispute_won_after_the_debt_was_paid_brings_credits(poor: User) -> None:
    purchase = give(poor, 100, "purchase")
    spend(poor, 70)
    lost = reverse("claw_back", purchase)
    give(poor, 80, "purchase")
    assert ledger.balance(poor).credits == 10
    assert reverse("restore", lost).amount == 100
    assert ledger.balance(poor) == ledger.Balance(credits=110, held=0, plan="free", debt=0)


def test_a_dispute_is_won_once(poor: User) -> None:
    lost = reverse("claw_back", give(poor, 100, "purchase"))
    reverse("restore", lost)
    with pytest.raises(AlreadyRefunded):
        reverse("restore", lost)


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("refund", "bonus"),
        ("refund", "refund"),
        ("refund", "subscription"),
        ("claw_back", "usage"),
        ("claw_back", "bonus"),
        ("claw_back", "subscription"),
        ("restore", "purchase"),
        ("restore", "refund"),
    ],
)
def test_only_what_can_be_reversed_is(poor: User, verb: str, kind: str) -> None:
    give(poor, 50, "purchase")
    give(poor, 10, "bonus")
    give(poor, 10, "subscription")
    reverse("refund", spend(poor, 5))
    row = Transaction.objects.filter(user=poor, type=kind).earliest("seq")
    with pytest.raises(NotRefundable):
        reverse(verb, row)
    assert Transaction.objects.filter(user=poor).count() == 5


@pytest.mark.parametrize(
    ("amount", "reason"), [(0, "why"), (-1, "why"), (ledger.MAX_AMOUNT + 1, "why")]
)
def test_a_bad_amount_to_refund_is_refused(user: User, amount: int, reason: str) -> None:
    usage = spend(user, 20)
    with pytest.raises(InvalidAmount):
        reverse("refund", usage, amount)
    with pytest.raises(MissingReason):
        reverse("refund", usage, 5, reason=" ")
    assert Transaction.objects.filter(user=user).count() == 2


def test_a_row_of_somebody_else_is_not_reversed(user: User, poor: User) -> None:
    usage = spend(user, 20)
    call = "ledger_post(%s, 'refund', 'k', jsonb_build_object('transaction', %s::bigint), '{}')"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT refusal->>'code' FROM {call}", [poor.pk, usage.pk])
        assert cursor.fetchone() == ("not_refundable",)
    assert ledger.balance(poor).credits == 0


def test_a_payment_buys_once_whatever_its_key(user: User, poor: User) -> None:
    give(user, 100, "purchase", reference_id="pi_1")
    give(poor, 1)
    for somebody in (user, poor):
        with pytest.raises(IdempotencyConflict):
            give(somebody, 100, "purchase", reference_id="pi_1")
    assert (ledger.balance(user).credits, ledger.balance(poor).credits) == (150, 1)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_its_bounds(user: User, key: str) -> None:
    with pytest.raises(InvalidAmount):
        give(user, 5, idempotency_key=key)
