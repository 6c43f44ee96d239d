"""Payments from which no event comes are asked for."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credits.models import Purchase
from credits.purchases import comparison
from credits.purchases.settlement import paid_receivers
from credits.stripe_api.client import StripeAway
from tests.credits.purchases.conftest import count_credits
from tests.credits.purchases.test_settlement import close, pay_by_bank


def age(**ago: float) -> None:
    moment = timezone.now() - timedelta(**ago)
    Purchase.objects.update(created_at=moment, checked_at=None)


def test_a_payment_whose_events_were_lost_is_found_after_ten_minutes(ann, buy, fake_stripe):
    fake_stripe.pay(buy().checkout_session)
    assert comparison.settle_open() == 0
    age(minutes=11)
    assert comparison.settle_open() == 1
    assert (Purchase.objects.get().state, count_credits(ann)) == ("paid", 1500)


def test_an_open_payment_is_asked_for_until_it_expires(buy, fake_stripe):
    buy()
    age(minutes=11)
    assert (comparison.settle_open(), comparison.settle_open()) == (1, 0)
    Purchase.objects.update(checked_at=timezone.now() - timedelta(minutes=11))
    fake_stripe.advance(3700)
    assert comparison.settle_open() == 1
    assert Purchase.objects.get().state == "expired"
    age(days=1)
    assert comparison.settle_open() == 0


def test_what_the_bank_confirms_is_asked_for_once_a_day(buy, fake_stripe):
    pay_by_bank(buy, fake_stripe)
    Purchase.objects.update(created_at=timezone.now() - timedelta(days=3))
    for hours, asked in ((23, 0), (25, 1)):
        Purchase.objects.update(checked_at=timezone.now() - timedelta(hours=hours))
        assert comparison.settle_open() == asked


def test_a_payment_that_was_never_at_stripe_is_continued(buy, fake_stripe):
    fake_stripe.break_next("drop_before", times=2, method="POST", path="/v1/customers")
    with pytest.raises(StripeAway):
        buy()
    age(minutes=11)
    comparison.settle_open()
    purchase = Purchase.objects.get()
    assert (purchase.state, purchase.checkout_url != "") == ("open", True)


def test_while_stripe_is_away_one_question_is_enough(buy, fake_stripe):
    for key in "abc":
        buy(form_key=key)
    age(minutes=11)
    fake_stripe.break_next("drop_before", times=2)
    assert comparison.settle_open() == 0
    assert comparison.settle_open() == 2


def test_a_payment_that_stripe_refuses_to_tell_holds_up_no_other(buy, fake_stripe, caplog):
    first, _ = buy(form_key="1"), buy(form_key="2")
    Purchase.objects.filter(pk=first.pk).update(checkout_session="cs_test_gone")
    age(minutes=11)
    assert comparison.settle_open() == 1
    assert first.public_id in caplog.text


def test_a_mistake_of_ours_holds_up_no_other_payment(buy, fake_stripe, caplog):
    def fail(row):
        if row == first:
            raise ZeroDivisionError

    first, second = buy(form_key="1"), buy(form_key="2")
    for purchase in (first, second):
        fake_stripe.pay(purchase.checkout_session)
    age(minutes=11)
    paid_receivers.append(fail)
    try:
        assert comparison.settle_open() == 1
        Purchase.objects.update(checked_at=None)
        assert comparison.compare().problems == 1
    finally:
        paid_receivers.remove(fail)
    assert first.public_id in caplog.text
    assert comparison.compare().problems == 0


def test_money_of_a_closed_account_is_sent_back_though_stripe_was_away(ann, buy, fake_stripe):
    fake_stripe.pay(buy().checkout_session)
    close(ann)
    age(minutes=11)
    fake_stripe.break_next("drop_before", times=2, method="POST", path="/v1/refunds")
    comparison.settle_open()
    assert fake_stripe.list_objects("refund") == []
    age(minutes=11)
    comparison.settle_open()
    assert len(fake_stripe.list_objects("refund")) == 1


def test_purchases_of_the_other_mode_are_left_alone(buy):
    buy()
    age(minutes=11)
    Purchase.objects.update(livemode=True)
    assert comparison.settle_open() == 0
