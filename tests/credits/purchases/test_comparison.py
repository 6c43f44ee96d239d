"""The daily comparison with Stripe, both ways, and who hears of a difference."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from credits.models import PaymentComparison, Purchase
from credits.purchases import comparison, settlement
from credits.stripe_api.client import StripeAway
from smartspec.upkeep import payments
from smartspec.upkeep.conditions import Look
from tests.credits.purchases.conftest import count_credits


@pytest.fixture
def paid(buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    return settlement.settle(purchase)


def is_fine():
    look = Look()
    questions = (payments.check_review, payments.check_events, payments.check_comparison)
    return all(fact.is_fine for ask in questions for fact in ask(look))


def test_what_is_the_same_on_both_sides_is_no_problem(paid):
    compared = comparison.compare()
    assert (compared.payments, compared.purchases, compared.problems) == (1, 1, 0)
    assert is_fine()


def test_a_payment_whose_events_were_lost_is_caught_up(ann, buy, fake_stripe):
    fake_stripe.pay(buy().checkout_session)
    fake_stripe.forget_webhooks()
    compared = comparison.compare()
    assert (compared.caught_up, compared.problems) == (1, 0)
    assert count_credits(ann) == 1500


PROBLEMS: dict[str, dict[str, Any]] = {
    "no payment at Stripe": {"payment_intent": "pi_gone"},
    "another total": {"total": 4999, "net": 4999},
    "another currency": {"currency": "thb"},
    "in review": {"state": "review", "transaction": None},
    "given up": {"state": "returned", "transaction": None, "currency": "thb"},
}
# The ledger has given the credits of these already, and their rows deny it.
DENIED = pytest.mark.audit_finds(15, because="the row of the payment is edited")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            changes,
            id=name,
            marks=DENIED if {"payment_intent", "transaction"} & set(changes) else (),
        )
        for name, changes in PROBLEMS.items()
    ],
)
def test_a_purchase_that_differs_is_a_problem(paid, changes):
    Purchase.objects.update(**changes)
    compared = comparison.compare()
    assert compared.problems >= 1
    assert paid.public_id in compared.report
    assert not is_fine()


def test_a_payment_that_vanished_at_stripe_is_a_problem(paid, fake_stripe):
    fake_stripe.get("payment_intent", paid.payment_intent)["status"] = "canceled"
    assert comparison.compare().problems == 1


def test_a_refund_that_no_event_told_is_caught_up(paid, fake_stripe):
    fake_stripe.refund(paid.payment_intent, 1000)
    assert comparison.compare().problems == 0
    assert paid.reversals.get().amount == 1000


def test_a_refund_that_is_not_known_here_is_a_problem(paid, fake_stripe, monkeypatch):
    monkeypatch.setattr(settlement, "after_settle", [])
    fake_stripe.refund(paid.payment_intent, 1000)
    compared = comparison.compare()
    assert (compared.problems, "1000 were refunded" in compared.report) == (1, True)


def test_a_dispute_that_is_not_known_here_is_a_problem(paid, fake_stripe, monkeypatch):
    monkeypatch.setattr(settlement, "after_settle", [])
    fake_stripe.dispute(paid.payment_intent)
    assert "disputed" in comparison.compare().report


def test_who_knows_refunds_is_asked_before_it_is_a_problem(paid, fake_stripe, monkeypatch):
    asked: list[Purchase] = []
    monkeypatch.setattr(settlement, "after_settle", [asked.append])
    fake_stripe.refund(paid.payment_intent, 1000)
    comparison.compare()
    assert asked == [paid]


@DENIED
def test_purchases_of_the_other_mode_are_left_out(paid):
    Purchase.objects.update(livemode=True, payment_intent="pi_live")
    assert comparison.compare().purchases == 0


def test_it_is_done_once_a_day(paid):
    assert comparison.compare_daily() is not None
    assert comparison.compare_daily() is None
    PaymentComparison.objects.update(started_at=timezone.now() - timedelta(hours=25))
    assert comparison.compare_daily() is not None


def test_tick_compares_and_settles(ann, buy, fake_stripe):
    fake_stripe.pay(buy().checkout_session)
    written = StringIO()
    call_command("settle_purchases", stdout=written)
    assert "1 caught up, 0 problems" in written.getvalue()
    assert count_credits(ann) == 1500
    call_command("settle_purchases", "--compare", stdout=written)
    assert PaymentComparison.objects.count() == 2


def test_while_stripe_is_away_the_job_is_done_and_the_comparison_waits(paid, fake_stripe):
    fake_stripe.break_next("drop_before", times=2)
    with pytest.raises(StripeAway):
        comparison.compare()
    fake_stripe.break_next("drop_before", times=2)
    errors = StringIO()
    call_command("settle_purchases", stdout=StringIO(), stderr=errors)
    assert "Stripe is away" in errors.getvalue()
    assert not PaymentComparison.objects.exists()


def test_without_a_key_nothing_is_asked_and_nothing_is_wrong(db, settings):
    settings.STRIPE_SECRET_KEY = ""
    call_command("settle_purchases", stdout=StringIO())
    assert is_fine()


def test_a_comparison_that_is_missing_is_told_where_something_is_sold(db, fake_stripe):
    assert not is_fine()
