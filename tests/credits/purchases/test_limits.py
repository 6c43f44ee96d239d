"""Limits against stolen and tested cards."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import Customer, PaymentEvent, Purchase
from credits.purchases import incoming_events
from credits.purchases.refusals import ShopClosed, TooManyAttempts, TooMuchForToday
from tests.credits.purchases.conftest import make_package


def decline(fake_stripe, client, purchase, card="chargeDeclined"):
    fake_stripe.pay(purchase.checkout_session, card)
    fake_stripe.deliver(client)
    incoming_events.apply_due()


def test_a_user_begins_five_payments_an_hour(buy, settings):
    settings.NEW_ACCOUNT_DAYS = 0
    for number in range(5):
        buy(form_key=str(number))
    with pytest.raises(TooManyAttempts) as raised:
        buy(form_key="6")
    assert 0 < raised.value.seconds <= 720
    assert buy(form_key="0").state == "open"


def test_a_network_begins_more(buy, make_user, settings):
    settings.BUY_NETWORK_RPH, settings.NEW_ACCOUNT_DAYS = 2, 0
    here = Source("198.51.100.7")
    for number in range(2):
        buy(user=make_user(f"user{number}@example.com"), source=here)
    with pytest.raises(TooManyAttempts):
        buy(user=make_user("third@example.com"), source=here)
    assert buy(user=make_user("fourth@example.com"), source=Source("203.0.113.9"))


def test_a_new_account_buys_for_so_much_a_day(ann, buy, settings):
    settings.NEW_ACCOUNT_DAY_LIMITS = {"usd": 9999}
    first = buy(form_key="1")
    with pytest.raises(TooMuchForToday, match=r"\$99\.99"):
        buy(form_key="2")
    assert buy(form_key="3", currency="thb", shown_price=179000)
    Purchase.objects.filter(pk=first.pk).update(state="expired")
    buy(form_key="4")
    User.objects.filter(pk=ann.pk).update(date_joined=timezone.now() - timedelta(days=8))
    assert buy(form_key="5", user=User.objects.get(pk=ann.pk))


def test_a_package_above_the_limit_of_a_new_account_is_refused(buy, settings):
    settings.NEW_ACCOUNT_DAY_LIMITS = {"usd": 10000}
    with pytest.raises(TooMuchForToday):
        buy(package=make_package("Large", usd=10001), shown_price=10001)


def test_three_declined_cards_close_the_shop_for_a_day(ann, buy, client, fake_stripe):
    purchase = buy()
    for _ in range(2):
        decline(fake_stripe, client, purchase)
    assert buy(form_key="after two").state == "open"
    decline(fake_stripe, client, purchase, "chargeDeclinedStolenCard")
    with pytest.raises(ShopClosed) as raised:
        buy(form_key="after three")
    until = Customer.objects.get(user=ann).closed_until
    assert until is not None
    assert raised.value.until == until
    assert timedelta(hours=23) < until - timezone.now() <= timedelta(days=1)
    Customer.objects.update(closed_until=timezone.now())
    assert buy(form_key="next day").state == "open"


def test_a_decline_that_is_told_again_counts_once(ann, buy, client, fake_stripe):
    purchase = buy()
    for _ in range(2):
        decline(fake_stripe, client, purchase)
    for event in PaymentEvent.objects.filter(type="payment_intent.payment_failed"):
        incoming_events.replay(event)
    assert Customer.objects.get(user=ann).closed_until is None


def test_declines_of_long_ago_do_not_count(ann, buy, client, fake_stripe):
    purchase = buy()
    for _ in range(2):
        decline(fake_stripe, client, purchase)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        decline(fake_stripe, client, buy(form_key="later"))
    assert Customer.objects.get(user=ann).closed_until is None


def test_a_bank_transfer_that_fails_is_no_declined_card(ann, buy, client, fake_stripe):
    for number in range(3):
        purchase = buy(form_key=str(number), currency="thb", shown_price=179000)
        fake_stripe.pay_promptpay(purchase.checkout_session, "processing")
        fake_stripe.settle(purchase.checkout_session, "failed")
    fake_stripe.deliver(client)
    incoming_events.apply_due()
    assert Customer.objects.get(user=ann).closed_until is None


def test_a_decline_is_written_down_with_the_purchase(buy, client, fake_stripe):
    purchase = buy()
    decline(fake_stripe, client, purchase)
    event = PaymentEvent.objects.get(type="payment_intent.payment_failed")
    assert (event.purchase, event.state) == (purchase, "done")
    assert "declined" in event.outcome
    assert Purchase.objects.get().state == "open"
