"""What follows from what Stripe says about a payment, and only once."""

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.access import account_deletion
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from credits import ledger
from credits.models import Customer, Purchase, Refund, Transaction
from credits.purchases import settlement
from credits.purchases.facts import Finding
from credits.purchases.settlement import ended_receivers, paid_receivers
from credits.stripe_api.client import StripeAway, StripeRefused
from tests.concurrently import concurrently
from tests.credits.purchases.conftest import count_credits


def pay_by_bank(buy, fake_stripe):
    purchase = buy(currency="thb", shown_price=179000)
    fake_stripe.pay_promptpay(purchase.checkout_session, "processing")
    return settlement.settle(purchase)


def change_at_stripe(fake_stripe, purchase, kind="checkout.session", **facts):
    name = purchase.checkout_session
    if kind == "payment_intent":
        name = fake_stripe.get("checkout.session", name)["payment_intent"]
    fake_stripe.get(kind, name).update(facts)


def test_an_open_payment_gives_nothing(ann, buy):
    assert settlement.settle(buy()).state == "open"
    assert count_credits(ann) == 0


def test_a_payment_that_the_bank_has_to_confirm_gives_credits_when_it_does(ann, buy, fake_stripe):
    purchase = pay_by_bank(buy, fake_stripe)
    assert (purchase.state, count_credits(ann)) == ("processing", 0)
    fake_stripe.settle(purchase.checkout_session)
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_a_payment_that_the_bank_refuses_has_failed(ann, buy, fake_stripe):
    purchase = pay_by_bank(buy, fake_stripe)
    fake_stripe.settle(purchase.checkout_session, "failed")
    assert settlement.settle(purchase).state == "failed"
    assert count_credits(ann) == 0


def test_an_unpaid_session_expires(buy, fake_stripe):
    purchase = buy()
    fake_stripe.advance(3700)
    assert settlement.settle(purchase).state == "expired"


