"""Who may not buy because of a dispute or a fraud warning, and who is told."""

import json

import pytest
from django.contrib.admin.models import LogEntry

from accounts.models import JobRun, OutgoingMail
from credits import ledger
from credits.models import Customer, Dispute, PaymentEvent, PaymentReversal, Purchase, Refund
from credits.purchases import incoming_events, settlement
from credits.purchases.refusals import ShopClosed
from credits.reversals import catching_up, disputes, frozen, payments
from credits.reversals.apply import refresh
from credits.reversals.refund_acts import refund
from credits.reversals.refusals import NotPaidOnline
from tests.credits.payments import make_purchase


def apply_events(fake, *, reverse=False, type=""):
    """Apply all events so far, as if each had been stored just now."""
    events = fake.list_events(type)
    for event in events[::-1] if reverse else events:
        row, _ = PaymentEvent.objects.get_or_create(
            stripe_id=event["id"],
            defaults={
                "type": event["type"],
                "livemode": event["livemode"],
                "object_id": event["data"]["object"].get("id", ""),
                "payload": json.dumps(event),
            },
        )
        incoming_events.apply(row)


def test_an_inquiry_freezes_and_its_end_thaws(fake_stripe, buyer, pay, settings):
    settings.SUPPORT_EMAIL = "operator@example.com"
    bought = pay(buyer)
    inquiry = fake_stripe.dispute(bought.payment_intent, status="warning_needs_response")
    refresh(refresh(bought))
    row = Dispute.objects.get()
    assert (row.kind, row.evidence_due_by is None, list(disputes.list_open())) == (
        "inquiry",
        False,
        [row],
    )
    assert OutgoingMail.objects.filter(to="operator@example.com").count() == 1
    with pytest.raises(ShopClosed):
        frozen.refuse_frozen(buyer)
    fake_stripe.end_dispute(inquiry["id"], "warning_closed")
    refresh(bought)
    frozen.refuse_frozen(buyer)
    assert not disputes.list_open()


@pytest.mark.parametrize(
    ("status", "is_frozen"), [("won", False), ("lost", True), ("prevented", True)]
)
def test_the_end_of_a_dispute_thaws_if_the_money_came_back(
    fake_stripe, buyer, pay, status, is_frozen
):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    assert frozen.is_frozen(buyer)
    fake_stripe.end_dispute(dispute["id"], status)
    refresh(bought)
    assert frozen.is_frozen(buyer) is is_frozen


def test_a_buyer_stays_frozen_while_another_payment_is_disputed(fake_stripe, buyer, pay):
    first, second = pay(buyer), pay(buyer)
    won = fake_stripe.dispute(first.payment_intent)
    fake_stripe.dispute(second.payment_intent)
    refresh(first)
    refresh(second)
    fake_stripe.end_dispute(won["id"], "won")
    refresh(first)
    assert list(frozen.list_frozen()) == [Customer.objects.get(user=buyer)]


def test_an_administrator_thaws_and_what_is_known_freezes_no_more(fake_stripe, buyer, pay, second):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    refresh(bought)
    assert disputes.let_buy_again(buyer, reason="A mistake of the bank", actor=second)
    assert not disputes.let_buy_again(buyer, reason="Again", actor=second)
    fake_stripe.end_dispute(dispute["id"], "lost")
    refresh(bought)
    assert not frozen.is_frozen(buyer)
    assert "mistake of the bank" in LogEntry.objects.get().change_message
    another = fake_stripe.dispute(pay(buyer).payment_intent)
    apply_events(fake_stripe)
    assert frozen.is_frozen(buyer)
    fake_stripe.end_dispute(another["id"], "won")
    apply_events(fake_stripe)
    assert not frozen.is_frozen(buyer)


