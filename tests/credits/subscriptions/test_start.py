"""A plan is begun on Stripe's page, and gives its credits for each paid invoice."""

import pytest

from accounts.models import User
from credits import ledger
from credits.models import (
    Document,
    Grant,
    Purchase,
    Subscription,
    SubscriptionPeriod,
    Transaction,
)
from credits.purchases.refusals import CreditsChanged, NotOnSale, PriceChanged, ShopClosed
from credits.reversals import refund_acts
from credits.reversals.frozen import freeze
from credits.subscriptions import change, following
from credits.subscriptions.invoices import GRACE
from credits.subscriptions.refusals import AlreadySubscribed
from tests.credits.subscriptions.conftest import find_plan, list_grants, open_two_pages


def test_a_plan_that_is_paid_gives_credits_that_expire_after_its_period(subscribe, ann):
    row = subscribe()
    purchase = Purchase.objects.get()
    assert (row.status, purchase.kind, purchase.state, find_plan(ann)) == (
        "active",
        "plan",
        "paid",
        "pro",
    )
    given = Transaction.objects.get(user=ann)
    assert (given.type, given.amount, given.reference_id) == (
        "subscription",
        1000,
        purchase.invoice,
    )
    assert given.idempotency_key == f"inv:{purchase.invoice}"
    assert Grant.objects.get(transaction=given).expires_at == row.period_end + GRACE
    assert purchase.payment_intent.startswith("pi_")


def test_only_cards_are_offered_and_the_page_can_be_paid_for_an_hour(begin, fake_stripe):
    row = begin()
    session = fake_stripe.get("checkout.session", row.checkout_session)
    assert session["allowed_payment_method_types"] == session["payment_method_types"] == ["card"]
    assert session["expires_at"] == int(row.expires_at.timestamp())
    assert row.checkout_url == session["url"]


def test_the_same_form_leads_to_the_same_page(begin, fake_stripe):
    assert begin() == begin()
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_the_form_of_somebody_else_is_another_form(begin, make_user):
    bob = make_user("bob@example.com")
    assert begin() != begin(user=bob)


def test_a_lost_answer_is_asked_for_again_and_opens_one_page(begin, fake_stripe):
    fake_stripe.lose_next_answer("/v1/checkout/sessions")
    row = begin()
    assert row.checkout_session
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_who_has_a_plan_does_not_begin_a_second_one(subscribe, begin):
    subscribe()
    with pytest.raises(AlreadySubscribed):
        begin("team", form_key="another")


@pytest.mark.parametrize("changes", [{"currency": "eur"}, {"slug": "mini"}])
def test_what_is_not_on_sale_is_refused(begin, plans, changes):
    plans["mini"].prices.update(is_active=False)
    with pytest.raises(NotOnSale):
        begin(**changes)


def test_a_price_that_the_page_did_not_show_is_refused(begin):
    with pytest.raises(PriceChanged):
        begin(shown_price=1999)


def test_other_credits_than_the_page_showed_are_refused(begin, plans):
    with pytest.raises(CreditsChanged) as raised:
        begin(shown_credits=plans["pro"].monthly_credits + 1)
    assert raised.value.credits == plans["pro"].monthly_credits


def test_a_frozen_buyer_begins_no_plan(begin, ann):
    freeze(ann, "disputed")
    with pytest.raises(ShopClosed):
        begin()


def test_an_edit_of_the_plan_changes_no_running_subscription(subscribe, plans, pass_time, ann):
    subscribe()
    plans["pro"].prices.update(amount=9900)
    plans["pro"].monthly_credits = 5
    plans["pro"].save()
    pass_time()
    assert list_grants(ann) == [(1000, "subscription")] * 2


def test_every_month_is_a_purchase_and_a_period(subscribe, pass_time, ann):
    row = subscribe()
    for _ in range(3):
        pass_time()
    assert list_grants(ann) == [(1000, "subscription")] * 4
    periods = list(SubscriptionPeriod.objects.order_by("starts_at"))
    assert [one.ends_at for one in periods[:-1]] == [one.starts_at for one in periods[1:]]
    row.refresh_from_db()
    assert row.period_end == periods[-1].ends_at


