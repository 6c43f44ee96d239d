"""A refill is switched on by its owner alone, who reads what it costs."""

from typing import Any

import pytest
from django.utils import translation

from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from credits.models import Customer, Refill
from credits.purchases import checkout, settlement
from credits.purchases.refusals import NotOnSale, PriceChanged, ShopClosed
from credits.refills import card, charging, consent
from credits.refills.refusals import BadCap, BadThreshold, NoCard, WouldChargeNow
from credits.reversals.frozen import freeze
from tests.credits.refills.conftest import PRICE, use_up


def test_a_refill_is_switched_on_with_its_words_price_and_time(switch_on):
    refill = switch_on()
    assert refill.enabled_at == refill.consented_at
    assert (refill.price, refill.credits, refill.card) == (PRICE, 1500, "Visa •••• 4242")
    assert refill.consent.startswith(
        "When my balance is below 100 credits, charge Visa •••• 4242 with $50.00 for 1,500 credits"
    )


def test_the_words_are_kept_in_the_language_of_the_page(switch_on):
    with translation.override("th"):
        refill = switch_on()
    assert "When my balance" not in refill.consent


def test_switching_on_charges_nothing_while_the_balance_suffices(switch_on, fake_stripe):
    switch_on()
    charging.run_due()
    assert fake_stripe.list_objects("payment_intent") == []


def test_switching_on_below_the_threshold_needs_a_second_confirmation(switch_on, ann):
    use_up(ann)
    with pytest.raises(WouldChargeNow, match=r"charged \$50.00 at once"):
        switch_on()
    assert not Refill.objects.exists()
    assert switch_on(card="", is_confirmed=True).enabled_at


def test_without_a_card_the_settings_are_kept_and_the_refill_is_off(switch_on):
    with pytest.raises(NoCard):
        switch_on(card="")
    refill = Refill.objects.get()
    assert (refill.enabled_at, refill.threshold, refill.monthly_cap) == (None, 100, 4 * PRICE)


def test_a_card_that_was_kept_with_a_purchase_can_be_refilled_from(
    switch_on, ann, package, fake_stripe
):
    bought = checkout.start(
        user=ann,
        package=package,
        currency="usd",
        form_key="form",
        shown_price=PRICE,
        shown_credits=package.credits,
        language="en",
        source=UNKNOWN,
        save_card=True,
    )
    fake_stripe.pay(bought.checkout_session, "mastercard")
    settlement.settle(bought)
    assert not Refill.objects.exists()
    assert switch_on(card="").card == "Mastercard •••• 4444"


def test_a_customer_who_is_gone_at_stripe_has_no_card(switch_on, ann, fake_stripe):
    Customer.objects.create(user=ann, stripe_customer="cus_of_another_account")
    with pytest.raises(NoCard):
        switch_on(card="")


@pytest.mark.parametrize("threshold", [-1, 0, 1501, 10**12])
def test_a_threshold_that_the_package_does_not_reach_is_refused(switch_on, threshold):
    with pytest.raises(BadThreshold):
        switch_on(threshold=threshold)


@pytest.mark.parametrize("cap", [-1, 0, PRICE - 1, 100 * PRICE + 1])
def test_a_cap_below_one_refill_or_without_bounds_is_refused(switch_on, cap):
    with pytest.raises(BadCap):
        switch_on(cap=cap)


def test_a_price_that_the_page_did_not_show_is_refused(switch_on):
    with pytest.raises(PriceChanged):
        switch_on(shown_price=PRICE - 1)


@pytest.mark.parametrize("changes", [{"currency": "thb"}, {"currency": "xxx"}])
def test_a_currency_in_which_the_package_is_not_sold_is_refused(switch_on, changes: Any):
    with pytest.raises(NotOnSale):
        switch_on(**changes)


def test_a_frozen_buyer_switches_nothing_on(switch_on, ann):
    freeze(ann, "disputed")
    with pytest.raises(ShopClosed):
        switch_on()


def test_a_card_that_is_saved_later_switches_nothing_on(switch_on, ann, save_card, fake_stripe):
    refill = switch_on()
    consent.switch_off(ann)
    customer = Customer.objects.get(user=ann).stripe_customer
    session = start_setup(ann, fake_stripe)
    fake_stripe.pay(session["id"], "mastercard")
    saved = card.find_saved(session["id"])
    assert saved is not None
    assert (saved.owner, card.take_over(saved)) == (ann, refill)
    refill.refresh_from_db()
    assert (refill.enabled_at, refill.card) == (None, "Mastercard •••• 4444")
    assert session["customer"] == customer


def start_setup(user: User, fake_stripe: Any) -> Any:
    card.start_setup(user=user, currency="usd", form_key="setup", source=UNKNOWN)
    return fake_stripe.list_objects("checkout.session")[-1]