def test_a_fraud_warning_is_refunded_in_full_once(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.warn(bought.payment_intent)
    refresh(refresh(bought))
    refund = Refund.objects.get()
    assert (refund.amount, refund.state, ledger.balance(buyer).credits) == (1000, "accepted", 0)
    assert frozen.is_frozen(buyer)
    assert Dispute.objects.get().status == "not_actionable"


def test_a_fraud_warning_may_be_left_to_the_operator(fake_stripe, buyer, pay, settings):
    settings.REFUND_FRAUD_WARNINGS = False
    bought = pay(buyer)
    fake_stripe.warn(bought.payment_intent)
    refresh(bought)
    assert (Refund.objects.count(), frozen.is_frozen(buyer)) == (0, True)


def test_a_stale_answer_does_not_freeze_again(fake_stripe, buyer, pay, monkeypatch):
    from credits.reversals import facts

    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent)
    stale = facts.fetch(bought.payment_intent)
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(bought)
    monkeypatch.setattr(facts, "fetch", lambda payment_intent: stale)
    refresh(bought)
    assert (frozen.is_frozen(buyer), Dispute.objects.get().status) == (False, "won")


@pytest.mark.parametrize("reverse", [False, True])
def test_events_have_their_payment_compared(fake_stripe, buyer, reverse):
    """Also those that come before the event of the payment."""
    bought = make_purchase(fake_stripe, buyer)
    fake_stripe.refund(bought.payment_intent, 300)
    fake_stripe.end_dispute(fake_stripe.dispute(bought.payment_intent)["id"], "won")
    apply_events(fake_stripe, reverse=reverse)
    assert ledger.balance(buyer).credits == 350
    assert not PaymentEvent.objects.exclude(state__in=["done", "ignored"]).exists()
    assert PaymentEvent.objects.filter(purchase=bought, type="charge.dispute.closed").exists()


def test_what_events_did_not_tell_is_found_by_the_hour(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.refund(bought.payment_intent, 300)
    assert catching_up.catch_up() == 1
    fake_stripe.dispute(bought.payment_intent)
    assert (catching_up.catch_up(), ledger.balance(buyer).credits) == (0, 350)
    JobRun.objects.all().delete()
    assert (catching_up.catch_up(), ledger.balance(buyer).credits) == (1, 0)


def test_a_payment_of_another_site_is_ignored(fake_stripe, db):
    intent = fake_stripe.api.payment_intents.create(
        {"amount": 1000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    )
    fake_stripe.refund(intent.id)
    apply_events(fake_stripe)
    assert PaymentEvent.objects.filter(type="refund.created", state="ignored").exists()
    assert not PaymentReversal.objects.exists()


def test_an_object_of_an_older_version_names_its_charge_only(fake_stripe, buyer, pay):
    bought = pay(buyer)
    charge = fake_stripe.get("payment_intent", bought.payment_intent)["latest_charge"]
    assert payments.find_of({"payment_intent": None, "charge": charge}) == bought
    assert payments.find_of({"payment_intent": {"id": bought.payment_intent}}) == bought
    assert payments.find_of({"charge": "ch_unknown"}) is None
    assert payments.find_of({}) is None


def test_what_went_back_before_a_review_ended_takes_its_share(fake_stripe, buyer):
    """The row was wrong, and an operator corrected it."""
    bought = make_purchase(fake_stripe, buyer, total=1001)
    Purchase.objects.update(total=1000, net=1000)
    fake_stripe.refund(bought.payment_intent, 500)
    apply_events(fake_stripe)
    bought.refresh_from_db()
    assert (bought.state, ledger.balance(buyer).credits) == ("review", 0)
    Purchase.objects.update(total=1001, net=1001)
    settlement.settle(bought)
    assert ledger.balance(buyer).credits == 500 - 500 * 500 // 1001


def test_a_payment_of_the_other_mode_waits(fake_stripe, buyer, pay):
    bought = pay(buyer)
    Purchase.objects.update(livemode=True)
    bought.refresh_from_db()
    with pytest.raises(NotPaidOnline):
        refund(bought, 100, None, "why", None, "k")


def test_a_refund_whose_payment_no_event_told_settles_it(fake_stripe, buyer):
    bought = make_purchase(fake_stripe, buyer)
    fake_stripe.refund(bought.payment_intent, 300)
    apply_events(fake_stripe, type="refund.created")
    bought.refresh_from_db()
    assert (bought.state, ledger.balance(buyer).credits) == ("paid", 350)
