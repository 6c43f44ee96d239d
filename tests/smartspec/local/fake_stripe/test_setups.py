"""Setup mode of the fake Stripe: a card is saved on the hosted page, and nothing is paid."""

from typing import Any

from tests.stripe import FakeStripe


def open_setup(fake: FakeStripe, **more: Any) -> Any:
    customer = fake.api.customers.create({"email": "ann@example.com"})
    return fake.api.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": customer.id,
            "allowed_payment_method_types": ["card"],
            "success_url": "http://testserver/back",
            **more,
        }
    )


def test_a_card_is_saved_and_can_be_charged_later(fake_stripe: FakeStripe) -> None:
    session = open_setup(fake_stripe)
    fake_stripe.pay(session.id, "authenticationRequiredOnSetup")
    done = fake_stripe.api.checkout.sessions.retrieve(
        session.id, {"expand": ["setup_intent.payment_method"]}
    )
    assert (done.status, done.payment_status) == ("complete", "no_payment_required")
    assert fake_stripe.api.setup_intents.retrieve(done.setup_intent.id).status == "succeeded"
    card = done.setup_intent.payment_method
    assert (card.customer, card.card.last4) == (session.customer, "3155")
    charge = {"amount": 500, "currency": "usd", "customer": card.customer, "confirm": True}
    paid = fake_stripe.api.payment_intents.create(
        {**charge, "payment_method": card.id, "off_session": True}
    )
    assert paid.status == "succeeded"


def test_a_declined_card_is_not_saved(fake_stripe: FakeStripe) -> None:
    session = open_setup(fake_stripe)
    fake_stripe.pay(session.id, "chargeDeclined")
    assert fake_stripe.get("checkout.session", session.id)["status"] == "open"
    assert fake_stripe.api.customers.payment_methods.list(session.customer).data == []


def test_the_page_offers_to_save_the_card(fake_stripe: FakeStripe) -> None:
    import requests

    page = requests.get(open_setup(fake_stripe).url, timeout=10).text
    assert "Save this card" in page
