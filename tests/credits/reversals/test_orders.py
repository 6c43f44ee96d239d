"""Every order and repetition of what happens to a payment ends in the same balance."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits import ledger
from credits.models import PaymentReversal, Purchase
from credits.proof import audit
from credits.purchases import settlement
from credits.reversals import facts, records
from credits.reversals.apply import refresh
from tests.credits.payments import make_purchase

# What Stripe does, each at most once; what needs another one comes after it.
ACTS = ("part", "another part", "part fails", "dispute", "second withdrawal", "win", "again")


def act(fake, purchase, name, made):
    """Let Stripe do one act; without effect if it cannot be done now."""
    payment = purchase.payment_intent
    left = fake.get("charge", fake.get("payment_intent", payment)["latest_charge"])
    dispute = made.get("dispute")
    if name in ("part", "another part") and left["amount_refunded"] < 700 and not dispute:
        made[name] = fake.refund(payment, 333)["id"]
    elif name == "part fails" and "part" in made:
        fake.settle_refund(made.pop("part"), "failed")
    elif name == "dispute" and not dispute:
        made["dispute"] = fake.dispute(payment, amount=777)["id"]
    elif name == "second withdrawal" and dispute and "won" not in made:
        fake.withdraw(dispute, 55)
    elif name == "win" and dispute and "won" not in made:
        made["won"] = fake.end_dispute(dispute, "won")["id"]
    elif name == "again" and "won" in made:
        fake.withdraw(dispute, 777)


def count_expected(said, credits, total):
    """Return what the pure model leaves: the share of what is in force, in the ledger in memory."""
    refunds = sum(each.amount for each in said.refunds if each.is_in_force)
    disputed = sum(
        max(sum(each.amount for each in one.withdrawals) - one.reinstated, 0)
        for one in said.disputes
    )
    return credits - credits * min(refunds + disputed, total) // total


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(st.sampled_from(ACTS), max_size=7),
    total=st.sampled_from([1000, 999, 1777]),
    credits=st.sampled_from([500, 7, 1999]),
    data=st.data(),
)
def test_any_order_of_answers_ends_in_the_same_balance(
    db, fake_stripe, make_user, acts, total, credits, data
):
    """Each answer of Stripe is kept, and they are applied in any order, some of them twice."""
    user = make_user(f"u{Purchase.objects.count()}@example.com")
    purchase = make_purchase(fake_stripe, user, total=total, credits=credits)
    made: dict[str, str] = {}
    answers = [facts.fetch(purchase.payment_intent)]
    for name in acts:
        act(fake_stripe, purchase, name, made)
        answers.append(facts.fetch(purchase.payment_intent))
    order = data.draw(st.lists(st.sampled_from(range(len(answers))), max_size=10))
    paid_at = data.draw(st.integers(0, len(order)))
    for number, index in enumerate(order):
        if number == paid_at:
            settlement.settle(purchase)
        records.record(purchase, answers[index])
    settlement.settle(purchase)
    refresh(purchase)
    before = list(PaymentReversal.objects.filter(purchase=purchase).values())
    refresh(purchase)
    balance = ledger.balance(user)
    assert balance.credits - balance.debt == count_expected(answers[-1], credits, total)
    assert list(PaymentReversal.objects.filter(purchase=purchase).values()) == before
    assert audit.run().findings == []
