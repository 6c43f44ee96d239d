"""A running plan becomes dearer at once, and cheaper or none with its next period."""

import pytest

from accounts.models import OutgoingMail
from credits.models import Purchase
from credits.purchases.refusals import PriceChanged
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import StripeRefused
from credits.subscriptions import change, following, portal, states
from credits.subscriptions.refusals import (
    ChangeRefused,
    EndsAlready,
    NotHigher,
    NotLower,
    NotSubscribed,
    UnpaidInvoice,
)
from tests.credits.subscriptions.conftest import (
    DAY,
    PRICES,
    find_plan,
    list_grants,
    spoil_card,
)


@pytest.fixture
def upgrade(plans):
    return lambda row, slug="team", **changes: change.upgrade(**ask(row, plans, slug, changes))


@pytest.fixture
def downgrade(plans):
    return lambda row, slug="mini", **changes: change.downgrade(**ask(row, plans, slug, changes))


def ask(row, plans, slug, changes):
    return {
        "subscription": row,
        "plan": plans[slug],
        "form_key": f"change to {slug}",
        "shown_price": PRICES[slug][1],
        "shown_credits": plans[slug].monthly_credits,
        **changes,
    }


def test_an_upgrade_is_paid_in_full_and_the_old_credits_stay(
    subscribe, upgrade, fake_stripe, pass_time, tell, ann
):
    row = subscribe()
    pass_time(10 * DAY)
    row = upgrade(row)
    tell()
    assert (row.plan_id, row.amount, row.credits, find_plan(ann)) == ("team", 5000, 3000, "team")
    assert list_grants(ann) == [(1000, "subscription"), (3000, "subscription")]
    paid = Purchase.objects.order_by("pk").values_list("total", flat=True)
    assert list(paid) == [2000, 5000]
    assert row.period_start.timestamp() == pytest.approx(fake_stripe.now, abs=5)


def test_after_an_upgrade_the_new_price_is_paid_each_month(subscribe, upgrade, pass_time, ann):
    upgrade(subscribe())
    pass_time()
    assert [amount for amount, _ in list_grants(ann)] == [1000, 3000, 3000]


def test_an_upgrade_that_is_sent_twice_is_paid_once(subscribe, upgrade, fake_stripe, ann):
    row = subscribe()
    assert upgrade(row) == upgrade(row)
    assert [amount for amount, _ in list_grants(ann)] == [1000, 3000]
    assert len(fake_stripe.list_objects("invoice")) == 2


def test_a_lost_answer_to_an_upgrade_is_asked_for_again(subscribe, upgrade, fake_stripe, ann):
    row = subscribe()
    fake_stripe.lose_next_answer("/v1/subscriptions")
    upgrade(row)
    assert [amount for amount, _ in list_grants(ann)] == [1000, 3000]


def test_a_declined_upgrade_leaves_the_plan_and_shows_where_to_pay(
    subscribe, upgrade, fake_stripe, tell, ann
):
    row = subscribe()
    spoil_card(fake_stripe, row)
    row = upgrade(row)
    tell()
    row.refresh_from_db()
    assert (row.plan_id, find_plan(ann), row.status) == ("pro", "pro", "active")
    assert row.invoice_url == fake_stripe.list_objects("invoice")[-1]["hosted_invoice_url"]
    with pytest.raises(UnpaidInvoice) as refused:
        upgrade(row, form_key="again")
    assert refused.value.url == row.invoice_url


def test_a_declined_upgrade_that_is_paid_later_takes_effect(
    subscribe, upgrade, fake_stripe, tell, ann
):
    row = subscribe()
    spoil_card(fake_stripe, row)
    upgrade(row)
    pay_invoice(fake_stripe)
    tell()
    row.refresh_from_db()
    assert (find_plan(ann), row.plan_id, row.invoice_url) == ("team", "team", "")
    assert [amount for amount, _ in list_grants(ann)] == [1000, 3000]


def test_a_declined_upgrade_that_is_not_paid_is_forgotten(
    subscribe, upgrade, fake_stripe, pass_time, ann
):
    row = subscribe()
    spoil_card(fake_stripe, row)
    upgrade(row)
    pass_time(DAY)
    row.refresh_from_db()
    assert (find_plan(ann), row.next_plan, row.invoice_url) == ("pro", None, "")


def test_a_downgrade_begins_with_the_next_period(subscribe, downgrade, pass_time, ann):
    row = downgrade(subscribe())
    assert (row.plan_id, row.next_plan_id, find_plan(ann)) == ("pro", "mini", "pro")
    pass_time()
    row.refresh_from_db()
    assert (row.plan_id, row.next_plan_id, row.amount, find_plan(ann)) == (
        "mini",
        None,
        500,
        "mini",
    )
    assert [amount for amount, _ in list_grants(ann)] == [1000, 100]


def test_a_downgrade_is_taken_back(subscribe, downgrade, pass_time, ann):
    row = change.resume(downgrade(subscribe()))
    assert row.next_plan is None
    pass_time()
    assert [amount for amount, _ in list_grants(ann)] == [1000, 1000]


