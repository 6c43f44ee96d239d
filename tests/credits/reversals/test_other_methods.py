"""Refunds by PromptPay, which wait for the buyer, and refunds of payments by closed accounts."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from accounts.access import account_deletion
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import PaymentReversal, Purchase, Refund
from credits.purchases import sessions, settlement
from credits.reversals.apply import refresh
from credits.reversals.refund_acts import give_back
from credits.stripe_api.client import StripeAway


@pytest.fixture
def open_purchase(fake_stripe, buyer):
    """A purchase in baht, at Stripe's page."""
    row = Purchase.objects.create(
        user=buyer,
        kind="package",
        name="Basic",
        credits=500,
        currency="thb",
        net=175_00,
        total=175_00,
        livemode=False,
        language="th",
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return sessions.open_session(row)


def test_a_promptpay_refund_waits_and_comes_back_if_the_buyer_does_nothing(
    fake_stripe, buyer, open_purchase
):
    fake_stripe.pay_promptpay(open_purchase.checkout_session)
    bought = settlement.settle(open_purchase)
    row = give_back(bought, "k")
    refund = fake_stripe.get("refund", row.stripe_id)
    assert (refund["status"], refund["instructions_email"]) == ("requires_action", buyer.email)
    assert (PaymentReversal.objects.get().status, ledger.balance(buyer).credits) == (
        "requires_action",
        0,
    )
    fake_stripe.settle_refund(row.stripe_id, "canceled")
    call_command("settle_refunds")
    assert ledger.balance(buyer).credits == 500


def test_a_payment_of_a_closed_account_is_sent_back_once(fake_stripe, buyer, open_purchase):
    fake_stripe.pay(open_purchase.checkout_session)
    account_deletion.close(user=buyer, source=Source())
    fake_stripe.break_next("drop_before", times=2, method="POST")
    with pytest.raises(StripeAway):
        settlement.settle(open_purchase)
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=True):
        call_command("settle_refunds")
        call_command("settle_refunds")
    open_purchase.refresh_from_db()
    assert (open_purchase.state, Refund.objects.get().state) == ("returned", "accepted")
    assert [each["amount"] for each in fake_stripe.list_objects("refund")] == [175_00]
    refresh(open_purchase)
    row = PaymentReversal.objects.get()
    assert (row.credits, row.refund, ledger.balance(buyer).credits) == (0, Refund.objects.get(), 0)
