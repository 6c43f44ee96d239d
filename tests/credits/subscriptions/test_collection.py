"""Plans that are not paid, invoices that are not ours, and what is compared with Stripe."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import F

from accounts.access import account_deletion
from accounts.models import JobRun, OutgoingMail, User
from accounts.toolbox.request_source import UNKNOWN
from credits import ledger
from credits.models import (
    Customer,
    Purchase,
    Subscription,
    SubscriptionPeriod,
    SubscriptionPrice,
)
from credits.purchases import comparison as payments
from credits.purchases import lookup
from credits.subscriptions import closing, comparison, following, forgetting, states
from smartspec.upkeep.conditions import Look
from smartspec.upkeep.payments import check_subscriptions
from tests.credits.subscriptions.conftest import (
    DAY,
    find_plan,
    list_grants,
    spoil_card,
)

UNPAID = "SmartSpec: Your plan could not be paid"


def test_a_renewal_that_is_declined_is_past_due_and_mailed_with_its_page(
    subscribe, pass_time, fake_stripe, ann
):
    row = subscribe()
    spoil_card(fake_stripe, row)
    pass_time()
    row.refresh_from_db()
    assert (row.status, find_plan(ann)) == ("past_due", "pro")
    assert row.invoice_url == fake_stripe.list_objects("invoice")[-1]["hosted_invoice_url"]
    assert UNPAID in OutgoingMail.objects.values_list("subject", flat=True)
    assert list_grants(ann) == [(1000, "subscription")]


def test_each_try_to_collect_is_mailed_once(subscribe, pass_time, fake_stripe, tell):
    row = subscribe()
    spoil_card(fake_stripe, row)
    pass_time()
    for _ in range(3):
        following.refresh(row)
    count = OutgoingMail.objects.filter(subject=UNPAID).count()
    assert count == fake_stripe.list_objects("invoice")[-1]["attempt_count"]


def test_a_past_due_plan_that_is_paid_goes_on(subscribe, pass_time, fake_stripe, tell, ann):
    row = subscribe()
    spoil_card(fake_stripe, row)
    pass_time()
    pay_invoice(fake_stripe)
    tell()
    row.refresh_from_db()
    assert (row.status, row.invoice_url, find_plan(ann)) == ("active", "", "pro")
    assert list_grants(ann) == [(1000, "subscription")] * 2


@pytest.mark.parametrize("status", ["unpaid", "canceled"])
def test_a_plan_that_is_never_paid_becomes_the_free_one_and_credits_stay(
    subscribe, fake_stripe, ann, status
):
    row = subscribe()
    fake_stripe.get("subscription", row.stripe_id)["status"] = status
    following.refresh(row)
    assert find_plan(ann) == "free"
    assert ledger.balance(ann).credits == 1000


def test_an_unpaid_plan_that_is_paid_in_the_end_is_back(
    subscribe, pass_time, fake_stripe, tell, ann
):
    row = subscribe()
    spoil_card(fake_stripe, row)
    pass_time()
    fake_stripe.get("subscription", row.stripe_id)["status"] = "unpaid"
    following.refresh(row)
    assert find_plan(ann) == "free"
    pay_invoice(fake_stripe)
    tell()
    assert find_plan(ann) == "pro"


def test_a_plan_that_an_administrator_gave_stays_when_another_one_ends(
    subscribe, fake_stripe, tell, ann
):
    row = subscribe()
    User.objects.filter(pk=ann.pk).update(plan="team")
    fake_stripe.api.subscriptions.cancel(row.stripe_id)
    tell()
    assert find_plan(ann) == "team"


def test_a_price_that_was_changed_in_the_dashboard_gives_nothing_and_is_reviewed(
    subscribe, pass_time, fake_stripe, ann
):
    row = subscribe()
    change_price(fake_stripe, row, amount=1)
    pass_time()
    row.refresh_from_db()
    assert list_grants(ann) == [(1000, "subscription")]
    purchase = Purchase.objects.get(state="review")
    assert (purchase.credits, purchase.total) == (0, 1)
    assert "no price that the buyer agreed to" in purchase.problem
    assert row.problem == states.UNKNOWN_PRICE


def test_a_zero_invoice_gives_nothing_and_is_shown_to_the_operator(
    subscribe, pass_time, fake_stripe, ann
):
    row = subscribe()
    change_price(fake_stripe, row, amount=0)
    pass_time()
    row.refresh_from_db()
    assert list_grants(ann) == [(1000, "subscription")]
    assert Purchase.objects.count() == 1
    assert "is over nothing" in row.problem


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("amount_paid", 1500, "1500 of 2000 was paid"),
        ("total", 1999, "is over 1999 and 2000 was agreed"),
        ("currency", "thb", "currency"),
        ("livemode", True, "livemode"),
        ("billing_reason", "manual", "because of 'manual'"),
        ("payments", {"object": "list", "data": []}, "No payment"),
    ],
)
def test_an_invoice_that_differs_from_what_was_agreed_is_reviewed(
    begin, fake_stripe, ann, monkeypatch, field, value, problem
):
    from credits.stripe_api import subscriptions as stripe

    row = begin()
    fake_stripe.pay(row.checkout_session)
    fetch = stripe.fetch_invoice
    monkeypatch.setattr(stripe, "fetch_invoice", lambda name: {**fetch(name), field: value})
    following.refresh(row)
    purchase = Purchase.objects.get()
    assert (purchase.state, purchase.transaction) == ("review", None)
    assert problem in purchase.problem
    assert list_grants(ann) == []


def test_with_a_tax_that_stripe_adds_the_total_is_stripes(
    begin, fake_stripe, ann, settings, monkeypatch
):
    from credits.stripe_api import subscriptions as stripe

    row = begin()
    fake_stripe.pay(row.checkout_session)
    settings.TAX_MODE = "stripe"
    fetch_invoice, fetch = stripe.fetch_invoice, stripe.fetch
    taxed = {"total": 2200, "amount_paid": 2200}
    monkeypatch.setattr(stripe, "fetch_invoice", lambda name: {**fetch_invoice(name), **taxed})
    monkeypatch.setattr(
        stripe,
        "fetch",
        lambda name: (
            (found := fetch(name))
            and {**found, "latest_invoice": {**found["latest_invoice"], **taxed}}
        ),
    )
    following.refresh(row)
    purchase = Purchase.objects.get()
    assert (purchase.state, purchase.net, purchase.tax, purchase.total) == ("paid", 2000, 200, 2200)


def test_who_pays_on_the_31st_pays_and_gets_once_for_each_period(begin, fake_stripe, ann):
    with time_machine.travel("2027-01-31 12:00Z", tick=False):
        row = begin()
        fake_stripe.pay(row.checkout_session)
        row = following.refresh(row)
        for _ in range(3):
            fake_stripe.advance(29 * DAY + DAY // 2)
            row = following.refresh(row)
    days = SubscriptionPeriod.objects.order_by("starts_at").values_list("starts_at", "ends_at")
    assert [f"{start:%d.%m.}-{end:%d.%m.}" for start, end in days] == [
        "31.01.-28.02.",
        "28.02.-31.03.",
        "31.03.-30.04.",
    ]
    assert list_grants(ann) == [(1000, "subscription")] * 3


def test_lost_events_are_made_up_for_within_a_day(subscribe, fake_stripe, ann):
    row = subscribe()
    fake_stripe.advance(32 * DAY)
    Subscription.objects.update(checked_at=F("checked_at") - timedelta(days=1, minutes=1))
    call_command("sync_subscriptions")
    row.refresh_from_db()
    assert list_grants(ann) == [(1000, "subscription")] * 2


def test_a_subscription_is_asked_about_once_a_day(subscribe):
    subscribe()
    assert comparison.refresh_due() == 0


def test_a_restored_database_finds_the_plan_and_its_invoices_again(
    begin, fake_stripe, ann, settings
):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    lose_rows()
    call_command("sync_subscriptions")
    found = Subscription.objects.get()
    assert (found.public_id, found.status, found.credits, found.amount, found.user) == (
        row.public_id,
        "active",
        1000,
        2000,
        ann,
    )
    assert list_grants(ann) == [(1000, "subscription")]
    assert find_plan(ann) == "pro"


def test_a_paid_month_of_a_lost_account_is_a_problem(begin, fake_stripe, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    lose_rows()
    User.objects.filter(pk=ann.pk).update(public_id="usr_new")
    compared = payments.compare()
    (invoice,) = fake_stripe.list_objects("invoice")
    assert (compared.problems, invoice["id"] in compared.report) == (1, True)
    User.objects.filter(pk=ann.pk).update(public_id=ann.public_id)
    assert (payments.compare().problems, list_grants(ann)) == (0, [(1000, "subscription")])


def test_a_restored_database_finds_an_upgrade_again(begin, fake_stripe, plans, ann):
    from credits.subscriptions import change

    row = begin()
    fake_stripe.pay(row.checkout_session)
    row = following.refresh(row)
    change.upgrade(
        subscription=row,
        plan=plans["team"],
        form_key="up",
        shown_price=5000,
        shown_credits=plans["team"].monthly_credits,
    )
    SubscriptionPeriod.objects.filter(price__plan="team").update(price=None)
    row.prices.filter(plan="team").delete()
    following.refresh(row)
    assert set(row.prices.values_list("plan", "credits", "amount")) == {
        ("pro", 1000, 2000),
        ("team", 3000, 5000),
    }


def test_the_purchase_of_an_invoice_is_found_by_its_payment(begin, fake_stripe, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    lose_rows()
    (intent,) = fake_stripe.list_objects("payment_intent")
    found = lookup.find_purchase(payment_intent=intent["id"])
    assert found == Purchase.objects.get(state="paid")
    assert lookup.find_purchase(payment_intent=intent["id"]) == found
    assert list_grants(ann) == [(1000, "subscription")]


@pytest.mark.parametrize("credits", ["", "-1", "1e3", "²", "9" * 16, "many"])
def test_metadata_that_somebody_has_edited_make_no_row(begin, fake_stripe, credits):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    lose_rows()
    (found,) = fake_stripe.list_objects("subscription")
    fake_stripe.api.subscriptions.update(found["id"], {"metadata": {"credits": credits}})
    assert comparison.compare_daily() == 0
    assert not Subscription.objects.exists()


def test_what_belongs_to_another_site_is_not_touched(begin, fake_stripe, tell, settings, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    lose_rows()
    settings.STRIPE_SITE = "elsewhere.example.com"
    tell()
    assert comparison.compare_daily() == 0
    assert not Subscription.objects.exists()
    assert list_grants(ann) == []


def test_two_customers_of_one_user_are_both_found(subscribe, fake_stripe, tell, pass_time, ann):
    row = subscribe()
    Customer.objects.update(stripe_customer="cus_another")
    pass_time()
    assert list_grants(ann) == [(1000, "subscription")] * 2
    assert Subscription.objects.get() == row


def test_the_daily_comparison_is_done_once_a_day(fake_stripe):
    assert comparison.compare_daily() == 0
    assert comparison.compare_daily() is None
    JobRun.objects.update(finished_at=F("finished_at") - timedelta(days=1, minutes=1))
    assert comparison.compare_daily() == 0


def test_a_closed_account_is_forgotten_at_stripe_by_the_next_tick(subscribe, fake_stripe, ann):
    row = subscribe()
    account_deletion.close(user=ann, source=UNKNOWN)
    assert closing.list_waiting().count() == 1
    call_command("sync_subscriptions")
    assert closing.list_waiting().count() == 0
    assert fake_stripe.get("subscription", row.stripe_id)["status"] == "canceled"
    assert fake_stripe.list_objects("payment_method", customer=row_customer(ann)) == []
    row.refresh_from_db()
    assert (row.status, row.ended_at is not None) == ("canceled", True)


@pytest.mark.parametrize("status", ["past_due", "unpaid", "paused", "trialing", "incomplete"])
def test_a_closed_account_has_subscriptions_of_every_state_ended(
    subscribe, fake_stripe, ann, status
):
    row = subscribe()
    fake_stripe.get("subscription", row.stripe_id)["status"] = status
    account_deletion.close(user=ann, source=UNKNOWN)
    forgetting.forget_due()
    assert fake_stripe.get("subscription", row.stripe_id)["status"] == "canceled"


def test_a_page_that_is_open_when_the_account_is_closed_cannot_be_paid(begin, fake_stripe, ann):
    row = begin()
    account_deletion.close(user=ann, source=UNKNOWN)
    forgetting.forget_due()
    assert fake_stripe.get("checkout.session", row.checkout_session)["status"] == "expired"


def test_while_stripe_is_away_a_closed_account_stays_an_open_problem(subscribe, fake_stripe, ann):
    subscribe()
    account_deletion.close(user=ann, source=UNKNOWN)
    fake_stripe.break_next("error_before", times=4)
    call_command("sync_subscriptions")
    assert [fact.is_fine for fact in check_subscriptions(Look())] == [False]
    fake_stripe.break_next("none")
    call_command("sync_subscriptions")
    assert [fact.is_fine for fact in check_subscriptions(Look())] == [True]


def test_a_subscription_that_no_row_knows_ends_with_the_account(subscribe, fake_stripe, ann):
    row = subscribe()
    lose_rows()
    account_deletion.close(user=ann, source=UNKNOWN)
    forgetting.forget_due()
    assert fake_stripe.get("subscription", row.stripe_id)["status"] == "canceled"


def test_closing_an_account_that_never_bought_notes_nothing(ann):
    account_deletion.close(user=ann, source=UNKNOWN)
    assert closing.list_waiting().count() == 0


def row_customer(user: User) -> str:
    return Customer.objects.get(user=user).stripe_customer


def lose_rows() -> None:
    """Lose what a database that was restored to yesterday does not know."""
    SubscriptionPeriod.objects.all().delete()
    Purchase.objects.filter(transaction=None).delete()
    SubscriptionPrice.objects.all().delete()
    Subscription.objects.filter(periods=None).delete()


def change_price(fake_stripe, row: Subscription, *, amount: int) -> None:
    """Change the price in Stripe's dashboard, without a proration."""
    item = fake_stripe.get("subscription", row.stripe_id)["items"]["data"][0]
    price = fake_stripe.api.prices.create(
        {
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": "month"},
            "product": item["price"]["product"],
        }
    )
    fake_stripe.api.subscriptions.update(
        row.stripe_id,
        {"items": [{"id": item["id"], "price": price.id}], "proration_behavior": "none"},
    )


def pay_invoice(fake_stripe) -> None:
    """Pay the newest invoice on its page with another card."""
    invoice = fake_stripe.list_objects("invoice")[-1]
    method = fake_stripe.api.payment_methods.attach(
        "pm_card_visa", {"customer": invoice["customer"]}
    )
    fake_stripe.api.invoices.pay(invoice["id"], {"payment_method": method.id})
