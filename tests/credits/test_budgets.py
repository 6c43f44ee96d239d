"""Monthly budgets of devices and keys: exact under concurrency, and counted from the holds."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.db.transaction import atomic

from accounts.models import User
from credits import budgets, ledger
from credits.exceptions import (
    BudgetUsage,
    BudgetUsedUp,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
)
from credits.models import Hold, Spending, Transaction
from credits.proof import audit
from tests.concurrently import concurrently
from tests.conftest import rows_may_change
from tests.credits.conftest import execute, give, hold, let_hold_expire, reverse
from tests.credits.test_races import wait_until_one_waits_for_a_lock

MakeUser = Callable[..., User]
once = pytest.mark.django_db
truly = pytest.mark.django_db(transaction=True)
KEY, OTHER = "key:1", "device:6f0c"


def spend(
    user: User, cost: int, credential: str = KEY, budget: int | None = 10, **options: Any
) -> ledger.Capture:
    held = hold(user, options.pop("amount", cost), credential=credential, budget=budget, **options)
    return ledger.capture(hold=held, cost=cost)


def counted(user: User, credential: str = KEY) -> tuple[int, int]:
    """Return the credits held and spent this month."""
    return (
        Spending.objects.filter(user=user, credential=credential)
        .values_list("held", "spent")
        .latest("month")
    )


@pytest.fixture(autouse=True)
def sound(db: None) -> Iterator[None]:
    """Audit the ledger after each test."""
    yield
    assert audit.run().findings == []


def call(user: User, reference: str) -> int:
    """Spend one credit of a budget of 10; return 0 if none is left."""
    try:
        held = hold(user, 1, reference, credential=KEY, budget=10)
    except BudgetUsedUp:
        return 0
    return ledger.capture(hold=held, cost=1).charged


@truly
def test_many_at_once_spend_the_budget_to_the_credit_and_no_more(make_user: MakeUser) -> None:
    user = make_user(credits=1000)
    assert sum(concurrently(lambda number: call(user, f"gen_{number}"), threads=64)) == 10
    assert (ledger.balance(user).credits, counted(user)) == (990, (0, 10))


@truly
def test_many_that_are_connected_already_spend_the_budget_exactly(make_user: MakeUser) -> None:
    """As above, but all threads are connected before they start."""
    user = make_user(credits=1000)
    threads = settings.DATABASE_POOL_SIZE - 1  # one connection is that of this thread
    connected = Barrier(threads)

    def calls(number: int) -> int:
        connection.ensure_connection()
        connected.wait(timeout=10)
        return sum(call(user, f"gen_{number}_{n}") for n in range(4))

    assert sum(concurrently(calls, threads=threads)) == 10
    assert counted(user) == (0, 10)


@truly
def test_many_at_once_that_take_what_is_left_share_the_budget_exactly(make_user: MakeUser) -> None:
    user = make_user(credits=1000)

    def call(number: int) -> int:
        try:
            return hold(user, 7, f"gen_{number}", at_least=1, credential=KEY, budget=10).amount
        except BudgetUsedUp:
            return 0

    assert sorted(concurrently(call, threads=16))[-3:] == [0, 3, 7]
    assert counted(user) == (10, 0)


@truly
def test_a_hold_that_waited_sees_what_the_other_one_left_of_the_budget(make_user: MakeUser) -> None:
    user = make_user(credits=50)

    def second() -> int:
        try:
            return hold(user, 10, at_least=1, credential=KEY, budget=10).amount
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with atomic():
            hold(user, 6, credential=KEY, budget=10)
            waiting = pool.submit(second)
            wait_until_one_waits_for_a_lock()
        assert waiting.result(10) == 4


@truly
def test_an_expiry_that_races_a_capture_counts_once(make_user: MakeUser) -> None:
    user = make_user(credits=1000)
    for number in range(10):
        held = hold(user, 10, f"gen_{number}", credential=KEY)
        let_hold_expire(held)

        def expire_or_capture(number: int, held: Hold = held) -> None:
            if number:
                ledger.expire_holds()
            else:
                ledger.capture(hold=held, cost=7)

        concurrently(expire_or_capture, threads=4)
    assert counted(user) == (0, 70)


@once
def test_a_budget_that_covers_a_shorter_answer_gets_the_shorter_one(user: User) -> None:
    spend(user, 7)
    held = hold(user, 40, at_least=1, credential=KEY, budget=10)
    assert held.amount == 3
    assert Hold.objects.values_list("wanted", "requested", "at_least").get(pk=held.pk) == (40, 3, 1)


@once
def test_a_refusal_below_the_minimum_names_the_budget(user: User) -> None:
    spend(user, 7)
    hold(user, 2, credential=KEY, budget=10)
    with pytest.raises(BudgetUsedUp) as refused:
        hold(user, 5, at_least=2, credential=KEY, budget=10)
    month = Spending.objects.get().month
    assert refused.value.usage == BudgetUsage(limit=10, held=2, spent=7, month=month)
    assert (refused.value.required, refused.value.available, refused.value.code) == (
        2,
        1,
        "insufficient_credits",
    )
    assert Hold.objects.count() == 2


@once
def test_a_small_balance_is_reported_before_the_budget(poor: User) -> None:
    with pytest.raises(InsufficientCredits) as refused:
        hold(poor, 5, credential=KEY, budget=1)
    assert not isinstance(refused.value, BudgetUsedUp)


@once
def test_what_costs_nothing_passes_at_a_budget_that_is_used_up(user: User) -> None:
    spend(user, 10)
    assert hold(user, 0, credential=KEY, budget=10).amount == 0


@once
def test_the_same_reference_gets_the_same_hold_whatever_the_budget_says_by_then(user: User) -> None:
    options: dict[str, Any] = {"at_least": 1, "credential": KEY}
    first = hold(user, 40, "gen_1", budget=10, **options)
    for budget in (10, 5, 1000):
        again = hold(user, 40, "gen_1", budget=budget, **options)
        assert (again.pk, again.amount) == (first.pk, 10)
    assert counted(user) == (10, 0)
    for other in ({"amount": 10}, {"credential": OTHER}):
        with pytest.raises(IdempotencyConflict):
            hold(**{"user": user, "amount": 40, "reference": "gen_1", **options, **other})


@once
def test_keys_of_one_user_share_the_balance_and_no_budget(user: User) -> None:
    spend(user, 10)
    spend(user, 10, OTHER)
    assert (ledger.balance(user).credits, counted(user), counted(user, OTHER)) == (
        30,
        (0, 10),
        (0, 10),
    )
    with pytest.raises(BudgetUsedUp):
        spend(user, 1)


@once
def test_the_same_credential_of_another_user_is_counted_apart(user: User, poor: User) -> None:
    give(poor, 20)
    spend(user, 10)
    assert spend(poor, 10).charged == 10


@once
def test_what_was_spent_before_there_was_a_budget_counts(user: User) -> None:
    spend(user, 8, budget=None)
    assert hold(user, 40, at_least=1, credential=KEY, budget=10).amount == 2


@once
def test_a_browser_is_not_counted_and_has_no_budget(user: User) -> None:
    spend(user, 8, "", None)
    assert not Spending.objects.exists()
    with pytest.raises(InvalidAmount):
        hold(user, 1, budget=10)


@once
def test_a_dearer_answer_is_charged_and_counted_as_what_it_cost(user: User) -> None:
    assert spend(user, 14, amount=10).charged == 14
    assert counted(user) == (0, 14)
    with pytest.raises(BudgetUsedUp) as refused:
        spend(user, 1)
    assert refused.value.usage.left == 0


@once
def test_uncollected_credits_are_not_counted(user: User) -> None:
    capture = spend(user, 60, amount=50, budget=None)
    assert (capture.uncollected, counted(user)) == (10, (0, 50))


@once
def test_a_released_hold_gives_the_budget_back(user: User) -> None:
    held = hold(user, 10, credential=KEY, budget=10)
    ledger.release(hold=held)
    ledger.release(hold=held)
    assert (counted(user), spend(user, 10).charged) == ((0, 0), 10)


@once
def test_a_capture_of_nothing_gives_the_budget_back(user: User) -> None:
    ledger.capture(hold=hold(user, 10, credential=KEY, budget=10), cost=0)
    assert (counted(user), spend(user, 10).charged) == ((0, 0), 10)


@once
def test_a_repeated_capture_counts_once(user: User) -> None:
    held = hold(user, 10, credential=KEY, budget=10)
    for _ in range(2):
        ledger.capture(hold=held, cost=4)
    assert counted(user) == (0, 4)


@once
def test_the_next_call_has_what_a_dead_worker_held_of_the_budget(user: User) -> None:
    let_hold_expire(hold(user, 10, credential=KEY, budget=10))
    assert spend(user, 10).charged == 10


@once
def test_a_sweeper_gives_back_what_a_dead_worker_held_of_the_budget(user: User) -> None:
    let_hold_expire(hold(user, 10, credential=KEY, budget=10))
    ledger.expire_holds()
    assert counted(user) == (0, 0)


@once
def test_an_answer_that_comes_after_its_hold_expired_is_counted(user: User) -> None:
    held = hold(user, 10, credential=KEY, budget=10)
    let_hold_expire(held)
    ledger.expire_holds()
    ledger.capture(hold=held, cost=6)
    assert counted(user) == (0, 6)


@once
def test_a_refund_gives_no_budget_back(user: User) -> None:
    spend(user, 10)
    reverse("refund", Transaction.objects.get(type="usage"))
    assert (ledger.balance(user).credits, counted(user)) == (50, (0, 10))


def let_a_month_pass() -> None:
    """Move everything that was done so far into the previous month."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor, rows_may_change(cursor):
        execute(
            "UPDATE credit_holds"
            " SET created_at = date_trunc('month', created_at) - interval '3 days'",
            "UPDATE credit_spending SET month = month - interval '1 month'",
        )
    execute("SET CONSTRAINTS ALL DEFERRED")


