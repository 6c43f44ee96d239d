"""Checkout sessions of the fake Stripe: what may be in one, and how one ends."""

from typing import Any

import pytest
import stripe

from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.stripe import FakeStripe

PRICE = {"currency": "usd", "unit_amount": 1200, "product_data": {"name": "1,000 credits"}}
MONTHLY = {**PRICE, "recurring": {"interval": "month"}}


def line(price: Any, quantity: int = 1) -> Any:
    return {"price_data": price, "quantity": quantity}


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({"success_url": None}, "success_url", "Missing required param"),
        ({"success_url": "back"}, "success_url", "Not a valid URL"),
        ({"line_items": None}, "line_items", "Missing required param"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0]", "one of `price` or `price_data`"),
        ({"line_items": [line(PRICE, 0)]}, "line_items[0][quantity]", "must be positive"),
        ({"line_items": [line({**PRICE, "unit_amount": 49})]}, None, r"at least \$0.50 usd"),
        ({"line_items": [line(MONTHLY)]}, "mode", "passed a recurring price"),
        ({"mode": "subscription", "payment_intent_data": None}, "mode", "at least one recurring"),
        ({"mode": "subscription"}, "payment_intent_data", "only use `payment_intent_data`"),
        ({"subscription_data": {"metadata": {}, "description": "x"}}, "subscription_data", "only"),
        ({"client_reference_id": "x" * 201}, "client_reference_id", "at most 200"),
        ({"customer": "cus_nobody"}, "customer", "No such customer"),
        ({"payment_method_types": ["card"]}, "payment_method_types", "unknown parameter"),
        ({"allowed_payment_method_types": ["promptpay"]}, "allowed_payment_method_types", "No val"),
        ({"discounts": [{"coupon": "x"}]}, "discounts", "does not know discounts"),
    ],
)
def test_what_does_not_go_together_is_refused(
    fake_stripe: FakeStripe, given: Any, param: str | None, words: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=words) as raised:
        make_session(fake_stripe, **given)
    assert raised.value.param == param
    assert fake_stripe.list_objects("checkout.session") == []


@pytest.mark.parametrize(
    ("seconds", "fits"), [(1799, False), (1810, True), (86390, True), (86460, False)]
)
def test_a_session_lives_for_30_minutes_to_a_day(
    fake_stripe: FakeStripe, seconds: int, fits: bool
) -> None:
    expires_at = fake_stripe.now + seconds
    if fits:
        assert make_session(fake_stripe, expires_at=expires_at).expires_at == expires_at
    else:
        with pytest.raises(stripe.InvalidRequestError, match="timestamp must be"):
            make_session(fake_stripe, expires_at=expires_at)


def test_lines_have_one_currency(fake_stripe: FakeStripe) -> None:
    lines = [line(PRICE), line({**PRICE, "currency": "thb"})]
    with pytest.raises(stripe.InvalidRequestError, match="same currency"):
        make_session(fake_stripe, line_items=lines)


def test_a_session_expires_by_the_clock_or_when_it_is_asked_to(fake_stripe: FakeStripe) -> None:
    early, late = make_session(fake_stripe), make_session(fake_stripe)
    fake_stripe.pay(early.id, "chargeDeclined")
    intent = fake_stripe.get("checkout.session", early.id)["payment_intent"]
    assert fake_stripe.api.checkout.sessions.expire(early.id).url is None
    assert fake_stripe.get("payment_intent", intent)["status"] == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="status of expired"):
        fake_stripe.api.checkout.sessions.expire(early.id)
    fake_stripe.advance(24 * 3600 + 1)
    assert fake_stripe.get("checkout.session", late.id)["status"] == "expired"
    expired = fake_stripe.list_events("checkout.session.expired")
    assert [event["created"] for event in expired][1] == late.expires_at


def test_a_paid_session_does_not_expire(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    fake_stripe.pay(session.id)
    with pytest.raises(stripe.InvalidRequestError, match="status of complete"):
        fake_stripe.api.checkout.sessions.expire(session.id)
    fake_stripe.advance(2 * 24 * 3600)
    assert fake_stripe.get("checkout.session", session.id)["status"] == "complete"


def test_methods_that_do_not_fit_are_left_out_without_a_word(fake_stripe: FakeStripe) -> None:
    both: Any = {"allowed_payment_method_types": ["card", "promptpay"]}
    data = {"setup_future_usage": "off_session"}
    assert make_session(fake_stripe, **both).payment_method_types == ["card"]
    thb = make_session(fake_stripe, 35000, "thb", **both)
    assert thb.payment_method_types == ["card", "promptpay"]
    saved = make_session(fake_stripe, 35000, "thb", **both, payment_intent_data=data)
    assert saved.payment_method_types == ["card"]


def test_saving_only_cards_keeps_promptpay(fake_stripe: FakeStripe) -> None:
    customer = fake_stripe.api.customers.create({"email": "ann@example.com"})
    session = make_session(
        fake_stripe,
        35000,
        "thb",
        customer=customer.id,
        payment_method_options={"card": {"setup_future_usage": "off_session"}},
    )
    assert session.payment_method_types == ["card", "promptpay"]
    fake_stripe.pay(session.id, "authenticationRequiredOnSetup")
    cards = fake_stripe.api.customers.payment_methods.list(customer.id).data
    assert [one.card.last4 for one in cards] == ["3155"]
    paid = fake_stripe.api.payment_intents.create(
        {
            "amount": 35000,
            "currency": "thb",
            "customer": customer.id,
            "payment_method": cards[0].id,
            "off_session": True,
            "confirm": True,
        }
    )
    assert paid.status == "succeeded"


def test_a_card_that_was_not_saved_belongs_to_nobody(fake_stripe: FakeStripe) -> None:
    customer = fake_stripe.api.customers.create({})
    fake_stripe.pay(make_session(fake_stripe, customer=customer.id).id)
    assert fake_stripe.api.customers.payment_methods.list(customer.id).data == []


def test_automatic_tax_is_added_when_the_place_is_known(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe, automatic_tax={"enabled": True})
    assert (session.amount_total, session.automatic_tax.status) == (
        1200,
        "requires_location_inputs",
    )
    paid = fake_stripe.pay(session.id)
    assert (paid["amount_subtotal"], paid["amount_total"]) == (1200, 1320)
    assert paid["total_details"]["amount_tax"] == 120
    assert fake_stripe.get("payment_intent", paid["payment_intent"])["amount"] == 1320


def test_a_deleted_customer_buys_nothing(fake_stripe: FakeStripe) -> None:
    customer = fake_stripe.api.customers.create({})
    fake_stripe.api.customers.delete(customer.id)
    assert fake_stripe.api.customers.retrieve(customer.id).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        make_session(fake_stripe, customer=customer.id)


def test_sessions_are_found_by_their_payment(fake_stripe: FakeStripe) -> None:
    one, _other = make_session(fake_stripe), make_session(fake_stripe)
    intent = fake_stripe.pay(one.id)["payment_intent"]
    found = fake_stripe.api.checkout.sessions.list({"payment_intent": intent}).data
    assert [session.id for session in found] == [one.id]
    items = fake_stripe.api.checkout.sessions.line_items.list(one.id).data
    assert [(item.description, item.amount_total) for item in items] == [("1,000 credits", 1200)]


def test_nothing_is_paid_twice(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    fake_stripe.pay(session.id)
    with pytest.raises(RefusedAct, match="is complete"):
        fake_stripe.pay(session.id)
    assert len(fake_stripe.list_objects("charge")) == 1
