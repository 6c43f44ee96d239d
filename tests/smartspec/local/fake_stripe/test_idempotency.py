"""Idempotency keys, lost answers and failures of the fake Stripe."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from smartspec.local.fake_stripe.memory.journal import Journal
from tests.stripe import KEY, FakeStripe

DAY = 24 * 3600


def create(fake: FakeStripe, key: str = "abc", **given: Any) -> Any:
    return fake.api.customers.create(given, {"idempotency_key": key})


def count_customers(fake: FakeStripe) -> int:
    return len(fake.list_objects("customer"))


def test_a_key_gives_the_same_answer_again(fake_stripe: FakeStripe) -> None:
    first = create(fake_stripe, email="a@example.com")
    again = create(fake_stripe, email="a@example.com")
    assert first.id == again.id
    headers = again.last_response.headers
    assert headers["Idempotent-Replayed"] == "true"
    assert headers["Original-Request"] == first.last_response.request_id
    assert count_customers(fake_stripe) == 1


def test_a_key_takes_no_other_parameters(fake_stripe: FakeStripe) -> None:
    create(fake_stripe, email="a@example.com")
    with pytest.raises(stripe.IdempotencyError) as raised:
        create(fake_stripe, email="b@example.com")
    assert raised.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        fake_stripe.api.products.create({"name": "x"}, {"idempotency_key": "abc"})


def test_a_key_is_kept_for_a_day(fake_stripe: FakeStripe) -> None:
    first = create(fake_stripe)
    fake_stripe.advance(DAY - 60)
    assert create(fake_stripe).id == first.id
    fake_stripe.advance(61)
    assert create(fake_stripe).id != first.id


def test_a_key_belongs_to_one_mode(fake_stripe: FakeStripe) -> None:
    other = stripe.StripeClient("sk_live_fakeForTests", base_addresses={"api": fake_stripe.url})
    first = create(fake_stripe)
    assert other.v1.customers.create({}, {"idempotency_key": "abc"}).id != first.id


def test_a_refused_parameter_does_not_use_up_a_key(fake_stripe: FakeStripe) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        create(fake_stripe, emial="a@example.com")
    assert create(fake_stripe, email="a@example.com").email == "a@example.com"


def test_a_refused_amount_does_not_use_up_a_key(fake_stripe: FakeStripe) -> None:
    options = {"idempotency_key": "abc"}
    with pytest.raises(stripe.InvalidRequestError):
        fake_stripe.api.payment_intents.create({"amount": 1, "currency": "usd"}, options)
    paid = fake_stripe.api.payment_intents.create({"amount": 100, "currency": "usd"}, options)
    assert paid.amount == 100


def test_a_refused_refund_is_refused_again(fake_stripe: FakeStripe) -> None:
    """Its parameters were right, so the request was begun."""
    intent = fake_stripe.api.payment_intents.create({"amount": 100, "currency": "usd"})
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            fake_stripe.api.refunds.create(
                {"payment_intent": intent.id}, {"idempotency_key": "abc"}
            )
    headers: Any = raised.value.headers
    assert headers["Idempotent-Replayed"] == "true"


def test_a_declined_card_is_declined_again(fake_stripe: FakeStripe) -> None:
    given = {
        "amount": 100,
        "currency": "usd",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": True,
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            fake_stripe.api.payment_intents.create(given, {"idempotency_key": "abc"})
    assert len(fake_stripe.list_objects("payment_intent")) == 1


@pytest.mark.parametrize(("kind", "count"), [("error_before", 0), ("error_after", 1)])
def test_a_failure_is_answered_again(fake_stripe: FakeStripe, kind: str, count: int) -> None:
    fake_stripe.break_next(kind)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as raised:
            create(fake_stripe)
        assert raised.value.http_status == 500
    assert count_customers(fake_stripe) == count


@pytest.mark.parametrize(("kind", "count"), [("drop_before", 0), ("drop_after", 1)])
def test_an_answer_can_be_lost_with_or_without_the_effect(
    fake_stripe: FakeStripe, kind: str, count: int
) -> None:
    fake_stripe.break_next(kind)
    with pytest.raises(stripe.APIConnectionError):
        create(fake_stripe)
    assert count_customers(fake_stripe) == count
    create(fake_stripe)
    assert count_customers(fake_stripe) == 1


def test_the_sdk_finds_a_lost_answer_by_itself(fake_stripe: FakeStripe) -> None:
    fake_stripe.lose_next_answer("/v1/customers")
    fake_stripe.api.products.create({"name": "not this one"})
    client = stripe.StripeClient(
        KEY, base_addresses={"api": fake_stripe.url}, max_network_retries=1
    )
    client.v1.customers.create({})
    assert count_customers(fake_stripe) == 1


def test_two_requests_at_once_with_one_key_are_409(fake_stripe: FakeStripe) -> None:
    fake_stripe.break_next("delay", seconds=0.5)

    def post(_number: int) -> int:
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "abc"}
        answer = requests.post(f"{fake_stripe.url}/v1/customers", headers=headers, timeout=10)
        return answer.status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(post, range(2))) == [200, 409]
    assert count_customers(fake_stripe) == 1


def test_too_many_requests_are_429_and_cost_no_key(fake_stripe: FakeStripe) -> None:
    fake_stripe.break_next("rate_limit")
    with pytest.raises(stripe.RateLimitError):
        create(fake_stripe)
    create(fake_stripe)
    assert count_customers(fake_stripe) == 1


def test_the_effect_and_the_answer_of_a_key_are_one_line(
    fake_stripe: FakeStripe, tmp_path: Path
) -> None:
    """A kill between the two would let the next try have the effect twice."""
    fake_stripe.server.state.journal = Journal(tmp_path / "state.jsonl")
    create(fake_stripe)
    lines = (tmp_path / "state.jsonl").read_text().splitlines()
    kinds = [{one["kind"] for one in json.loads(line)["entries"]} for line in lines]
    assert kinds[0] >= {"customer", "event", "_idempotency_key"}
