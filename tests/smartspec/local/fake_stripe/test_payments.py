"""Payments of the fake Stripe, driven with Stripe's own SDK."""

from typing import Any

import pytest
import stripe

from tests.stripe import FakeStripe

Json = dict[str, Any]


def make_session(fake: FakeStripe, amount: int = 1200, currency: str = "usd", **more: Any) -> Any:
    product = {"name": "1,000 credits"}
    price = {"currency": currency, "unit_amount": amount, "product_data": product}
    return fake.api.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://testserver/back?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://testserver/leave",
            "line_items": [{"price_data": price, "quantity": 1}],
            "client_reference_id": "abc",
            "payment_intent_data": {"metadata": {"purchase": "abc"}},
            **more,
        }
    )


def test_a_session_is_paid_by_card(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    assert (session.status, session.payment_status, session.payment_intent) == (
        "open",
        "unpaid",
        None,
    )
    fake_stripe.pay(session.id)
    paid = fake_stripe.api.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    intent = paid.payment_intent
    assert (intent.status, intent.amount_received, intent.metadata["purchase"]) == (
        "succeeded",
        1200,
        "abc",
    )
    assert intent.latest_charge.paid


def test_a_declined_card_leaves_the_session_open(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    fake_stripe.pay(session.id, "chargeDeclinedInsufficientFunds")
    after = fake_stripe.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (after.status, after.payment_status) == ("open", "unpaid")
    error = after.payment_intent.last_payment_error
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    fake_stripe.pay(session.id)
    assert fake_stripe.get("payment_intent", after.payment_intent.id)["status"] == "succeeded"


def test_promptpay_may_take_its_time_and_fail(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe, 35000, "thb")
    assert session.payment_method_types == ["card", "promptpay"]
    fake_stripe.pay_promptpay(session.id, "processing")
    after = fake_stripe.api.checkout.sessions.retrieve(session.id)
    assert (after.status, after.payment_status) == ("complete", "unpaid")
    fake_stripe.settle(session.id, "failed")
    types = [event["type"] for event in fake_stripe.list_events()]
    assert types[-1] == "checkout.session.async_payment_failed"


def test_off_session_a_bank_may_want_to_see_the_buyer(fake_stripe: FakeStripe) -> None:
    customer = fake_stripe.api.customers.create({"email": "ann@example.com"})
    with pytest.raises(stripe.CardError) as raised:
        fake_stripe.api.payment_intents.create(
            {
                "amount": 1200,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": "pm_card_authenticationRequired",
                "off_session": True,
                "confirm": True,
            }
        )
    error: Any = raised.value.error
    assert (error.code, error.decline_code) == (("authentication_required",) * 2)
    assert error.payment_intent.status == "requires_payment_method"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_declined_cards_say_why(
    fake_stripe: FakeStripe, card: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as raised:
        fake_stripe.api.payment_intents.create(
            {"amount": 1200, "currency": "usd", "payment_method": card, "confirm": True}
        )
    error: Any = raised.value.error
    assert (error.type, error.code) == ("card_error", code)
    assert getattr(error, "decline_code", None) == decline_code
    assert fake_stripe.get("charge", error.charge)["failure_code"] == code


def test_a_card_of_somebody_else_or_a_forgotten_one_cannot_be_charged(
    fake_stripe: FakeStripe,
) -> None:
    ann, bob = (fake_stripe.api.customers.create({}).id for _ in range(2))
    card = fake_stripe.api.payment_methods.attach("pm_card_visa", {"customer": ann}).id
    given = {"amount": 1200, "currency": "usd", "payment_method": card, "confirm": True}
    with pytest.raises(stripe.InvalidRequestError, match="belongs to a customer"):
        fake_stripe.api.payment_intents.create({**given, "customer": bob})
    fake_stripe.api.payment_methods.detach(card)
    with pytest.raises(stripe.InvalidRequestError, match="previously used or detached"):
        fake_stripe.api.payment_intents.create({**given, "customer": ann})


def test_an_intent_is_cancelled_once_and_never_when_it_is_paid(fake_stripe: FakeStripe) -> None:
    given = {"amount": 1200, "currency": "usd"}
    intent = fake_stripe.api.payment_intents.create(given).id
    assert fake_stripe.api.payment_intents.cancel(intent).status == "canceled"
    paid = fake_stripe.api.payment_intents.create(
        {**given, "payment_method": "pm_card_visa", "confirm": True}
    )
    for one in (intent, paid.id):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            fake_stripe.api.payment_intents.cancel(one)
        assert raised.value.code == "payment_intent_unexpected_state"


def test_an_intent_can_be_confirmed_later_with_another_card(fake_stripe: FakeStripe) -> None:
    intent = fake_stripe.api.payment_intents.create({"amount": 1200, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        fake_stripe.api.payment_intents.confirm(intent.id)
    for card, status in (
        ("pm_card_chargeDeclined", None),
        ("pm_card_authenticationRequired", "requires_action"),
        ("pm_card_visa", "succeeded"),
    ):
        if status is None:
            with pytest.raises(stripe.CardError):
                fake_stripe.api.payment_intents.confirm(intent.id, {"payment_method": card})
        else:
            done = fake_stripe.api.payment_intents.confirm(intent.id, {"payment_method": card})
            assert done.status == status


def test_a_customer_can_begin_with_a_card(fake_stripe: FakeStripe) -> None:
    customer = fake_stripe.api.customers.create(
        {
            "payment_method": "pm_card_visa",
            "invoice_settings": {"default_payment_method": "pm_card_visa"},
        }
    )
    cards = fake_stripe.api.customers.payment_methods.list(customer.id).data
    assert [one.id for one in cards] == [customer.invoice_settings.default_payment_method]
    other = fake_stripe.api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
        fake_stripe.api.customers.update(
            customer.id, {"invoice_settings": {"default_payment_method": other.id}}
        )
