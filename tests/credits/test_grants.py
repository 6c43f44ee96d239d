"""Grants: where credits come from, in which order they are spent, and how they expire."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from credits.exceptions import InsufficientCredits, InvalidAmount
from credits.models import Grant, Hold, Transaction
from credits.proof import audit
from tests.credits.conftest import (
    LATER,
    give,
    hold,
    in_days,
    let_expire,
    let_hold_expire,
    remaining,
    spend,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> object:
    """Audit the ledger after each test of this module."""
    request.getfixturevalue("db")
    yield
    assert audit.run().findings == []


def burn_by_answer(user: User, amount: int) -> None:
    spend(user, amount)


def burn_beyond_the_hold(user: User, amount: int) -> None:
    ledger.capture(hold=hold(user, 0), cost=amount)


def burn_by_correction(user: User, amount: int) -> None:
    ledger.adjust(user=user, amount=-amount, reason="why", actor=None)


@pytest.mark.parametrize("burn", [burn_by_answer, burn_beyond_the_hold, burn_by_correction])
@pytest.mark.parametrize(
    ("grants", "left"),
    [
        pytest.param(
            [{}, {"expires_at": in_days(60)}, {"expires_at": in_days(30)}],
            [10, 5, 0],
            id="soonest expiry",
        ),
        pytest.param(
            [{"expires_at": in_days(30)}, {"priority": 50}], [5, 0], id="priority before expiry"
        ),
        pytest.param([{"type": "purchase"}, {}], [5, 0], id="gifts before what was paid for"),
        pytest.param([{}, {}], [0, 5], id="the older of two alike"),
    ],
)
def test_grants_burn_in_their_order(
    poor: User, burn: Callable[[User, int], None], grants: list[dict[str, Any]], left: list[int]
) -> None:
    for options in grants:
        give(poor, 10, **options)
    burn(poor, 15)
    assert remaining(poor) == left


def test_each_debit_says_which_grants_it_burned(poor: User) -> None:
    first, second = give(poor, 10), give(poor, 10)
    row = spend(poor, 15)
    taken = row.allocations.order_by("id").values_list("grant__transaction", "amount")
    assert list(taken) == [(first.pk, -10), (second.pk, -5)]


def test_what_a_hold_has_pinned_is_not_burned_by_others(poor: User) -> None:
    give(poor, 10, expires_at=LATER)
    give(poor, 10)
    held = hold(poor, 10)
    burn_by_correction(poor, 4)
    assert remaining(poor) == [10, 6]
    ledger.capture(hold=held, cost=10)
    assert remaining(poor) == [0, 6]


def test_a_purchase_never_expires(poor: User) -> None:
    with pytest.raises(InvalidAmount):
        give(poor, 10, "purchase", expires_at=LATER)


def test_what_has_expired_cannot_be_held(poor: User) -> None:
    let_expire(give(poor, 10, expires_at=LATER))
    give(poor, 5)
    with pytest.raises(InsufficientCredits) as refusal:
        hold(poor, 6)
    assert refusal.value.available == 5
    row = Transaction.objects.get(user=poor, amount=-10)
    assert (row.type, row.description) == ("adjustment", "Credits expired")
    assert row.expired_grant == Grant.objects.get(user=poor, amount=10)


@pytest.mark.parametrize("verb", ["capture", "adjust", "add"])
def test_every_verb_takes_away_first_what_has_expired(poor: User, verb: str) -> None:
    give(poor, 20)
    held = hold(poor, 0)
    let_expire(give(poor, 10, expires_at=LATER))
    if verb == "capture":
        ledger.capture(hold=held, cost=25)
    elif verb == "adjust":
        ledger.adjust(user=poor, amount=-1, reason="why", actor=None)
    else:
        give(poor, 1)
    assert (
        Transaction.objects.filter(user=poor, expired_grant__isnull=False, amount=-10).count() == 1
    )


def test_nothing_expires_in_the_middle_of_an_answer(poor: User) -> None:
    row = give(poor, 10, expires_at=LATER)
    give(poor, 10)
    held = hold(poor, 8)
    let_expire(row)
    assert ledger.expire_holds() == 0
    assert ledger.balance(poor) == ledger.Balance(credits=18, held=8, plan="free")
    ledger.capture(hold=held, cost=6)
    assert remaining(poor) == [2, 10]
    ledger.expire_holds()
    assert ledger.balance(poor).credits == 10


def test_a_hold_burns_what_it_pinned_although_a_better_grant_came(poor: User) -> None:
    pinned = give(poor, 10, expires_at=LATER)
    held = hold(poor, 10)
    give(poor, 10, priority=1)
    let_expire(pinned)
    ledger.capture(hold=held, cost=10)
    assert remaining(poor) == [0, 10]


def test_two_holds_never_pin_the_same_credits(poor: User) -> None:
    give(poor, 10, expires_at=LATER)
    give(poor, 10)
    first, second = hold(poor, 7), hold(poor, 7)
    grant = Grant.objects.get(user=poor, expires_at=LATER)
    pins = list(
        Hold.objects.filter(pk__in=[first.pk, second.pk])
        .order_by("id")
        .values_list("pins", flat=True)
    )
    assert pins == [{str(grant.pk): 7}, {str(grant.pk): 3}]
    assert grant.pinned == 10
    assert Hold.objects.get(pk=hold(poor, 2).pk).pins is None


@pytest.mark.parametrize("end", ["release", "expire", "capture of nothing"])
def test_a_hold_that_ends_unpins(poor: User, end: str) -> None:
    give(poor, 10, expires_at=LATER)
    held = hold(poor, 7)
    if end == "release":
        ledger.release(hold=held)
    elif end == "expire":
        let_hold_expire(held)
        ledger.expire_holds()
    else:
        ledger.capture(hold=held, cost=0)
    assert Grant.objects.get(user=poor).pinned == 0


def test_a_grant_that_holds_rely_on_stays_although_nothing_pinned_it(poor: User) -> None:
    """The hold was covered by a purchase that was refunded; now expiring credits must cover it."""
    purchase = give(poor, 5, "purchase")
    hold(poor, 5)
    bonus = give(poor, 10, expires_at=LATER)
    ledger.refund(transaction=purchase, amount=5, reason="why", actor=None, idempotency_key="r")
    let_expire(bonus)
    ledger.expire_holds()
    assert ledger.balance(poor) == ledger.Balance(credits=5, held=5, plan="free")


def test_a_sweep_expires_credits_of_users_who_do_nothing(poor: User) -> None:
    let_expire(give(poor, 10, expires_at=LATER))
    assert ledger.balance(poor).credits == 10
    assert ledger.expire_holds() == 0
    assert ledger.balance(poor).credits == 0


def test_an_adjustment_may_expire_only_upwards(poor: User) -> None:
    row = ledger.adjust(
        user=poor, amount=5, reason="Promotion", actor=None, type="bonus", expires_at=LATER
    )
    assert row.grants.get().expires_at == LATER
    with pytest.raises(InvalidAmount):
        ledger.adjust(user=poor, amount=-5, reason="why", actor=None, expires_at=LATER)
