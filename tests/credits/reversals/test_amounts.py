"""Whatever order the reversals of a payment come in, they take the same credits together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.reversals.amounts import (
    Payment,
    Reversal,
    Step,
    Verb,
    apply_steps,
    compute_target,
    plan_steps,
)

GIVE_BACK, TAKE = Verb.GIVE_BACK, Verb.TAKE
payments = st.builds(Payment, amount=st.integers(1, 60), credits=st.integers(1, 90))
# A change sets the amount of one of five reversals; 0 returns its money to us.
changes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 70)), max_size=12)


def change(
    payment: Payment, reversals: list[Reversal], stripe_id: str, amount: int
) -> tuple[list[Reversal], list[Step]]:
    """Set the amount of a reversal, which may be new, and do the steps that this needs."""
    if stripe_id in {each.stripe_id for each in reversals}:
        changed = [
            Reversal(stripe_id, amount, each.credits) if each.stripe_id == stripe_id else each
            for each in reversals
        ]
    else:
        changed = [*reversals, Reversal(stripe_id, amount)]
    steps = plan_steps(payment, changed)
    return apply_steps(changed, steps), steps


def play(payment: Payment, history: list[tuple[int, int]]) -> list[Reversal]:
    reversals: list[Reversal] = []
    for stripe_id, amount in history:
        reversals, _ = change(payment, reversals, str(stripe_id), amount)
    return reversals


def sum_credits(reversals: list[Reversal]) -> int:
    return sum(reversal.credits for reversal in reversals)


@given(payment=payments, history=changes)
def test_after_every_change_exactly_the_target_is_taken(
    payment: Payment, history: list[tuple[int, int]]
) -> None:
    reversals: list[Reversal] = []
    for stripe_id, amount in history:
        before = {each.stripe_id: each.credits for each in reversals}
        reversals, steps = change(payment, reversals, str(stripe_id), amount)
        target = compute_target(payment, sum(each.amount for each in reversals))
        assert sum_credits(reversals) == target
        assert all(each.credits >= 0 for each in reversals)
        assert all(each.credits == 0 for each in reversals if each.amount == 0)
        require_possible(before, payment, steps)
        assert plan_steps(payment, reversals) == []


def require_possible(before: dict[str, int], payment: Payment, steps: list[Step]) -> None:
    """Require that the ledger can do each step: one row in force per reversal, never too much."""
    for verb, stripe_id, credits in steps:
        assert credits > 0
        assert before.get(stripe_id, 0) == (credits if verb is GIVE_BACK else 0)
        before[stripe_id] = 0 if verb is GIVE_BACK else credits
        assert sum(before.values()) <= payment.credits


@given(payment=payments, history=changes, data=st.data())
def test_every_order_of_the_same_reversals_ends_alike(
    payment: Payment, history: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The order of the changes to one reversal stays: facts only move forward."""
    owners = data.draw(st.permutations([stripe_id for stripe_id, _ in history]))
    queues = {
        stripe_id: [amount for other, amount in history if other == stripe_id]
        for stripe_id, _ in history
    }
    another = [(stripe_id, queues[stripe_id].pop(0)) for stripe_id in owners]
    assert sum_credits(play(payment, another)) == sum_credits(play(payment, history))


@given(payment=payments, cuts=st.lists(st.integers(1, 20), max_size=6))
def test_all_of_the_amount_is_exactly_all_of_the_credits(payment: Payment, cuts: list[int]) -> None:
    reversals = play(payment, [*enumerate(cuts), (99, payment.amount)])
    assert sum_credits(reversals) == payment.credits


def test_a_dispute_after_a_partial_refund_takes_only_what_is_left() -> None:
    paid = Payment(amount=1000, credits=100)
    refunded, _ = change(paid, [], "refund", 400)
    _, steps = change(paid, refunded, "dispute", 1000)
    assert steps == [Step(TAKE, "dispute", 60)]


def test_a_won_dispute_gives_back_what_it_took_and_a_refund_that_overlapped_is_completed() -> None:
    paid = Payment(amount=1000, credits=100)
    disputed = play(paid, [(1, 1000), (2, 400)])
    assert [each.credits for each in disputed] == [100, 0]
    _, steps = change(paid, disputed, "1", 0)
    assert steps == [Step(GIVE_BACK, "1", 100), Step(TAKE, "2", 40)]


def test_rounding_takes_the_last_reversal_anew() -> None:
    thirds = play(Payment(amount=3, credits=2), [(1, 1), (2, 1)])
    assert [each.credits for each in thirds] == [0, 1]
    _, steps = change(Payment(amount=3, credits=2), thirds, "1", 0)
    assert steps == [Step(GIVE_BACK, "2", 1)]


def test_rounding_that_leaves_too_little_takes_the_last_reversal_anew() -> None:
    paid = Payment(amount=5, credits=7)
    fifths = play(paid, [(1, 1), (2, 1), (3, 1), (4, 1)])
    assert [each.credits for each in fifths] == [1, 1, 2, 1]
    _, steps = change(paid, fifths, "3", 0)
    assert steps == [Step(GIVE_BACK, "3", 2), Step(GIVE_BACK, "4", 1), Step(TAKE, "4", 2)]


def test_an_event_that_comes_again_does_nothing() -> None:
    paid = Payment(amount=1000, credits=100)
    refunded = play(paid, [(1, 333)])
    assert change(paid, refunded, "1", 333) == (refunded, [])


@pytest.mark.parametrize(("amount", "reversed_amount"), [(0, 5), (100, -5), (100, 0)])
def test_nothing_is_taken_for_nothing(amount: int, reversed_amount: int) -> None:
    assert compute_target(Payment(amount=amount, credits=10), reversed_amount) == 0
