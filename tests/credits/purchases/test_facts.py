"""What Stripe's objects mean, without Stripe."""

import pytest

from credits.models.purchases import PurchaseState
from credits.purchases import facts

CHARGE = {"created": 1_800_000_000, "payment_method_details": {"type": "card"}}
INTENT = {
    "id": "pi_1",
    "status": "succeeded",
    "amount": 5000,
    "amount_received": 5000,
    "currency": "usd",
    "livemode": False,
    "latest_charge": CHARGE,
    "metadata": {"purchase": "abc"},
}
SESSION = {
    "status": "complete",
    "payment_status": "paid",
    "amount_total": 5000,
    "currency": "usd",
    "livemode": False,
    "client_reference_id": "abc",
    "payment_intent": INTENT,
}


def test_a_paid_session_says_all_that_is_compared():
    found = facts.read_session(SESSION)
    assert (found.state, found.total, found.currency, found.reference) == (
        "paid",
        5000,
        "usd",
        "abc",
    )
    assert (found.payment_intent, found.method, found.problem) == ("pi_1", "card", "")
    assert found.paid_at is not None
    assert found.paid_at.year == 2027


UNPAID = {"status": "complete", "payment_status": "unpaid"}


@pytest.mark.parametrize(
    ("session", "intent", "state"),
    [
        ({"status": "open", "payment_status": "unpaid", "payment_intent": None}, None, "open"),
        ({"status": "open", "payment_status": "unpaid"}, "requires_payment_method", "open"),
        ({"status": "open", "payment_status": "unpaid"}, "requires_action", "open"),
        ({"status": "open", "payment_status": "unpaid"}, "succeeded", "paid"),
        ({"status": "expired", "payment_status": "unpaid"}, "canceled", "expired"),
        ({"status": "expired", "payment_status": "unpaid"}, "succeeded", "paid"),
        (UNPAID, "processing", "processing"),
        (UNPAID, "requires_action", "processing"),
        (UNPAID, "requires_payment_method", "failed"),
        (UNPAID, "canceled", "failed"),
        ({"payment_status": "no_payment_required", "payment_intent": None}, None, "review"),
    ],
)
def test_a_session_and_its_payment_have_one_state(session, intent, state):
    changes = {"payment_intent": {**INTENT, "status": intent}} if intent else {}
    found = facts.read_session({**SESSION, **changes, **session})
    assert found.state == state
    assert (found.paid_at is None) == (state != "paid")


@pytest.mark.parametrize("intent", ["pi_1", None, {}])
def test_a_session_whose_payment_was_not_expanded_is_read_too(intent):
    found = facts.read_session({**SESSION, "payment_intent": intent})
    assert (found.state, found.total) == ("paid", 5000)
    assert (found.problem == "") == (intent == "pi_1")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", "paid"),
        ("processing", "processing"),
        ("requires_capture", "processing"),
        ("requires_payment_method", "failed"),
        ("requires_action", "failed"),
        ("canceled", "failed"),
        ("something_new", "processing"),
    ],
)
def test_a_payment_without_a_page_has_a_state(status, state):
    declined = {"last_payment_error": {"code": "card_declined", "decline_code": "stolen_card"}}
    found = facts.read_intent({**INTENT, **declined, "status": status})
    assert (found.state, found.reference, found.total) == (PurchaseState(state), "abc", 5000)
