"""Concurrent calls on real connections: nothing is overdrawn, lost or done twice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.db.transaction import atomic

from accounts.models import User
from accounts.toolbox import rate_limits
from credits import ledger
from credits.exceptions import HoldEnded, InsufficientCredits
from credits.models import Hold, Transaction
from credits.proof import audit
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db(transaction=True)

MakeUser = Callable[..., User]


def test_two_windows_cannot_spend_the_same_credits(make_user: MakeUser) -> None:
    user = make_user(credits=10)

    def spend(number: int) -> int:
        try:
            held = ledger.hold(
                user=user, amount=3, at_least=1, reference_id=f"gen_{number}", seconds=60
            )
        except InsufficientCredits:
            return 0
        return ledger.capture(hold=held, cost=3).charged

    assert sum(concurrently(spend, threads=12)) == 10
    assert ledger.balance(user).credits == 0
    assert audit.run().findings == []


def test_a_hold_that_waited_sees_what_the_other_one_left(make_user: MakeUser) -> None:
    user = make_user(credits=50)

    def second() -> int:
        try:
            return ledger.hold(
                user=user, amount=50, at_least=1, reference_id="gen_2", seconds=60
            ).amount
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with atomic():
            ledger.hold(user=user, amount=30, reference_id="gen_1", seconds=60)
            waiting = pool.submit(second)
            wait_until_one_waits_for_a_lock()
        assert waiting.result(10) == 20
    assert audit.run().findings == []


def wait_until_one_waits_for_a_lock() -> None:
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    raise AssertionError("no connection waits for a lock")


def test_one_hold_is_captured_by_one_of_many(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    held = ledger.hold(user=user, amount=10, reference_id="gen_1", seconds=60)

    def capture(number: int) -> ledger.Capture | None:
        try:
            return ledger.capture(hold=held, cost=7 + number % 2)
        except HoldEnded:
            return None

    answers = concurrently(capture, threads=8)
    assert answers.count(None) == 4
    assert len(set(answers)) == 2
    assert Transaction.objects.filter(type="usage").count() == 1
    assert audit.run().findings == []


def test_capture_and_expiry_at_once_charge_once_and_free_once(make_user: MakeUser) -> None:
    user = make_user(credits=1000)
    for round_number in range(10):
        held = ledger.hold(user=user, amount=10, reference_id=f"gen_{round_number}", seconds=60)
        Hold.objects.filter(pk=held.pk).update(expires_at="2020-01-01T00:00Z")

        def expire_or_capture(number: int, held: Hold = held) -> None:
            if number:
                ledger.expire_holds()
            else:
                ledger.capture(hold=held, cost=7)

        concurrently(expire_or_capture, threads=4)
    assert ledger.balance(user) == ledger.Balance(credits=930, held=0, plan="free")
    assert audit.run().findings == []


def test_the_same_reference_at_once_holds_once(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    held = concurrently(
        lambda n: ledger.hold(user=user, amount=7, reference_id="gen_1", seconds=60).pk, threads=8
    )
    assert len(set(held)) == 1
    assert ledger.balance(user).held == 7


def test_a_release_waits_its_turn_and_never_deadlocks(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    held = ledger.hold(user=user, amount=7, reference_id="gen_1", seconds=60)

    def release() -> bool:
        try:
            return ledger.release(hold=held)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with atomic():
            ledger.adjust(user=user, amount=-1, reason="locks the user", actor=None)
            waiting = pool.submit(release)
            wait_until_one_waits_for_a_lock()
            assert ledger.capture(hold=held, cost=7).charged == 7
        assert waiting.result(10) is False
    assert audit.run().findings == []


def test_a_sweeper_leaves_alone_whoever_is_being_charged(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    held = ledger.hold(user=user, amount=7, reference_id="gen_1", seconds=60)
    Hold.objects.filter(pk=held.pk).update(expires_at="2020-01-01T00:00Z")
    with ThreadPoolExecutor(1) as pool, atomic():
        ledger.adjust(user=user, amount=-1, reason="charged meanwhile", actor=None)
        assert pool.submit(swept).result(5) == 0
    assert ledger.expire_holds() == 1


def swept() -> int:
    try:
        return ledger.expire_holds()
    finally:
        connection.close()


def test_the_same_key_at_once_grants_once(make_user: MakeUser) -> None:
    user = make_user()

    def grant(number: int) -> int:
        return ledger.add(
            user=user, amount=5, type="purchase", description="", idempotency_key="pay_1"
        ).pk

    assert len(set(concurrently(grant, threads=8))) == 1
    assert ledger.balance(user).credits == 5


def test_movements_of_one_user_are_numbered_without_gaps(make_user: MakeUser) -> None:
    user = make_user(credits=100)
    concurrently(
        lambda n: ledger.adjust(user=user, amount=-1, reason="race", actor=None), threads=16
    )
    assert list(Transaction.objects.order_by("seq").values_list("seq", flat=True)) == list(
        range(1, 18)
    )
    assert audit.run().findings == []


def test_a_rate_lets_exactly_its_limit_through() -> None:
    allowed = concurrently(
        lambda n: sum(rate_limits.take("k", limit=50).allowed for _ in range(20)), threads=8
    )
    assert sum(allowed) == 50
