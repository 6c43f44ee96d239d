"""A balance that falls below its threshold is one alert, by whichever verb and at any moment."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.db import transaction
from django.db.transaction import atomic

from accounts.alerts.threshold import set_threshold
from accounts.models import AccountAlert, User
from credits import ledger
from credits.exceptions import InsufficientCredits, LedgerRefusal
from credits.proof import audit
from tests.concurrently import concurrently
from tests.credits.conftest import give, hold, let_expire, reverse, spend

pytestmark = pytest.mark.django_db
Kind = AccountAlert.Kind


def count(user, kind=Kind.LOW):
    return AccountAlert.objects.filter(user=user, kind=kind).count()


def adjust(user, amount):
    return ledger.adjust(user=user, amount=amount, reason="why", actor=None)


def test_the_charge_that_crosses_is_the_only_alert_until_a_fifth_above(user):
    set_threshold(user, 40)
    for amount in (10, 1, 1, 1):  # 40: not below; 39, 38, 37: below
        spend(user, amount)
    assert count(user) == 1
    row = AccountAlert.objects.get()
    assert (row.facts, row.sent_at) == ({"balance": 39, "threshold": 40}, None)
    adjust(user, 10)  # 47 is not a fifth above
    adjust(user, -10)
    assert count(user) == 1
    adjust(user, 11)  # 48 is
    adjust(user, -11)
    assert count(user) == 2


def test_a_hold_and_a_release_cross_nothing_because_nothing_is_spent(user):
    set_threshold(user, 40)
    ledger.release(hold=hold(user, 45))
    hold(user, 45)
    assert count(user) == 0


def by_capture(user):
    ledger.capture(hold=hold(user, 20), cost=20)


def by_adjustment(user):
    adjust(user, -20)


def by_expiry(user):
    let_expire(give(user, 20, expires_at=datetime(2090, 1, 1, tzinfo=UTC)))
    adjust(user, -20)  # the grant that has expired goes first
    ledger.expire_holds(user=user)


def by_refund(user):
    bought = give(user, 20, "purchase", reference_id="pi_1")
    adjust(user, -20)
    reverse("refund", bought)


def by_claw_back(user):
    bought = give(user, 20, "purchase", reference_id="pi_1")
    adjust(user, -20)
    reverse("claw_back", bought)


@pytest.mark.parametrize("cross", [by_capture, by_adjustment, by_expiry, by_refund, by_claw_back])
def test_every_verb_that_takes_credits_finds_the_crossing_once(user, cross):
    set_threshold(user, 40)
    cross(user)
    assert (ledger.balance(user).credits, count(user)) == (30, 1)
    assert audit.run().findings == []


@pytest.mark.parametrize("below", [0, 1, 50, 51, 10**9])
def test_no_threshold_and_one_above_the_balance_are_no_alert(user, below):
    is_fine = set_threshold(user, below)
    assert is_fine is (below <= 50)
    spend(user, 1)
    assert count(user) == (1 if below == 50 else 0)
    spend(user, 49)
    assert count(user) == (1 if below in (1, 50) else 0)


def test_a_threshold_above_the_balance_is_armed_when_the_balance_has_risen(user):
    set_threshold(user, 100)
    give(user, 69)  # 119
    spend(user, 30)
    assert count(user) == 0
    give(user, 31)  # 120
    spend(user, 21)
    assert count(user) == 1


def test_used_up_is_told_once_until_credits_come(user):
    spend(user, 50)
    for _ in range(3):
        with pytest.raises(InsufficientCredits), atomic():
            hold(user, 1)
    assert count(user, Kind.USED_UP) == 1
    give(user, 5)
    spend(user, 5)
    assert count(user, Kind.USED_UP) == 2


def test_the_first_refusal_tells_it_and_the_others_do_not(user):
    for number in range(3):
        with pytest.raises(InsufficientCredits):
            hold(user, 51, f"gen_{number}")
    rows = AccountAlert.objects.filter(user=user, kind=Kind.USED_UP)
    assert [row.facts for row in rows] == [{"balance": 50, "required": 51}]


def test_credits_that_running_completions_hold_are_not_used_up(user):
    hold(user, 50)
    with pytest.raises(InsufficientCredits):
        hold(user, 50, "gen_2")
    assert count(user, Kind.USED_UP) == 0


def test_a_rollback_takes_the_alert_back_and_arms_it_again(user):
    set_threshold(user, 40)
    with atomic():
        adjust(user, -20)
        transaction.set_rollback(True)
    assert count(user) == 0
    adjust(user, -20)
    assert count(user) == 1


@pytest.mark.django_db(transaction=True)
def test_all_verbs_at_once_tell_each_crossing_exactly_once(make_user):
    """Each thread does other verbs; the log of the ledger says how many crossings there were."""
    user = make_user(credits=100)
    set_threshold(user, 100)
    bought = give(user, 30, "purchase", reference_id="pi_1")

    acts = (
        lambda: spend(user, 25),
        lambda: ledger.release(hold=hold(user, 5)),
        lambda: give(user, 40),
        lambda: adjust(user, -35),
        lambda: expire(user, 10),
        lambda: reverse("refund", bought, 1),
    )

    def move(number):
        for turn in range(len(acts)):
            with suppress(LedgerRefusal):
                acts[(number + turn) % len(acts)]()

    concurrently(move, threads=8)
    assert 0 < count(user) == count_crossings(user, 100)
    told = user.alerts.filter(kind=Kind.USED_UP).values_list("created_at", flat=True)
    for first, second in pairwise(told.order_by("pk")):
        assert user.transactions.filter(amount__gt=0, created_at__range=(first, second)).exists()
    assert audit.run().findings == []


def expire(user, amount):
    let_expire(give(user, amount, expires_at=datetime.now(UTC)))
    ledger.expire_holds(user=user)


def count_crossings(user: User, below: int) -> int:
    """Count from the rows of the ledger, in their order, how many alerts there should be."""
    crossings, is_armed = 0, True
    for row in user.transactions.order_by("seq")[1:]:
        crossings += is_armed and row.balance_after < below
        is_armed = row.balance_after >= below * (1 if is_armed else 1.2)
    return crossings
