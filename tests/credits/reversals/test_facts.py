"""What Stripe's objects say about money, whatever their order, age and currency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.reversals.facts import (
    DisputeFact,
    Withdrawal,
    count_in_force,
    read_dispute,
    read_refund,
    read_warning,
)


def make_dispute(movements, *, status="needs_response", amount=1000, currency="thb"):
    """Return a dispute with balance transactions of (id, amount, currency, time)."""
    return {
        "id": "du_1",
        "status": status,
        "reason": "fraudulent",
        "amount": amount,
        "currency": currency,
        "evidence_details": {"due_by": None},
        "balance_transactions": [
            {"id": name, "amount": moved, "currency": in_currency, "created": at}
            for name, moved, in_currency, at in movements
        ],
    }


def sum_in_force(fact):
    return sum(count_in_force(fact, {}).values())


def test_movements_in_our_own_currency_are_amounts_of_the_payment():
    fact = read_dispute(make_dispute([("t1", -1000, "thb", 1), ("t2", 400, "thb", 2)]))
    assert (fact.withdrawals, fact.reinstated, sum_in_force(fact)) == (
        (Withdrawal("t1", 1000),),
        400,
        600,
    )


def test_movements_in_another_currency_are_in_proportion_to_the_disputed_amount():
    """We are paid in dollars: 30.00 of them were the disputed 1,000 baht."""
    fact = read_dispute(
        make_dispute([("t1", -3000, "usd", 1), ("t2", -60, "usd", 2)], amount=1000_00)
    )
    assert [each.amount for each in fact.withdrawals] == [1000_00, 20_00]


def test_a_dispute_that_was_won_at_another_rate_came_back_whole():
    moved = [("t1", -3000, "usd", 1), ("t2", 2950, "usd", 2)]
    assert sum_in_force(read_dispute(make_dispute(moved, status="won"))) == 0
    assert sum_in_force(read_dispute(make_dispute(moved, status="under_review"))) > 0


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_order_of_movements_in_one_second_does_not_matter(order):
    moved = [("t1", -1000, "thb", 5), ("t2", 1000, "thb", 5)]
    fact = read_dispute(make_dispute([moved[index] for index in order]))
    assert (sum_in_force(fact), fact.reinstated_by) == (0, "t2")


def test_more_came_back_than_had_gone():
    moved = [("t1", -1000, "thb", 1), ("t2", 1010, "thb", 2)]
    assert sum_in_force(read_dispute(make_dispute(moved))) == 0


@pytest.mark.parametrize(
    "answer", [{}, {"balance_transactions": None}, {"evidence_details": None, "reason": None}]
)
def test_a_dispute_that_says_little_moves_nothing(answer):
    fact = read_dispute({"id": "du_1", "status": "new_status", "amount": 5, **answer})
    assert (fact.movements, fact.is_inquiry, fact.evidence_due_by) == (0, False, None)


@pytest.mark.parametrize("metadata", [None, {}, {"refund": "r1"}, {"refund": "r1", "site": "x"}])
def test_a_refund_of_another_site_is_none_of_our_requests(metadata):
    fact = read_refund({"id": "re_1", "amount": 5, "status": None, "metadata": metadata})
    assert (fact.request, fact.status, fact.is_in_force) == ("", "pending", True)


def test_a_warning_without_a_word_is_not_actionable():
    assert not read_warning({"id": "issfr_1"}).is_actionable


movements = st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=8)


@given(history=movements, data=st.data())
def test_an_answer_of_any_age_never_raises_what_is_in_force_again(history, data):
    """Answers come in any order; the newest one, applied last, decides."""
    signed = [amount if back else -amount for back, amount in history]
    facts = [
        read_dispute(
            make_dispute([(f"t{n}", moved, "thb", n) for n, moved in enumerate(signed[:size])])
        )
        for size in range(len(signed) + 1)
    ]
    known: dict[str, int] = {}
    for index in data.draw(st.lists(st.sampled_from(range(len(facts))), max_size=8)):
        before = dict(known)
        known |= count_in_force(facts[index], known)
        assert all(known[name] <= amount for name, amount in before.items())
    known |= count_in_force(facts[-1], known)
    assert sum(known.values()) <= max(-sum(signed), 0)


def test_an_older_answer_changes_nothing():
    newer = read_dispute(
        make_dispute([("t1", -9, "thb", 1), ("t2", 9, "thb", 2), ("t3", -9, "thb", 3)])
    )
    older = DisputeFact("du_1", "won", "", 9, None, (Withdrawal("t1", 9),), 9, "t2", 2)
    known = count_in_force(newer, {})
    assert known == {"t1": 0, "t3": 9}
    assert known | count_in_force(older, known) == known
