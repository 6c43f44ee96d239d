"""Subscriptions of the fake Stripe, driven with Stripe's own SDK and its clock."""

from typing import Any

import pytest
import stripe

from tests.stripe import FakeStripe

DAY = 24 * 3600
RECURRING = {"interval": "month"}


def sell_plan(fake: FakeStripe, amount: int = 2000) -> Any:
    """Sell a plan by the month on the hosted page and return its subscription."""
    customer = fake.api.customers.create({"email": "ann@example.com"})
    product = {"name": "Pro"}
    price = {
        "currency": "usd",
        "unit_amount": amount,
        "recurring": RECURRING,
        "product_data": product,
    }
    session = fake.api.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "success_url": "http://testserver/back",
            "line_items": [{"price_data": price, "quantity": 1}],
            "subscription_data": {"metadata": {"site": "here"}},
        }
    )
    paid = fake.pay(session.id)
    return fake.api.subscriptions.retrieve(paid["subscription"])


def list_invoices(fake: FakeStripe, subscription: str) -> list[tuple[str, str, int]]:
    """Return status, reason and amount of the invoices, the oldest first."""
    found = fake.api.invoices.list({"subscription": subscription}).data[::-1]
    return [(one.status, one.billing_reason, one.amount_due) for one in found]


def make_price(fake: FakeStripe, amount: int) -> str:
    product = fake.api.products.create({"name": f"Plan of {amount}"})
    values = {"product": product.id, "currency": "usd", "unit_amount": amount}
    price = fake.api.prices.create({**values, "recurring": RECURRING})
    return str(price.id)


def upgrade(fake: FakeStripe, subscription: Any, amount: int, **more: Any) -> Any:
    item = subscription["items"].data[0].id
    return fake.api.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item, "price": make_price(fake, amount)}],
            "proration_behavior": "none",
            "billing_cycle_anchor": {"type": "now"},
            "payment_behavior": "pending_if_incomplete",
            **more,
        },
    )


def use_failing_card(fake: FakeStripe, subscription: Any) -> None:
    card = fake.api.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": subscription.customer}
    )
    fake.api.subscriptions.update(subscription.id, {"default_payment_method": card.id})


def test_a_sold_plan_has_a_paid_invoice_that_names_its_payment(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    assert (subscription.status, subscription.metadata["site"]) == ("active", "here")
    invoice = fake_stripe.api.invoices.retrieve(subscription.latest_invoice)
    assert invoice.parent.subscription_details.subscription == subscription.id
    payments = fake_stripe.api.invoice_payments.list({"invoice": invoice.id}).data
    intent = payments[0].payment.payment_intent
    found = fake_stripe.api.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": intent}}
    )
    assert [one.invoice for one in found.data] == [invoice.id]


