"""Disputes, inquiries and early fraud warnings of the fake Stripe."""

from typing import Any

import pytest

from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from tests.smartspec.local.fake_stripe.test_refunds import (
    pay,
    pay_by_promptpay,
    read_charge,
    refund,
)
from tests.stripe import FakeStripe


def list_money(dispute: Any) -> list[int]:
    return [one["amount"] for one in dispute["balance_transactions"]]


def list_types(fake: FakeStripe) -> list[str]:
    types = [event["type"] for event in fake.list_events()]
    return [one.removeprefix("charge.dispute.") for one in types if "dispute" in one]


def test_a_dispute_takes_the_money_and_a_victory_brings_it_back(fake_stripe: FakeStripe) -> None:
    intent = pay(fake_stripe)
    made = fake_stripe.dispute(intent)
    assert (made["status"], list_money(made)) == ("needs_response", [-1200])
    assert read_charge(fake_stripe, intent).disputed
    fake_stripe.end_dispute(made["id"], "won")
    won = fake_stripe.api.disputes.retrieve(made["id"])
    assert (won.status, list_money(won.to_dict())) == ("won", [-1200, 1200])
    assert list_types(fake_stripe) == [
        "created",
        "funds_withdrawn",
        "updated",
        "closed",
        "funds_reinstated",
    ]


@pytest.mark.parametrize("status", ["lost", "prevented"])
def test_what_is_lost_stays_away(fake_stripe: FakeStripe, status: str) -> None:
    made = fake_stripe.dispute(pay(fake_stripe))
    fake_stripe.end_dispute(made["id"], status)
    after = fake_stripe.get("dispute", made["id"])
    assert (after["status"], list_money(after)) == (status, [-1200])


def test_an_inquiry_moves_no_money_until_it_escalates(fake_stripe: FakeStripe) -> None:
    made = fake_stripe.dispute(pay(fake_stripe), status="warning_needs_response")
    assert (list_money(made), made["is_charge_refundable"]) == ([], True)
    fake_stripe.withdraw(made["id"])
    after = fake_stripe.get("dispute", made["id"])
    assert (after["status"], list_money(after)) == ("needs_response", [-1200])
    assert not after["is_charge_refundable"]


def test_an_inquiry_can_be_closed(fake_stripe: FakeStripe) -> None:
    made = fake_stripe.dispute(pay(fake_stripe), status="warning_needs_response")
    fake_stripe.end_dispute(made["id"], "warning_closed")
    assert list_types(fake_stripe) == ["created", "updated", "closed"]


def test_there_is_nothing_to_dispute_about_promptpay(fake_stripe: FakeStripe) -> None:
    with pytest.raises(RefusedAct, match="PromptPay cannot be disputed"):
        fake_stripe.dispute(pay_by_promptpay(fake_stripe))


def test_money_can_leave_in_two_parts_and_come_back_in_two(fake_stripe: FakeStripe) -> None:
    made = fake_stripe.dispute(pay(fake_stripe), withdraw=False)
    fake_stripe.withdraw(made["id"], 1000)
    fake_stripe.withdraw(made["id"], 200)
    fake_stripe.reinstate(made["id"], 300)
    fake_stripe.reinstate(made["id"])
    assert list_money(fake_stripe.get("dispute", made["id"])) == [-1000, -200, 300, 900]


def test_disputes_are_found_by_their_payment(fake_stripe: FakeStripe) -> None:
    one, other = pay(fake_stripe), pay(fake_stripe)
    made = fake_stripe.dispute(one, amount=700, reason="duplicate")
    found = fake_stripe.api.disputes.list({"payment_intent": one}).data
    assert [(dispute.id, dispute.amount, dispute.reason) for dispute in found] == [
        (made["id"], 700, "duplicate")
    ]
    assert fake_stripe.api.disputes.list({"payment_intent": other}).data == []


@pytest.mark.parametrize(
    ("evidence", "status"),
    [("winning_evidence", "won"), ("losing_evidence", "lost"), ("Here it is", "under_review")],
)
def test_evidence_decides_as_stripes_documentation_says(
    fake_stripe: FakeStripe, evidence: str, status: str
) -> None:
    made = fake_stripe.dispute(pay(fake_stripe))
    answered = fake_stripe.api.disputes.update(
        made["id"], {"evidence": {"uncategorized_text": evidence}}
    )
    assert answered.status == status


def test_a_warning_can_be_acted_on_until_the_money_is_back(fake_stripe: FakeStripe) -> None:
    intent = pay(fake_stripe)
    warning = fake_stripe.warn(intent)
    assert warning["actionable"]
    refund(fake_stripe, intent)
    after = fake_stripe.api.radar.early_fraud_warnings.retrieve(warning["id"])
    assert not after.actionable
    listed = fake_stripe.api.radar.early_fraud_warnings.list({"payment_intent": intent}).data
    assert [one.id for one in listed] == [warning["id"]]


@pytest.mark.parametrize(
    ("card", "kind"),
    [
        ("createDispute", "dispute"),
        ("createDisputeInquiry", "dispute"),
        ("createDisputeProductNotReceived", "dispute"),
        ("createIssuerFraudRecord", "radar.early_fraud_warning"),
    ],
)
def test_cards_that_make_trouble_afterwards(fake_stripe: FakeStripe, card: str, kind: str) -> None:
    pay(fake_stripe, card)
    fake_stripe.advance(2)
    assert len(fake_stripe.list_objects(kind)) == 1
