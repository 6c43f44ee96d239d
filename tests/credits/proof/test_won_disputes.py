"""If every dispute is won in the end, nobody has lost a credit, whatever happened in between."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from credits.proof.ledger_in_memory import Account, Refused

NOW = datetime(2026, 11, 30, tzinfo=UTC)
amounts = st.integers(1, 40)
payments = st.tuples(st.just("pay"), st.sampled_from(["purchase", "subscription"]), amounts)
uses = st.tuples(st.just("spend"), amounts)
disputes = st.tuples(st.just("dispute"), st.integers(0, 20), st.none() | amounts)
ends = st.tuples(st.just("win"), st.integers(0, 20))
write_offs = st.tuples(st.just("write off"), st.none() | amounts)


class Buyer:
    """A user who pays, spends and disputes, on the ledger in memory."""

    def __init__(self) -> None:
        self.account = Account()
        self.paid = self.spent = 0
        self.payments: list[int] = []
        self.reversals: list[int] = []

    def do(self, step: tuple[Any, ...]) -> None:
        verb, *arguments = step
        try:
            getattr(self, verb.replace(" ", "_"))(*arguments)
        except Refused:
            return

    def pay(self, type: str, amount: int) -> None:
        request = {"type": type, "amount": amount, "reference_id": "in_1"}
        self.payments.append(self.account.add(request).seq)
        self.paid += amount

    def spend(self, amount: int) -> None:
        hold = self.account.hold(object(), requested=amount, at_least=1)
        key = next(key for key, held in self.account.holds.items() if held is hold)
        self.account.capture(key, hold.amount)
        self.spent += hold.amount

    def dispute(self, number: int, amount: int | None) -> None:
        if self.payments:
            seq = self.payments[number % len(self.payments)]
            self.reversals.append(self.account.claw_back(seq, amount).seq)

    def win(self, number: int) -> None:
        if self.reversals:
            self.account.restore(self.reversals[number % len(self.reversals)], NOW)

    def write_off(self, amount: int | None) -> None:
        self.account.write_off(amount)

    def win_all(self, order: list[int]) -> int:
        """Win the rest of the disputes; return the credits, without what is still owed."""
        for seq in order:
            try:
                self.account.restore(seq, NOW)
            except Refused:
                continue
        return self.account.credits - self.account.debt


@given(steps=st.lists(payments | uses | disputes | ends, max_size=14), data=st.data())
def test_without_write_offs_exactly_what_was_not_spent_is_there(
    steps: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    buyer = Buyer()
    for step in steps:
        buyer.do(step)
    order = data.draw(st.permutations(buyer.reversals))
    assert buyer.win_all(order) == buyer.paid - buyer.spent


@given(steps=st.lists(payments | uses | disputes | ends | write_offs, max_size=14), data=st.data())
def test_a_write_off_never_costs_the_buyer_anything(
    steps: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    buyer = Buyer()
    for step in steps:
        buyer.do(step)
    order = data.draw(st.permutations(buyer.reversals))
    assert buyer.win_all(order) >= buyer.paid - buyer.spent


@given(amount=amounts, spent=amounts, written_off=st.none() | amounts)
def test_a_write_off_gives_nothing_to_the_buyer_of_one_payment(
    amount: int, spent: int, written_off: int | None
) -> None:
    buyer = Buyer()
    for step in (
        ("pay", "purchase", amount),
        ("spend", spent),
        ("dispute", 0, None),
        ("write off", written_off),
        ("win", 0),
    ):
        buyer.do(step)
    assert buyer.account.credits - buyer.account.debt == buyer.paid - buyer.spent
