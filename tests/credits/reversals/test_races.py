"""Refunds of one payment at once, by several workers."""

import pytest

from credits import ledger
from credits.models import PaymentReversal, Refund
from credits.reversals.apply import refresh
from credits.reversals.refund_acts import give_back, refund
from credits.reversals.refusals import RefundRefusal
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_at_once_take_once(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.refund(bought.payment_intent, 300)
    fake_stripe.dispute(bought.payment_intent)
    concurrently(lambda number: refresh(bought), threads=8)
    assert ledger.balance(buyer).credits == 0
    assert sum(row.credits for row in PaymentReversal.objects.all()) == 500


def test_refunds_at_once_send_no_more_than_was_paid(fake_stripe, buyer, pay):
    bought = pay(buyer)

    def ask(number):
        try:
            refund(bought, 600, None, "why", None, f"k{number}")
        except RefundRefusal:
            return

    concurrently(ask, threads=4)
    sent = fake_stripe.list_objects("refund")
    assert ([each["amount"] for each in sent], ledger.balance(buyer).credits) == ([600], 200)


def test_a_double_click_gives_back_once(fake_stripe, buyer, pay):
    bought = pay(buyer)
    concurrently(lambda number: give_back(bought, "form"), threads=4)
    assert len(fake_stripe.list_objects("refund")) == 1
    assert (Refund.objects.count(), ledger.balance(buyer).credits) == (1, 0)