def test_a_month_later_the_next_invoice_is_a_draft_and_then_paid(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    end = subscription["items"].data[0].current_period_end
    fake_stripe.advance(end - fake_stripe.now + 60)
    assert list_invoices(fake_stripe, subscription.id)[1] == ("draft", "subscription_cycle", 2000)
    fake_stripe.advance(3600)
    assert list_invoices(fake_stripe, subscription.id)[1] == ("paid", "subscription_cycle", 2000)
    renewed = fake_stripe.api.subscriptions.retrieve(subscription.id)
    assert renewed["items"].data[0].current_period_start == end


def test_what_cannot_be_paid_is_past_due_and_ends_after_four_tries(
    fake_stripe: FakeStripe,
) -> None:
    subscription = sell_plan(fake_stripe)
    use_failing_card(fake_stripe, subscription)
    fake_stripe.advance(32 * DAY)
    states = []
    for days in (0, 3, 2, 2):
        fake_stripe.advance(days * DAY)
        states.append(fake_stripe.get("subscription", subscription.id)["status"])
    assert states == ["past_due", "past_due", "past_due", "canceled"]
    assert len(fake_stripe.list_events("invoice.payment_failed")) == 4


@pytest.mark.parametrize("end", ["unpaid", "past_due"])
def test_the_account_may_say_that_an_unpaid_plan_goes_on(fake_stripe: FakeStripe, end: str) -> None:
    fake_stripe.act("dunning", end=end)
    subscription = sell_plan(fake_stripe)
    use_failing_card(fake_stripe, subscription)
    fake_stripe.advance(50 * DAY)
    assert fake_stripe.get("subscription", subscription.id)["status"] == end
    invoice = fake_stripe.get("subscription", subscription.id)["latest_invoice"]
    fake_stripe.api.invoices.pay(invoice, {"payment_method": "pm_card_visa"})
    assert fake_stripe.get("subscription", subscription.id)["status"] == "active"


def test_an_upgrade_is_invoiced_in_full_and_begins_a_month(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    fake_stripe.advance(10 * DAY)
    upgraded = upgrade(fake_stripe, subscription, 5000)
    item = upgraded["items"].data[0]
    assert (item.price.unit_amount, upgraded.pending_update) == (5000, None)
    assert item.current_period_start == pytest.approx(fake_stripe.now, abs=5)
    assert list_invoices(fake_stripe, subscription.id)[1] == ("paid", "subscription_update", 5000)


def test_an_upgrade_that_is_not_paid_waits_and_expires(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    use_failing_card(fake_stripe, subscription)
    waiting = upgrade(fake_stripe, subscription, 5000)
    assert waiting.pending_update is not None
    assert waiting["items"].data[0].price.unit_amount == 2000
    fake_stripe.advance(DAY)
    after = fake_stripe.api.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, after.status) == (None, "active")
    assert list_invoices(fake_stripe, subscription.id)[1][0] == "void"


def test_an_upgrade_that_is_paid_later_applies(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    use_failing_card(fake_stripe, subscription)
    waiting = upgrade(fake_stripe, subscription, 5000)
    fake_stripe.api.invoices.pay(waiting.latest_invoice, {"payment_method": "pm_card_visa"})
    after = fake_stripe.api.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, after["items"].data[0].price.unit_amount) == (None, 5000)


def test_a_forgotten_item_id_adds_a_second_item(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    changed = upgrade(
        fake_stripe, subscription, 5000, items=[{"price": make_price(fake_stripe, 5000)}]
    )
    assert len(changed["items"].data) == 2


def test_without_proration_none_the_old_month_is_credited(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    upgrade(fake_stripe, subscription, 5000, proration_behavior="create_prorations")
    amount = list_invoices(fake_stripe, subscription.id)[1][2]
    assert 2990 <= amount <= 3010


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"billing_cycle_anchor": "now"}, "billing_cycle_anchor"),
        (
            {"payment_behavior": "pending_if_incomplete", "metadata": {"a": "b"}},
            "metadata",
        ),
        ({"proration_behavior": "never"}, "proration_behavior"),
        ({"items": [{"id": "si_unknown", "quantity": 2}]}, "items[0][id]"),
    ],
)
def test_what_stripe_does_not_take_is_refused(
    fake_stripe: FakeStripe, given: Any, param: str
) -> None:
    subscription = sell_plan(fake_stripe)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        fake_stripe.api.subscriptions.update(subscription.id, given)
    assert raised.value.param == param


def test_a_cancelled_plan_runs_to_the_end_of_its_month(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    changed = fake_stripe.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert changed.cancel_at == changed["items"].data[0].current_period_end
    fake_stripe.advance(32 * DAY)
    assert fake_stripe.get("subscription", subscription.id)["status"] == "canceled"
    assert len(list_invoices(fake_stripe, subscription.id)) == 1
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        fake_stripe.api.subscriptions.cancel(subscription.id)


def test_deleting_a_customer_ends_the_subscriptions(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    deleted = fake_stripe.api.customers.delete(subscription.customer)
    assert deleted.deleted
    assert fake_stripe.get("subscription", subscription.id)["status"] == "canceled"


def test_a_customer_has_one_currency_while_a_plan_runs(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    price = {
        "currency": "thb",
        "unit_amount": 35000,
        "recurring": RECURRING,
        "product_data": {"name": "Pro"},
    }
    with pytest.raises(stripe.InvalidRequestError, match="combine currencies"):
        fake_stripe.api.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": subscription.customer,
                "success_url": "http://testserver/back",
                "line_items": [{"price_data": price, "quantity": 1}],
            }
        )
