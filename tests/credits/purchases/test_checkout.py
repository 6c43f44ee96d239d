"""Beginning a payment, from the button to Stripe's page."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import override_settings
from django.utils import timezone

from credits.models import Customer, Package, Purchase
from credits.purchases import checkout, sessions, settlement
from credits.purchases.refusals import (
    AddressNotVerified,
    NotOnSale,
    PaymentPageFailed,
    PriceChanged,
    ShopClosed,
    TooMuchForToday,
)
from credits.stripe_api import customers
from credits.stripe_api.client import StripeAway
from tests.concurrently import concurrently
from tests.credits.purchases.conftest import count_credits, make_package


def test_a_package_is_bought_and_its_credits_are_given_once(ann, buy, fake_stripe):
    purchase = buy()
    assert (purchase.state, purchase.total, purchase.credits) == ("open", 5000, 1500)
    assert purchase.checkout_url.startswith(fake_stripe.url)
    fake_stripe.pay(purchase.checkout_session)
    for _ in range(3):
        paid = settlement.settle(purchase)
    assert paid.transaction is not None
    assert (paid.state, paid.method, paid.transaction.amount) == ("paid", "card", 1500)
    assert paid.transaction.reference_id == paid.payment_intent
    assert count_credits(ann) == 1500


def test_the_session_asks_for_what_the_row_says(buy, fake_stripe):
    purchase = buy(currency="thb", shown_price=179000, language="th")
    session = fake_stripe.get("checkout.session", purchase.checkout_session)
    assert (session["amount_total"], session["currency"], session["locale"]) == (
        179000,
        "thb",
        "th",
    )
    assert session["client_reference_id"] == purchase.public_id
    assert session["expires_at"] == int(purchase.expires_at.timestamp())
    assert session["adaptive_pricing"] == {"enabled": False}
    assert not session["allow_promotion_codes"]
    fake_stripe.pay(purchase.checkout_session)
    [intent] = fake_stripe.list_objects("payment_intent")
    assert intent["metadata"] == session["metadata"]
    assert intent["metadata"]["credits"] == "1500"
    assert intent["setup_future_usage"] is None


def test_a_buyer_may_ask_to_keep_the_card_alone(buy, fake_stripe):
    purchase = buy(currency="thb", shown_price=179000, save_card=True)
    session = fake_stripe.get("checkout.session", purchase.checkout_session)
    assert session["payment_method_options"]["card"]["setup_future_usage"] == "off_session"
    assert "promptpay" in session["payment_method_types"]


def test_promptpay_is_offered_for_baht_where_it_is_switched_on(buy, fake_stripe):
    def list_methods(**changes):
        purchase = buy(**changes)
        return fake_stripe.get("checkout.session", purchase.checkout_session)[
            "allowed_payment_method_types"
        ]

    assert list_methods(form_key="1") == ["card"]
    assert list_methods(form_key="2", currency="thb", shown_price=179000) == ["card", "promptpay"]
    with override_settings(PROMPTPAY=False):
        assert list_methods(form_key="3", currency="thb", shown_price=179000) == ["card"]


def test_the_same_form_again_leads_to_the_same_page(buy, fake_stripe):
    first, again = buy(), buy()
    assert (first.pk, first.checkout_url) == (again.pk, again.checkout_url)
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_two_tabs_are_two_purchases(buy, fake_stripe):
    assert buy(form_key="one").checkout_url != buy(form_key="other").checkout_url


def test_each_package_and_currency_of_a_page_is_a_purchase_of_its_own(buy, fake_stripe):
    small = make_package("Small", credits=10, usd=500)
    bought = [
        buy(),
        buy(package=small, shown_price=500),
        buy(currency="thb", shown_price=179000),
        buy(form_key=""),
        buy(form_key=""),
    ]
    assert len({purchase.checkout_url for purchase in bought}) == 5


def test_the_form_of_somebody_else_finds_nothing(buy, make_user):
    mine = buy()
    other = buy(user=make_user("bob@example.com"))
    assert mine.pk != other.pk
    assert mine.user != other.user


def test_a_user_has_one_customer_at_stripe(ann, buy, fake_stripe):
    buy(form_key="one")
    buy(form_key="other")
    [customer] = fake_stripe.list_objects("customer")
    assert customer["email"] == ann.email
    assert customer["metadata"]["user"] == ann.public_id
    assert Customer.objects.get(user=ann).stripe_customer == customer["id"]


def test_of_two_customers_the_first_that_is_written_down_is_taken(ann, fake_stripe, monkeypatch):
    def lose(**_):
        Customer.objects.update(stripe_customer="cus_winner")
        return {"id": "cus_loser"}

    monkeypatch.setattr(customers, "make_customer", lose)
    assert sessions.find_customer(ann) == "cus_winner"
    assert Customer.objects.get().stripe_customer == "cus_winner"


def test_a_new_address_is_told_to_stripe(ann, buy, fake_stripe):
    buy(form_key="one")
    ann.email = "new@example.com"
    ann.save()
    EmailAddress.objects.filter(user=ann).update(email=ann.email)
    buy(form_key="other")
    assert fake_stripe.list_objects("customer")[0]["email"] == "new@example.com"


def test_a_customer_of_another_account_is_replaced(ann, buy, fake_stripe):
    Customer.objects.create(user=ann, stripe_customer="cus_gone", stripe_email=ann.email)
    purchase = buy()
    assert purchase.state == "open"
    assert Customer.objects.get(user=ann).stripe_customer != "cus_gone"


def test_a_changed_price_is_shown_before_anything_is_begun(ann, buy, package):
    package.prices.filter(currency="usd").update(amount=6000)
    with pytest.raises(PriceChanged) as raised:
        buy()
    assert raised.value.price == 6000
    assert "$60.00" in raised.value.message
    assert not Purchase.objects.exists()


def test_the_agreed_price_holds_after_the_payment_was_begun(ann, buy, package, fake_stripe):
    purchase = buy()
    package.prices.filter(currency="usd").update(amount=6000)
    Package.objects.filter(pk=package.pk).update(credits=1, is_active=False)
    assert buy().checkout_url == purchase.checkout_url
    fake_stripe.pay(purchase.checkout_session)
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


@pytest.mark.parametrize("currency", ["eur", "jpy", "", "xxx"])
def test_what_has_no_price_in_a_currency_is_not_sold_in_it(buy, currency):
    with pytest.raises(NotOnSale):
        buy(currency=currency)


def test_a_withdrawn_package_is_not_sold(buy, package):
    Package.objects.update(is_active=False)
    with pytest.raises(NotOnSale):
        buy(package=Package.objects.get())


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 500), ("kwd", 5120), ("huf", 17500)])
def test_other_decimals_reach_stripe_as_they_are(ann, buy, package, fake_stripe, currency, amount):
    package.prices.create(currency=currency, amount=amount)
    with override_settings(CURRENCIES=["usd", currency]):
        purchase = buy(currency=currency, shown_price=amount)
    session = fake_stripe.get("checkout.session", purchase.checkout_session)
    assert (session["amount_total"], session["currency"]) == (amount, currency)
    fake_stripe.pay(purchase.checkout_session)
    assert settlement.settle(purchase).state == "paid"


@pytest.mark.parametrize("minutes", [-29, -5, 5, 29])
def test_a_clock_that_is_wrong_by_minutes_sells_all_the_same(ann, buy, fake_stripe, minutes):
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_without_a_key_nothing_is_begun(buy):
    with override_settings(STRIPE_SECRET_KEY=""), pytest.raises(NotOnSale):
        buy()
    assert not Purchase.objects.exists()


def test_who_has_not_verified_an_address_does_not_buy(ann, buy):
    EmailAddress.objects.filter(user=ann).update(verified=False)
    with pytest.raises(AddressNotVerified):
        buy()


def test_a_frozen_buyer_does_not_buy(ann, buy):
    Customer.objects.create(user=ann, frozen_at=ann.date_joined)
    with pytest.raises(ShopClosed):
        buy()


def test_a_lost_answer_is_asked_for_again_by_the_same_form(buy, fake_stripe):
    fake_stripe.break_next("drop_after", times=2, method="POST", path="/v1/checkout/sessions")
    with pytest.raises(StripeAway):
        buy()
    assert Purchase.objects.get().state == "new"
    assert buy().state == "open"
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_a_lost_customer_is_the_same_when_asked_again(buy, fake_stripe):
    fake_stripe.break_next("drop_after", times=2, method="POST", path="/v1/customers")
    with pytest.raises(StripeAway):
        buy()
    assert buy().state == "open"
    assert len(fake_stripe.list_objects("customer")) == 1


def test_what_stripe_refuses_has_failed_and_says_so(buy, fake_stripe, caplog):
    tiny = make_package("Tiny", usd=10)
    with pytest.raises(PaymentPageFailed):
        buy(package=tiny, shown_price=10)
    purchase = Purchase.objects.get()
    assert (purchase.state, bool(purchase.problem)) == ("failed", True)
    assert purchase.public_id in caplog.text


def test_a_cancelled_payment_cannot_be_paid(buy, fake_stripe):
    purchase = checkout.cancel(buy())
    assert purchase.state == "expired"
    session = fake_stripe.get("checkout.session", purchase.checkout_session)
    assert session["status"] == "expired"
    assert checkout.cancel(purchase).state == "expired"


def test_a_payment_that_is_cancelled_before_its_session_was_known_ends_too(buy, fake_stripe):
    fake_stripe.break_next("drop_after", times=2, method="POST", path="/v1/checkout/sessions")
    with pytest.raises(StripeAway):
        buy()
    assert checkout.cancel(Purchase.objects.get()).state == "expired"
    [session] = fake_stripe.list_objects("checkout.session")
    assert session["status"] == "expired"


def test_what_has_failed_at_the_start_is_not_begun_again(buy, fake_stripe):
    tiny = make_package("Tiny", usd=10)
    with pytest.raises(PaymentPageFailed):
        buy(package=tiny, shown_price=10)
    assert settlement.settle(Purchase.objects.get()).state == "failed"
    assert buy(package=tiny, shown_price=10).state == "failed"
    assert fake_stripe.list_objects("checkout.session") == []


@pytest.mark.django_db(transaction=True)
def test_many_clicks_at_once_are_one_purchase_and_one_session(buy, fake_stripe):
    bought = concurrently(lambda _: buy().checkout_url, threads=6)
    assert len(set(bought)) == 1
    assert (Purchase.objects.count(), len(fake_stripe.list_objects("checkout.session"))) == (1, 1)
    assert len(fake_stripe.list_objects("customer")) == 1


@pytest.mark.django_db(transaction=True)
def test_many_tabs_at_once_do_not_pass_the_limit_together(buy, settings, fake_stripe):
    settings.NEW_ACCOUNT_DAY_LIMITS = {"usd": 10000}

    def try_to_buy(number):
        try:
            return buy(form_key=str(number)).total
        except TooMuchForToday:
            return 0

    assert sum(concurrently(try_to_buy, threads=5)) == 10000


def test_what_was_paid_before_it_was_cancelled_is_given(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    assert checkout.cancel(purchase).state == "paid"
    assert count_credits(ann) == 1500
