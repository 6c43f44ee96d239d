"""Faults that reach the ledger itself. docs/faults.md lists the tests of the others."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest
import time_machine
from django.db import IntegrityError, connection
from django.db.models import ProtectedError
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import User
from credits import ledger
from credits.exceptions import AlreadyRefunded, IdempotencyConflict, UnknownAccount
from credits.models import Hold, Operation, Transaction
from credits.proof import audit
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db(transaction=True)

MakeUser = Callable[..., User]


def pay(user: User, amount: int = 100, payment: str = "pi_1") -> Transaction:
    return ledger.add(
        user=user,
        amount=amount,
        type="purchase",
        description="",
        idempotency_key=payment,
        reference_id=payment,
    )


def dispute(paid: Transaction) -> Transaction:
    key = f"dispute {paid.reference_id}"
    return ledger.claw_back(transaction=paid, amount=None, reason="Disputed", idempotency_key=key)


def win(taken: Transaction) -> Transaction:
    return ledger.restore(
        transaction=taken, reason="Won", idempotency_key=f"won {taken.reference_id}"
    )


def test_the_same_key_an_hour_later_has_the_same_outcome(make_user: MakeUser) -> None:
    user = make_user()
    first = pay(user)
    held = ledger.hold(user=user, amount=5, reference_id="gen_1", seconds=60)
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    ledger.expire_holds()
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert pay(user) == first
        assert ledger.hold(user=user, amount=5, reference_id="gen_1", seconds=60).pk == held.pk
    assert ledger.balance(user) == ledger.Balance(credits=100, held=0, plan="free")
    assert audit.run().findings == []


def test_the_same_hold_at_once_is_one_hold(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    holds = concurrently(
        lambda n: ledger.hold(user=user, amount=20, reference_id="gen_1", seconds=60).pk, threads=8
    )
    assert len(set(holds)) == 1
    assert ledger.balance(user).held == 20
    assert audit.run().findings == []


def test_a_refusal_is_the_same_refusal_an_hour_later(make_user: MakeUser) -> None:
    user = make_user(credits=10)
    paid = pay(user)
    dispute(paid)
    for _ in range(2):
        with pytest.raises(AlreadyRefunded):
            ledger.claw_back(
                transaction=paid, amount=None, reason="Again", idempotency_key="another dispute"
            )
    assert Operation.objects.filter(refusal__isnull=False).count() == 1
    assert ledger.balance(user).credits == 10


def test_a_payment_reported_twice_is_one_purchase(make_user: MakeUser) -> None:
    user = make_user()
    assert pay(user) == pay(user)
    dispute(pay(user))
    dispute(pay(user))
    assert ledger.balance(user).credits == 0
    assert Transaction.objects.count() == 2


def test_a_payment_reported_concurrently_is_one_purchase(make_user: MakeUser) -> None:
    user = make_user()
    concurrently(lambda n: dispute(pay(user)) if n % 2 else pay(user), threads=8)
    assert list(Transaction.objects.order_by("seq").values_list("amount", flat=True)) == [100, -100]
    assert audit.run().findings == []


def test_one_payment_for_two_users_buys_for_the_first(make_user: MakeUser) -> None:
    first, second = make_user(), make_user("bob@example.com")
    pay(first)
    with pytest.raises(IdempotencyConflict):
        pay(second)
    assert (ledger.balance(first).credits, ledger.balance(second).credits) == (100, 0)


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("ADWB")])
def test_the_order_of_payment_reports_does_not_matter(make_user: MakeUser, order: str) -> None:
    user = make_user(credits=30)
    for step in order:
        if step == "A":
            pay(user, 100, "pi_a")
        elif step == "B":
            pay(user, 40, "pi_b")
        elif step == "D":
            dispute(
                pay(user, 100, "pi_a")
            )  # A dispute that is reported first includes its payment.
        else:
            win(dispute(pay(user, 100, "pi_a")))
    assert ledger.balance(user) == ledger.Balance(credits=170, held=0, plan="free")
    assert audit.run().findings == []


def test_a_dispute_days_later_takes_what_is_left_and_the_next_payment_pays_the_rest(
    make_user: MakeUser,
) -> None:
    user = make_user()
    paid = pay(user, 100)
    ledger.capture(
        hold=ledger.hold(user=user, amount=80, reference_id="gen_1", seconds=60), cost=80
    )
    with time_machine.travel(timezone.now() + timedelta(days=60)):
        dispute(paid)
        assert ledger.balance(user) == ledger.Balance(credits=0, held=0, plan="free", debt=80)
        pay(user, 100, "pi_2")
    assert ledger.balance(user) == ledger.Balance(credits=20, held=0, plan="free", debt=0)
    assert audit.run().findings == []


def test_a_payment_for_nobody_writes_nothing(make_user: MakeUser) -> None:
    with pytest.raises(UnknownAccount):
        pay(User(pk=999_999))
    assert not Transaction.objects.exists()
    assert not Operation.objects.exists()


def test_sweepers_at_once_end_each_hold_once(make_user: MakeUser) -> None:
    users = [make_user(f"user{n}@example.com", credits=10) for n in range(5)]
    for number, user in enumerate(users * 3):
        ledger.hold(user=user, amount=3, reference_id=f"gen_{number}", seconds=0)
    ended = sum(concurrently(lambda n: ledger.expire_holds(), threads=6)) + ledger.expire_holds()
    assert ended == 15
    assert {ledger.balance(user).held for user in users} == {0}
    assert audit.run().findings == []


def test_a_sweeper_waits_for_nobody(make_user: MakeUser) -> None:
    busy, idle = make_user(credits=10), make_user("bob@example.com", credits=10)
    for user in (busy, idle):
        ledger.hold(user=user, amount=3, reference_id=user.email, seconds=0)

    def sweep(number: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
            try:
                return ledger.expire_holds()
            finally:
                cursor.execute("SET lock_timeout = '5s'")

    with atomic():
        User.objects.select_for_update(no_key=True).get(pk=busy.pk)
        assert concurrently(sweep, threads=1) == [1]
    assert ledger.expire_holds() == 1


def test_credits_expire_without_a_sweeper_for_a_day(make_user: MakeUser) -> None:
    user = make_user(credits=10)
    ledger.hold(user=user, amount=10, reference_id="gen_1", seconds=60)
    Hold.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert ledger.hold(user=user, amount=10, reference_id="gen_2", seconds=60).amount == 10
    assert ledger.expire_holds() == 0
    assert audit.run().findings == []


def test_a_user_with_a_ledger_cannot_be_deleted(make_user: MakeUser) -> None:
    user = make_user(credits=10)
    with pytest.raises(ProtectedError):
        user.delete()
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("DELETE FROM users WHERE id = %s", [user.pk])
    assert ledger.balance(user).credits == 10


def test_a_user_deactivated_during_an_answer_pays_for_it(make_user: MakeUser) -> None:
    user = make_user(credits=10)
    held = ledger.hold(user=user, amount=5, reference_id="gen_1", seconds=60)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert ledger.capture(hold=held, cost=3).balance_after == 7
    with pytest.raises(UnknownAccount):
        ledger.hold(user=user, amount=5, reference_id="gen_2", seconds=60)
    assert audit.run().findings == []
