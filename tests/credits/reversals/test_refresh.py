"""What Stripe says about refunds and disputes, and what the ledger does then."""

import pytest

from accounts.models import OutgoingMail
from credits import ledger
from credits.models import Dispute, PaymentReversal
from credits.proof import audit
from credits.reversals.apply import refresh
from tests.credits.conftest import spend
from tests.stripe import FakeStripe


def net(user):
    """Credits less debt, which no order of events changes."""
    balance = ledger.balance(user)
    return balance.credits - balance.debt


def get_key(row):
    assert row is not None
    return row.idempotency_key


def test_a_partial_refund_takes_its_share_at_once(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.refund(bought.payment_intent, 250)
    refresh(bought)
    row = PaymentReversal.objects.get()
    assert (net(buyer), row.credits, get_key(row.taken)) == (375, 125, f"re:{row.stripe_id}")
    refresh(bought)
    assert net(buyer) == 375


def test_refunds_in_parts_take_exactly_what_was_bought(fake_stripe, buyer, pay):
    bought = pay(buyer, total=1000, credits=7)
    for amount in (333, 333, 334):
        fake_stripe.refund(bought.payment_intent, amount)
        refresh(bought)
    assert net(buyer) == 0
    credits = PaymentReversal.objects.order_by("pk").values_list("credits", flat=True)
    assert list(credits) == [2, 2, 3]


def test_a_refund_that_fails_after_it_succeeded_is_given_back(fake_stripe, buyer, pay):
    bought = pay(buyer)
    refund = fake_stripe.refund(bought.payment_intent)
    refresh(bought)
    fake_stripe.settle_refund(refund["id"], "failed")
    refresh(refresh(bought))
    row = PaymentReversal.objects.get()
    assert (net(buyer), row.is_in_force, get_key(row.given_back)) == (
        500,
        False,
        f"re:{refund['id']}:back",
    )
    assert OutgoingMail.objects.filter(to=buyer.email, subject__contains="refund").count() == 1


def test_a_stale_answer_takes_nothing_again(fake_stripe, buyer, pay, monkeypatch):
    from credits.reversals import facts

    bought = pay(buyer)
    refund = fake_stripe.refund(bought.payment_intent)
    stale = facts.fetch(bought.payment_intent)
    fake_stripe.settle_refund(refund["id"], "failed")
    refresh(bought)
    monkeypatch.setattr(facts, "fetch", lambda payment_intent: stale)
    refresh(bought)
    assert net(buyer) == 500


def test_a_refund_of_what_is_spent_becomes_a_debt(fake_stripe, buyer, pay):
    bought = pay(buyer)
    spend(buyer, 450)
    fake_stripe.refund(bought.payment_intent)
    refresh(bought)
    balance = ledger.balance(buyer)
    assert (balance.credits, balance.debt) == (0, 450)


def test_a_dispute_after_a_partial_refund_takes_only_what_is_left(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.refund(bought.payment_intent, 400)
    fake_stripe.dispute(bought.payment_intent, amount=1000)
    refresh(bought)
    assert net(buyer) == 0
    rows = {row.kind: row.credits for row in PaymentReversal.objects.all()}
    assert rows == {"refund": 200, "dispute": 300}


def test_a_won_dispute_gives_back_what_it_took(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.refund(bought.payment_intent, 400)
    dispute = fake_stripe.dispute(bought.payment_intent, amount=1000)
    refresh(bought)
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(bought)
    row = PaymentReversal.objects.get(kind="dispute")
    positive = fake_stripe.get("dispute", dispute["id"])["balance_transactions"][-1]["id"]
    assert (net(buyer), get_key(row.given_back)) == (300, f"dp:{positive}")
    fake_stripe.refund(bought.payment_intent, 600)
    refresh(bought)
    assert net(buyer) == 0


def test_two_withdrawals_of_one_dispute_are_summed_and_capped(fake_stripe, buyer, pay):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent, amount=900)
    refresh(bought)
    fake_stripe.withdraw(dispute["id"], 200)
    refresh(bought)
    assert net(buyer) == 0
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(bought)
    assert net(buyer) == 500
    assert not PaymentReversal.objects.filter(is_in_force=True).exists()


def test_a_dispute_withdrawn_again_takes_again(fake_stripe, buyer, pay):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    fake_stripe.reinstate(dispute["id"])
    fake_stripe.withdraw(dispute["id"])
    refresh(bought)
    assert net(buyer) == 0
    assert sorted(PaymentReversal.objects.values_list("is_in_force", "credits")) == [
        (False, 0),
        (True, 500),
    ]


def test_an_adjustment_in_our_favour_leaves_the_rest_in_force(fake_stripe, buyer, pay):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    fake_stripe.reinstate(dispute["id"], 100)
    refresh(bought)
    refresh(bought)
    assert net(buyer) == 50


def test_an_inquiry_moves_no_credits(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.dispute(bought.payment_intent, status="warning_needs_response")
    refresh(bought)
    assert (net(buyer), Dispute.objects.get().kind) == (500, "inquiry")
    assert not PaymentReversal.objects.exists()


def test_a_dispute_of_a_closed_account_takes_its_credits(fake_stripe, buyer, pay):
    from accounts.access import account_deletion
    from accounts.toolbox.request_source import Source

    bought = pay(buyer)
    account_deletion.close(user=buyer, source=Source())
    fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    assert net(buyer) == 0


@pytest.mark.parametrize("status", ["lost", "prevented"])
def test_a_dispute_that_ends_against_us_moves_nothing_more(
    fake_stripe: FakeStripe, buyer, pay, status
):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent, amount=500)
    refresh(bought)
    fake_stripe.end_dispute(dispute["id"], status)
    refresh(bought)
    assert net(buyer) == 250


@pytest.mark.parametrize("written_off", [None, 100])
def test_a_debt_that_was_written_off_is_not_given_back(fake_stripe, buyer, pay, written_off):
    """The operator gave it up, so a dispute that is won pays nothing for it."""
    bought = pay(buyer)
    spend(buyer, 400)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    ledger.write_off(
        user=buyer, amount=written_off, reason="Given up", actor=None, idempotency_key="w"
    )
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(refresh(bought))
    balance = ledger.balance(buyer)
    assert (balance.credits, balance.debt) == (100, 0)
    assert audit.run().findings == []
    fake_stripe.refund(bought.payment_intent)
    refresh(bought)
    refresh(bought)
    assert audit.run().findings == []
    assert ledger.balance(buyer).credits == 0


def test_what_was_given_back_by_hand_is_not_given_back_again(fake_stripe, buyer, pay):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    taken = PaymentReversal.objects.get().taken
    assert taken is not None
    ledger.restore(transaction=taken, reason="By hand", idempotency_key="by hand")
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(refresh(bought))
    assert (net(buyer), PaymentReversal.objects.get().is_in_force) == (500, False)