def test_a_payment_that_comes_after_the_end_gives_its_credits(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    Purchase.objects.update(state="expired")
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_a_stale_answer_that_is_applied_late_changes_nothing(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    paid = settlement.settle(purchase)
    for state in Purchase.State:
        settlement.apply(paid, Finding(state, payment_intent="pi_other"))
    again = Purchase.objects.get()
    assert (again.state, again.payment_intent) == ("paid", paid.payment_intent)
    assert count_credits(ann) == 1500


DIFFERENCES = {
    "a satang less": {"amount_total": 4999},
    "a satang more": {"amount_total": 5001},
    "another currency": {"currency": "eur"},
    "another reference": {"client_reference_id": "other"},
    "no reference": {"client_reference_id": None},
    "no PaymentIntent": {"payment_intent": None},
}


@pytest.mark.parametrize("facts", DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_differs_from_what_was_agreed_is_reviewed(ann, buy, fake_stripe, facts):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    change_at_stripe(fake_stripe, purchase, **facts)
    reviewed = settlement.settle(purchase)
    assert (reviewed.state, bool(reviewed.problem)) == ("review", True)
    assert count_credits(ann) == 0
    assert settlement.settle(purchase).state == "review"


@pytest.mark.parametrize("total", [4999, 5001, 0, 500_000])
def test_another_total_than_was_agreed_is_reviewed(ann, buy, fake_stripe, total):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    change_at_stripe(fake_stripe, purchase, amount_total=total)
    change_at_stripe(fake_stripe, purchase, "payment_intent", amount_received=total)
    reviewed = settlement.settle(purchase)
    assert (reviewed.state, str(total) in reviewed.problem) == ("review", True)
    assert count_credits(ann) == 0


def test_less_money_than_the_session_says_is_reviewed(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    change_at_stripe(fake_stripe, purchase, "payment_intent", amount_received=4999)
    assert settlement.settle(purchase).state == "review"


def test_a_difference_that_has_gone_gives_the_credits(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    change_at_stripe(fake_stripe, purchase, currency="eur")
    settlement.settle(purchase)
    change_at_stripe(fake_stripe, purchase, currency="usd")
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_a_session_without_a_payment_is_reviewed(ann, buy, fake_stripe):
    purchase = buy()
    change_at_stripe(fake_stripe, purchase, status="complete", payment_status="no_payment_required")
    assert settlement.settle(purchase).state == "review"


def test_one_payment_does_not_pay_two_purchases(ann, buy, fake_stripe):
    first, second = buy(form_key="1"), buy(form_key="2")
    fake_stripe.pay(first.checkout_session)
    intent = settlement.settle(first).payment_intent
    fake_stripe.pay(second.checkout_session)
    change_at_stripe(fake_stripe, second, payment_intent=intent)
    reviewed = settlement.settle(second)
    assert (reviewed.state, reviewed.payment_intent) == ("review", "")
    assert first.public_id in reviewed.problem
    assert count_credits(ann) == 1500


@pytest.mark.audit_finds(15, because="somebody gave the credits by hand, without a purchase")
def test_a_payment_that_the_ledger_knows_already_is_reviewed(ann, buy, fake_stripe, make_user):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    [intent] = fake_stripe.list_objects("payment_intent")
    ledger.add(
        user=make_user("bob@example.com"),
        amount=1,
        type="purchase",
        description="by hand",
        idempotency_key="by hand",
        reference_id=intent["id"],
    )
    assert settlement.settle(purchase).state == "review"
    assert count_credits(ann) == 0


def test_old_debt_is_paid_first(ann, buy, fake_stripe):
    first = buy(form_key="1")
    fake_stripe.pay(first.checkout_session)
    settlement.settle(first)
    held = ledger.hold(user=ann, amount=1500, reference_id="gen_1", seconds=60)
    ledger.capture(hold=held, cost=1500)
    second = buy(form_key="2")  # begun before the dispute, which closes the shop for her
    fake_stripe.dispute(first.checkout_session)
    settlement.check(first)
    assert User.objects.get(pk=ann.pk).credits_debt == 1500
    fake_stripe.pay(second.checkout_session)
    settlement.settle(second)
    assert (count_credits(ann), User.objects.get(pk=ann.pk).credits_debt) == (0, 0)


def close(user):
    account_deletion.close(user=user, source=UNKNOWN)


def test_the_payment_of_a_closed_account_goes_back_at_once(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    close(ann)
    returned = settlement.settle(purchase)
    assert (returned.state, returned.transaction) == ("returned", None)
    [refund] = fake_stripe.list_objects("refund")
    assert (refund["amount"], refund["payment_intent"]) == (5000, returned.payment_intent)
    row = Refund.objects.get()
    assert (row.state, row.stripe_id, row.credits) == ("accepted", refund["id"], 0)
    assert refund["metadata"]["refund"] == row.public_id
    settlement.settle(purchase)
    assert len(fake_stripe.list_objects("refund")) == 1
    assert count_credits(ann) == 0
    assert Customer.objects.get().stripe_email == ""


def test_money_that_goes_back_goes_once_though_the_answer_is_lost(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    close(ann)
    fake_stripe.break_next("drop_after", times=2, method="POST", path="/v1/refunds")
    with pytest.raises(StripeAway):
        settlement.settle(purchase)
    assert Refund.objects.get().state == "sent"
    settlement.settle(purchase)
    assert Refund.objects.get().state == "accepted"
    assert len(fake_stripe.list_objects("refund")) == 1


def test_a_refund_whose_key_may_be_forgotten_is_not_sent_again(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    close(ann)
    fake_stripe.break_next("drop_before", times=2, method="POST", path="/v1/refunds")
    with pytest.raises(StripeAway):
        settlement.settle(purchase)
    Refund.objects.update(first_sent_at=timezone.now() - timedelta(hours=24))
    settlement.settle(purchase)
    assert fake_stripe.list_objects("refund") == []


def test_a_locked_account_gets_what_it_paid_for(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_receivers_are_told_once_in_the_transaction(ann, buy, fake_stripe, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(settlement, "RECEIVERS", {"paid": [lambda row: told.append(row.state)]})
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    for _ in range(2):
        settlement.settle(purchase)
    assert told == ["paid"]


def test_a_receiver_that_fails_takes_the_credits_back(ann, buy, fake_stripe):
    def fail(row):
        raise ZeroDivisionError

    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    paid_receivers.append(fail)
    try:
        with pytest.raises(ZeroDivisionError):
            settlement.settle(purchase)
    finally:
        paid_receivers.remove(fail)
    assert (Purchase.objects.get().state, count_credits(ann)) == ("open", 0)
    assert settlement.settle(purchase).state == "paid"


def test_failed_and_expired_payments_are_told_too(buy, fake_stripe):
    told: list[str] = []
    ended_receivers.append(lambda row: told.append(row.state))
    try:
        purchase = pay_by_bank(buy, fake_stripe)
        fake_stripe.settle(purchase.checkout_session, "failed")
        settlement.settle(purchase)
    finally:
        ended_receivers.pop()
    assert told == ["failed"]


def test_a_purchase_without_a_session_gets_it_when_somebody_looks(buy, fake_stripe):
    fake_stripe.break_next("drop_after", times=2, method="POST", path="/v1/checkout")
    with pytest.raises(StripeAway):
        buy()
    purchase = settlement.settle(Purchase.objects.get())
    assert (purchase.state, purchase.checkout_url != "") == ("open", True)
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_a_session_that_can_no_longer_be_opened_has_expired(buy, fake_stripe):
    fake_stripe.break_next("drop_before", times=2, method="POST", path="/v1/checkout")
    with pytest.raises(StripeAway):
        buy()
    Purchase.objects.update(expires_at=timezone.now() + timedelta(minutes=20))
    purchase = settlement.settle(Purchase.objects.get())
    assert (purchase.state, purchase.checkout_session) == ("expired", "")


@pytest.mark.parametrize("key", ["sk_live_other", "rk_live_other", "no key"])
def test_a_wrong_key_ends_no_payment(buy, fake_stripe, key):
    purchase = buy()
    Purchase.objects.update(expires_at=timezone.now() - timedelta(minutes=20))
    with override_settings(STRIPE_SECRET_KEY=key), pytest.raises(StripeRefused):
        settlement.settle(purchase)
    assert Purchase.objects.get().state == "open"


def test_a_purchase_of_another_mode_is_left_alone(buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    Purchase.objects.update(livemode=True)
    with pytest.raises(StripeRefused):
        settlement.settle(purchase)
    found = settlement.find_checkout(purchase)
    assert settlement.apply(purchase, found).state == "review"


@pytest.mark.django_db(transaction=True)
def test_many_who_settle_at_once_give_the_credits_once(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    rows = concurrently(lambda _: settlement.settle(purchase), threads=8)
    assert {row.state for row in rows} == {"paid"}
    assert Transaction.objects.count() == 1
    assert count_credits(ann) == 1500