@pytest.mark.parametrize("reverse", [False, True])
def test_events_in_any_order_and_many_times_give_once(begin, fake_stripe, tell, ann, reverse):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    tell(reverse=reverse)
    for _ in range(3):
        following.refresh(row)
    assert list_grants(ann) == [(1000, "subscription")]


def test_without_any_event_the_return_page_gives_the_credits(begin, fake_stripe, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    assert following.refresh(row).status == "active"
    assert list_grants(ann) == [(1000, "subscription")]


def test_a_page_that_nobody_pays_expires(begin, pass_time):
    row = begin()
    pass_time(2 * 3600)
    row.refresh_from_db()
    assert row.status == "expired"


def test_a_page_that_its_buyer_gives_up_cannot_be_paid(begin, fake_stripe):
    row = following.give_up(begin())
    assert row.status == "expired"
    assert fake_stripe.get("checkout.session", row.checkout_session)["status"] == "expired"


def test_a_page_that_was_paid_before_it_is_given_up_begins_the_plan(begin, fake_stripe, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    assert following.give_up(row).status == "active"
    assert find_plan(ann) == "pro"


def test_a_plan_paid_twice_from_two_tabs_is_paid_back_once(begin, fake_stripe, tell, ann):
    rows = open_two_pages(begin)
    for row in rows:
        fake_stripe.pay(row.checkout_session)
    tell()
    assert list_grants(ann) == [(1000, "subscription")]
    states = sorted(Purchase.objects.values_list("state", flat=True))
    assert states == ["paid", "returned"]
    (refund,) = fake_stripe.list_objects("refund")
    returned = Purchase.objects.get(state="returned")
    assert (refund["payment_intent"], refund["amount"]) == (returned.payment_intent, 2000)
    statuses = {one["status"] for one in fake_stripe.list_objects("subscription")}
    assert statuses == {"active", "canceled"}
    assert sorted(Subscription.objects.values_list("status", flat=True)) == ["active", "canceled"]
    assert find_plan(ann) == "pro"


def test_a_plan_paid_by_a_closed_account_is_paid_back_and_ends(begin, fake_stripe, tell, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    close(ann)
    tell()
    row.refresh_from_db()
    assert (row.status, Purchase.objects.get().state) == ("canceled", "returned")
    assert list_grants(ann) == []
    assert len(fake_stripe.list_objects("refund")) == 1


def close(user: User) -> None:
    from accounts.access import account_deletion
    from accounts.toolbox.request_source import UNKNOWN

    account_deletion.close(user=user, source=UNKNOWN)


def test_a_plan_with_a_tax_that_stripe_adds_is_paid_renewed_upgraded_and_refunded(
    subscribe, pass_time, fake_stripe, ann, settings, plans
):
    settings.TAX_MODE = "stripe"
    row = subscribe()
    pass_time()
    change.upgrade(
        subscription=row, plan=plans["team"], form_key="up", shown_price=5000, shown_credits=3000
    )
    paid = list(Purchase.objects.order_by("pk").values_list("state", "net", "tax", "total"))
    assert paid == [("paid", 2000, 200, 2200)] * 2 + [("paid", 5000, 500, 5500)]
    assert [each.facts["tax"] for each in Document.objects.order_by("pk")] == [200, 200, 500]
    assert list_grants(ann)[-1] == (3000, "subscription")
    last = Purchase.objects.latest("pk")
    done = refund_acts.refund(last, 5500, None, "All of it", None, "k")
    assert (done.state, ledger.balance(ann).credits) == ("accepted", 2000)


def test_a_closed_account_gets_the_tax_back_too(begin, fake_stripe, tell, ann, settings):
    settings.TAX_MODE = "stripe"
    row = begin()
    fake_stripe.pay(row.checkout_session)
    close(ann)
    tell()
    assert fake_stripe.list_objects("refund")[0]["amount"] == 2200