@once
def test_last_months_spending_and_holds_do_not_count(user: User) -> None:
    spend(user, 4)
    hold(user, 6, credential=KEY, budget=10)
    let_a_month_pass()
    assert budgets.read_spending(user) == {}
    assert spend(user, 10).charged == 10


@once
def test_an_answer_over_midnight_counts_in_the_month_in_which_it_began(user: User) -> None:
    held = hold(user, 10, credential=KEY, budget=10)
    let_a_month_pass()
    spend(user, 3)
    ledger.capture(hold=held, cost=9)
    assert list(Spending.objects.order_by("month").values_list("held", "spent")) == [(0, 9), (0, 3)]
    assert budgets.read_spending(user) == {KEY: 3}


@once
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_a_month_is_one_of_utc_whatever_zone_a_session_has(user: User, zone: str) -> None:
    execute(f"SET LOCAL TimeZone = '{zone}'")  # 14 hours ahead of UTC, or 12 behind.
    for moment in ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"):
        opened = json.dumps({"user_id": user.pk, "credential": KEY, "created_at": moment})
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT ledger_count(jsonb_populate_record(NULL::credit_holds, %s::jsonb), 0)",
                [opened],
            )
            cursor.execute("SELECT (ledger_counted(%s, %s, %s)).month", [user.pk, KEY, moment])
            assert cursor.fetchone() == (date.fromisoformat(moment[:7] + "-01"),)
    assert list(Spending.objects.order_by("month").values_list("month", flat=True)) == [
        date(2025, 12, 1),
        date(2026, 1, 1),
    ]


