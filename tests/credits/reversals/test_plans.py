"""Refunds and disputes of the payments of plans, whose credits came with an invoice."""

from datetime import timedelta

from django.utils import timezone

from credits import ledger
from credits.models import PaymentReversal, Purchase
from credits.reversals import payments
from credits.reversals.apply import refresh
from credits.reversals.refund_acts import propose, refund
from credits.stripe_api import disputes as stripe_disputes
from tests.credits.conftest import spend
from tests.credits.payments import make_purchase


def pay_invoice(fake, user):
    """Make the purchase of a paid invoice, as a subscription does."""
    row = make_purchase(fake, user, kind="plan", invoice=f"in_{user.pk}")
    row.transaction = ledger.add(
        user=user,
        amount=500,
        type="subscription",
        description="Pro",
        reference_id=row.invoice,
        idempotency_key=f"inv:{row.invoice}",
        expires_at=timezone.now() + timedelta(days=33),
    )
    row.state, row.paid_at = Purchase.State.PAID, timezone.now()
    row.save()
    return row


def test_a_refunded_invoice_takes_its_credits(fake_stripe, buyer):
    bought = pay_invoice(fake_stripe, buyer)
    spend(buyer, 450)
    fake_stripe.refund(bought.payment_intent, 500)
    refresh(bought)
    balance = ledger.balance(buyer)
    assert (balance.credits, balance.debt) == (0, 200)


def test_a_disputed_invoice_that_is_won_gives_its_credits_back(fake_stripe, buyer):
    bought = pay_invoice(fake_stripe, buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    assert ledger.balance(buyer).credits == 0
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(bought)
    assert ledger.balance(buyer).credits == 500


def test_an_administrator_refunds_the_unspent_part_of_a_plan(fake_stripe, buyer):
    bought = pay_invoice(fake_stripe, buyer)
    spend(buyer, 100)
    proposal = propose(bought)
    refund(bought, proposal.amount, proposal.credits, "Moved away", None, "k")
    assert (proposal.amount, ledger.balance(buyer).credits) == (800, 0)
    assert PaymentReversal.objects.get().credits == 400


def test_a_payment_is_found_by_its_invoice(fake_stripe, buyer, monkeypatch):
    """The purchase does not know yet what paid it, and an invoice does not name it."""
    bought = pay_invoice(fake_stripe, buyer)
    payment = bought.payment_intent
    Purchase.objects.update(payment_intent="")
    monkeypatch.setattr(
        stripe_disputes,
        "list_invoices_paid_by",
        lambda intent: [{"invoice": bought.invoice}] if intent == payment else [],
    )
    fake_stripe.refund(payment)
    found = payments.find_of(fake_stripe.list_objects("refund")[0])
    assert found is not None
    assert (found, found.payment_intent) == (bought, payment)
    refresh(found)
    assert ledger.balance(buyer).credits == 0
