"""Refunds of the fake Stripe."""

from typing import Any

import pytest
import stripe

from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.stripe import FakeStripe

DAY = 24 * 3600


def pay(fake: FakeStripe, card: str = "visa") -> str:
    """Sell something for $12.00 and return the id of the payment intent."""
    return str(fake.pay(make_session(fake).id, card)["payment_intent"])


def pay_by_promptpay(fake: FakeStripe) -> str:
    session = make_session(fake, 35000, "thb")
    return str(fake.pay_promptpay(session.id)["payment_intent"])


def refund(fake: FakeStripe, intent: str, **given: Any) -> Any:
    return fake.api.refunds.create({"payment_intent": intent, **given})


def read_charge(fake: FakeStripe, intent: str) -> Any:
    found = fake.api.payment_intents.retrieve(intent, {"expand": ["latest_charge"]})
    return found.latest_charge


def test_parts_add_up_to_the_whole_and_no_more(fake_stripe: FakeStripe) -> None:
    intent = pay(fake_stripe)
    first = refund(fake_stripe, intent, amount=500, metadata={"refund": "abc"})
    assert (first.status, first.metadata["refund"]) == ("succeeded", "abc")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        refund(fake_stripe, intent, amount=701)
    rest = refund(fake_stripe, intent)
    assert rest.amount == 700
    assert read_charge(fake_stripe, intent).refunded
    with pytest.raises(stripe.InvalidRequestError) as raised:
        refund(fake_stripe, intent)
    assert raised.value.code == "charge_already_refunded"
    listed = fake_stripe.api.refunds.list({"payment_intent": intent}).data
    assert [one.id for one in listed] == [rest.id, first.id]


def test_a_refund_that_fails_afterwards_can_be_made_again(fake_stripe: FakeStripe) -> None:
    intent = pay(fake_stripe)
    made = refund(fake_stripe, intent)
    fake_stripe.settle_refund(made.id, "failed")
    after = fake_stripe.api.refunds.retrieve(made.id)
    assert (after.status, after.failure_reason) == ("failed", "unknown")
    assert after.failure_balance_transaction is not None
    assert not read_charge(fake_stripe, intent).refunded
    assert [one["type"] for one in fake_stripe.list_events()][-1] == "refund.failed"
    assert refund(fake_stripe, intent).status == "succeeded"


def test_a_card_may_take_its_time(fake_stripe: FakeStripe) -> None:
    made = refund(fake_stripe, pay(fake_stripe, "pendingRefund"))
    assert (made.status, made.pending_reason) == ("pending", "processing")
    fake_stripe.advance(10)
    assert fake_stripe.api.refunds.retrieve(made.id).status == "succeeded"


def test_promptpay_waits_for_an_account_and_can_be_cancelled(fake_stripe: FakeStripe) -> None:
    intent = pay_by_promptpay(fake_stripe)
    made = refund(fake_stripe, intent, instructions_email="ann@example.com")
    assert (made.status, made.instructions_email) == ("requires_action", "ann@example.com")
    assert read_charge(fake_stripe, intent).refunded
    assert fake_stripe.api.refunds.cancel(made.id).status == "canceled"
    assert not read_charge(fake_stripe, intent).refunded
    again = refund(fake_stripe, intent, amount=1000)
    fake_stripe.settle_refund(again.id, "succeeded")
    with pytest.raises(stripe.InvalidRequestError, match="cannot be canceled"):
        fake_stripe.api.refunds.cancel(again.id)


def test_what_is_disputed_cannot_be_refunded_but_an_inquiry_can(fake_stripe: FakeStripe) -> None:
    disputed, asked = pay(fake_stripe), pay(fake_stripe)
    fake_stripe.dispute(disputed)
    fake_stripe.dispute(asked, status="warning_needs_response")
    with pytest.raises(stripe.InvalidRequestError) as raised:
        refund(fake_stripe, disputed)
    assert raised.value.code == "charge_disputed"
    assert refund(fake_stripe, asked).status == "succeeded"


def test_what_was_never_paid_cannot_be_refunded(fake_stripe: FakeStripe) -> None:
    intent = fake_stripe.api.payment_intents.create({"amount": 100, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        refund(fake_stripe, intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="One of the following"):
        fake_stripe.api.refunds.create({"amount": 100})


def test_a_refund_from_the_dashboard_has_no_metadata(fake_stripe: FakeStripe) -> None:
    intent = pay(fake_stripe)
    made = fake_stripe.refund(intent, 200)
    assert fake_stripe.api.refunds.retrieve(made["id"]).metadata.to_dict() == {}
    event = fake_stripe.list_events("charge.refunded")[0]
    assert event["data"]["object"]["amount_refunded"] == 200
    assert event["request"] == {"id": None, "idempotency_key": None}