def test_an_upgrade_after_a_downgrade_counts_from_the_plan_that_is_paid(
    subscribe, upgrade, downgrade, ann
):
    row = upgrade(downgrade(subscribe()))
    assert (row.plan_id, row.next_plan) == ("team", None)


def test_a_cancelled_plan_goes_on_to_the_end_of_its_period(subscribe, pass_time, ann):
    row = change.cancel(subscribe())
    assert (row.cancels_at_end, find_plan(ann)) == (True, "pro")
    pass_time()
    row.refresh_from_db()
    assert (row.status, find_plan(ann)) == ("canceled", "free")
    assert list_grants(ann) == [(1000, "subscription")]
    subjects = OutgoingMail.objects.values_list("subject", flat=True)
    assert [each for each in subjects if "ended" in each] == ["SmartSpec: Your plan Pro has ended"]


def test_a_cancelled_plan_is_taken_back_and_cancelled_again(subscribe, pass_time, ann):
    row = change.cancel(change.resume(change.cancel(subscribe())))
    assert row.cancels_at_end
    row = change.resume(row)
    pass_time()
    assert len(list_grants(ann)) == 2


def test_a_plan_that_ends_is_not_changed(subscribe, upgrade):
    row = change.cancel(subscribe())
    with pytest.raises(EndsAlready):
        upgrade(row)


def test_a_plan_that_has_ended_is_not_changed(subscribe, upgrade, fake_stripe):
    row = subscribe()
    fake_stripe.api.subscriptions.cancel(row.stripe_id)
    for act in (change.cancel, change.resume, upgrade):
        with pytest.raises(NotSubscribed):
            act(row)


def test_the_direction_of_a_change_is_checked(subscribe, upgrade, downgrade):
    row = subscribe()
    for slug in ("mini", "pro"):
        with pytest.raises(NotHigher):
            upgrade(row, slug)
    with pytest.raises(NotLower):
        downgrade(row, "team")


def test_a_price_that_the_page_did_not_show_is_not_agreed_to(subscribe, upgrade):
    row = subscribe()
    with pytest.raises(PriceChanged):
        upgrade(row, shown_price=4999)
    assert row.prices.count() == 1


def test_an_item_that_was_replaced_in_the_dashboard_is_the_one_that_changes(
    subscribe, upgrade, fake_stripe
):
    row = subscribe()
    fake_stripe.get("subscription", row.stripe_id)["items"]["data"][0]["id"] = "si_another"
    assert upgrade(row).plan_id == "team"


def test_a_change_that_stripe_refuses_has_no_effect(subscribe, upgrade, monkeypatch, ann):
    row = subscribe()

    def refuse(*_args, **_options):
        raise StripeRefused("No", code="", decline_code="", status=400, payment_intent={})

    monkeypatch.setattr(stripe, "update", refuse)
    with pytest.raises(ChangeRefused):
        upgrade(row)
    assert (find_plan(ann), list_grants(ann)) == ("pro", [(1000, "subscription")])


def test_the_portal_offers_card_invoices_and_the_end_and_no_change_of_plan(
    subscribe, fake_stripe, ann, settings
):
    subscribe()
    url = portal.open_portal(ann)
    assert portal.open_portal(ann) != url
    (configuration,) = fake_stripe.list_objects("billing_portal.configuration")
    features = configuration["features"]
    offered = {name for name, feature in features.items() if feature["enabled"]}
    assert offered == {"invoice_history", "payment_method_update", "subscription_cancel"}
    (session, _) = fake_stripe.list_objects("billing_portal.session")
    assert session["return_url"] == f"{settings.PUBLIC_ORIGIN}/account/credits/plan"


def test_a_plan_that_is_cancelled_in_the_portal_ends_here_too(subscribe, fake_stripe, tell):
    row = subscribe()
    fake_stripe.api.subscriptions.update(row.stripe_id, {"cancel_at_period_end": True})
    tell()
    row.refresh_from_db()
    assert row.cancels_at_end


def test_who_has_no_plan_any_more_begins_another_one(subscribe, fake_stripe, tell, ann):
    row = subscribe()
    fake_stripe.api.subscriptions.cancel(row.stripe_id)
    tell()
    assert find_plan(ann) == "free"
    subscribe("team", form_key="second")
    assert find_plan(ann) == "team"


def test_a_late_answer_does_not_undo_a_later_one(subscribe, fake_stripe, ann):
    row = subscribe()
    early = fake_stripe.get("subscription", row.stripe_id).copy()
    asked_at = row.checked_at
    fake_stripe.api.subscriptions.update(row.stripe_id, {"cancel_at_period_end": True})
    following.refresh(row)
    assert states.apply(row, early, asked_at).cancels_at_end


def pay_invoice(fake_stripe) -> None:
    """Pay the newest invoice on its page with another card."""
    invoice = fake_stripe.list_objects("invoice")[-1]
    method = fake_stripe.api.payment_methods.attach(
        "pm_card_visa", {"customer": invoice["customer"]}
    )
    fake_stripe.api.invoices.pay(invoice["id"], {"payment_method": method.id})