@pytest.mark.parametrize(
    ("month", "resets"), [((2026, 1), (2026, 2)), ((2026, 12), (2027, 1)), ((2028, 2), (2028, 3))]
)
def test_a_budget_begins_anew_on_the_first(month: tuple[int, int], resets: tuple[int, int]) -> None:
    usage = BudgetUsage(limit=1, held=0, spent=0, month=date(*month, 1))
    assert usage.resets_at == datetime(*resets, 1, tzinfo=UTC)


@once
def test_pages_see_what_each_has_spent(user: User) -> None:
    spend(user, 4)
    hold(user, 3, credential=KEY, budget=10)
    spend(user, 5, OTHER, None)
    assert budgets.read_spending(user) == {KEY: 4, OTHER: 5}


@truly
def test_the_history_of_a_race_adds_up(make_user: MakeUser) -> None:
    """After holds with all endings, with and without a budget, the counters are their sums."""
    user = make_user(credits=500)

    def call(number: int) -> None:
        try:
            held = hold(
                user, 5, f"gen_{number}", at_least=1, credential=(KEY, OTHER)[number % 2], budget=60
            )
        except BudgetUsedUp:
            return
        if number % 3 == 0:
            ledger.release(hold=held)
        elif number % 3 == 1:
            ledger.capture(hold=held, cost=number % 9)

    concurrently(call, threads=40)
    for credential in (KEY, OTHER):
        held, spent = counted(user, credential)
        of_it = Hold.objects.filter(credential=credential)
        assert held == (of_it.filter(state="open").aggregate(all=Sum("amount"))["all"] or 0)
        assert spent == of_it.aggregate(all=Sum("captured"))["all"]
        assert held + spent <= 60 + 8
