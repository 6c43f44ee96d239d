"""Payments whose rows the database has lost are found again at Stripe alone."""

import pytest
from django.test import override_settings

from accounts.models import User
from credits.models import Customer, PaymentEvent, Purchase
from credits.purchases import comparison, incoming_events, lookup, settlement
from tests.credits.purchases.conftest import count_credits


@pytest.fixture
def paid(buy, fake_stripe):
    """A paid purchase, as Stripe knows it and before anybody here has looked."""
    purchase = buy(currency="thb", shown_price=179000, language="th")
    fake_stripe.pay(purchase.checkout_session)
    return purchase


def lose_rows():
    """Restore the database of yesterday, before the purchase was begun."""
    Purchase.objects.all().delete()
    Customer.objects.all().delete()


def compare_with(purchase):
    again = Purchase.objects.get()
    names = [
        *("public_id", "user", "package", "name", "credits", "currency", "net", "tax", "total"),
        *("tax_percent", "language", "livemode", "kind"),
    ]
    return {
        name: (getattr(again, name), getattr(purchase, name))
        for name in names
        if getattr(again, name) != getattr(purchase, name)
    }


@pytest.mark.parametrize("type", ["checkout.session.completed", "payment_intent.succeeded"])
def test_an_event_brings_a_lost_purchase_back(ann, paid, client, fake_stripe, type):
    lose_rows()
    fake_stripe.deliver(client)
    PaymentEvent.objects.exclude(type=type).update(state="failed")
    incoming_events.apply_due()
    assert compare_with(paid) == {}
    assert (Purchase.objects.get().state, count_credits(ann)) == ("paid", 1500)


def test_the_comparison_brings_a_lost_purchase_back(ann, paid):
    lose_rows()
    compared = comparison.compare()
    assert (compared.caught_up, compared.problems, compared.report) == (1, 0, "")
    assert compare_with(paid) == {}
    assert Purchase.objects.get().created_at.date() == paid.created_at.date()
    assert count_credits(ann) == 1500
    assert comparison.compare().caught_up == 0


def test_the_return_page_brings_a_lost_purchase_back(ann, paid):
    lose_rows()
    purchase = lookup.find_purchase(session=paid.checkout_session)
    assert purchase is not None
    assert settlement.settle(purchase).state == "paid"
    assert count_credits(ann) == 1500


def test_all_ways_together_give_the_credits_once(ann, paid, client, fake_stripe):
    lose_rows()
    comparison.compare()
    fake_stripe.deliver(client)
    incoming_events.apply_due()
    comparison.compare()
    assert Purchase.objects.count() == 1
    assert count_credits(ann) == 1500


def test_a_lost_payment_of_nobody_is_a_problem(ann, paid, fake_stripe, client):
    lose_rows()
    User.objects.filter(pk=ann.pk).update(public_id="usr_new")
    compared = comparison.compare()
    assert (compared.problems, paid.public_id in compared.report) == (1, True)
    fake_stripe.deliver(client)
    incoming_events.apply_due()
    event = PaymentEvent.objects.get(type="checkout.session.completed")
    assert (event.state, paid.public_id in event.outcome) == ("waiting", True)
    assert not Purchase.objects.exists()


@pytest.mark.parametrize("change", [{"credits": "many"}, {"tax": "1,5"}, {"tax_percent": "x"}])
def test_metadata_that_cannot_be_read_is_a_problem(ann, paid, fake_stripe, change):
    lose_rows()
    for kind in ("payment_intent", "checkout.session"):
        fake_stripe.list_objects(kind)[0]["metadata"].update(change)
    assert comparison.compare().problems == 1
    assert count_credits(ann) == 0


def test_what_belongs_to_another_site_is_left_alone(ann, paid):
    lose_rows()
    with override_settings(STRIPE_SITE="other.example"):
        compared = comparison.compare()
    assert (compared.payments, compared.problems) == (0, 0)
    assert not Purchase.objects.exists()


def test_a_declined_try_of_a_lost_purchase_brings_nothing_back(buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session, "chargeDeclined")
    lose_rows()
    fake_stripe.deliver(client)
    incoming_events.apply_due()
    assert not Purchase.objects.exists()


def test_what_stripe_does_not_know_is_nobodys(db, fake_stripe):
    assert lookup.find_purchase(session="cs_test_nothing") is None
    assert lookup.find_purchase(payment_intent="pi_nothing") is None
    assert lookup.find_purchase() is None


@pytest.mark.parametrize("type", ["checkout.session.completed", "payment_intent.succeeded", ""])
def test_a_lost_purchase_comes_back_with_the_tax_that_stripe_added(
    buy, fake_stripe, client, settings, ann, type
):
    settings.TAX_MODE = "stripe"
    fake_stripe.pay(buy().checkout_session)
    lose_rows()
    if type:
        fake_stripe.deliver(client)
        PaymentEvent.objects.exclude(type=type).update(state="failed")
        incoming_events.apply_due()
    else:
        assert comparison.compare().problems == 0
    again = Purchase.objects.get()
    assert (again.state, again.net, again.tax, again.total) == ("paid", 5000, 500, 5500)
    assert count_credits(ann) == 1500


@pytest.mark.parametrize("find", ["comparison", "session"])
def test_a_lost_purchase_has_the_tax_that_stripe_added(settings, buy, ann, fake_stripe, find):
    settings.TAX_MODE = "stripe"
    session = fake_stripe.pay(buy().checkout_session)
    lose_rows()
    if find == "session":
        found = lookup.find_purchase(session=session["id"])
        assert found is not None
        settlement.settle(found)
    compared = comparison.compare()
    again = Purchase.objects.get()
    assert (again.state, again.net, again.tax, again.total) == ("paid", 5000, 500, 5500)
    assert again.documents.get().facts["tax"] == 500
    assert (again.checkout_session, count_credits(ann)) == (session["id"], 1500)
    assert compared.problems == 0
