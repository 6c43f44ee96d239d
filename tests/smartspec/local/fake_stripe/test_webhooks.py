"""Webhooks of the fake Stripe: signed, to whom they belong, again and again, in any order."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from smartspec.local.fake_stripe.memory import webhooks
from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.smartspec.local.fake_stripe.test_subscriptions import sell_plan
from tests.smartspec.processes import eventually
from tests.stripe import SECRET, FakeStripe

Json = dict[str, Any]
PAID = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


class Shop(ThreadingHTTPServer):
    """A site that takes webhooks and answers with the next of `statuses`, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.statuses: list[int] = []
        self.seconds = 0.0  # How long an answer takes.
        self.received: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?x=1"

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.received]


class Receiver(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        assert self.path == "/hook?x=1"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Stripe-Signature"], body))
        time.sleep(self.server.seconds)
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write nothing."""


@pytest.fixture
def shop(fake_stripe: FakeStripe) -> Iterator[Shop]:
    """A site to which the fake sends its webhooks when it is asked to."""
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.002,), daemon=True)
        thread.start()
        fake_stripe.get("webhook_endpoint", fake_stripe.endpoint)["url"] = server.url
        yield server
        server.shutdown()


def sell(fake: FakeStripe) -> None:
    fake.pay(make_session(fake).id)


def deliver(fake: FakeStripe) -> None:
    webhooks.deliver_waiting(fake.server.state, only_due=False)


def test_an_event_is_signed_as_the_sdk_checks_it(fake_stripe: FakeStripe, shop: Shop) -> None:
    sell(fake_stripe)
    deliver(fake_stripe)
    events = [
        stripe.Webhook.construct_event(body, signature, SECRET) for signature, body in shop.received
    ]
    assert [event.type for event in events] == PAID
    assert {event.api_version for event in events} == {stripe.api_version}
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(shop.received[0][1], shop.received[0][0], "whsec_other")


def test_a_rolled_secret_signs_twice(fake_stripe: FakeStripe, shop: Shop) -> None:
    entry = fake_stripe.server.state.get("webhook_endpoint", fake_stripe.endpoint)
    entry.hidden["secrets"].append("whsec_new")
    sell(fake_stripe)
    deliver(fake_stripe)
    signature, body = shop.received[0]
    for secret in (SECRET, "whsec_new"):
        stripe.Webhook.construct_event(body, signature, secret)


def test_a_webhook_is_sent_again_until_it_is_taken(fake_stripe: FakeStripe, shop: Shop) -> None:
    fake_stripe.act("webhooks", hold=False)
    shop.statuses = [500, 404]
    sell(fake_stripe)
    eventually(lambda: len(shop.received) == len(PAID), 10)
    fake_stripe.advance(3)
    eventually(lambda: len(shop.received) == len(PAID) + 2, 10)
    assert sorted(shop.types) == sorted([*PAID, *PAID[:2]])
    eventually(
        lambda: not any(event["pending_webhooks"] for event in fake_stripe.list_events()), 10
    )


def test_after_three_days_a_webhook_is_given_up(fake_stripe: FakeStripe, shop: Shop) -> None:
    sell(fake_stripe)
    for _ in range(12):
        shop.statuses = [500] * 10
        deliver(fake_stripe)
        fake_stripe.advance(12 * 3600)
    assert len(fake_stripe.act("deliveries", status="failed")["deliveries"]) == len(PAID)


def test_webhooks_can_be_lost_doubled_and_reversed(fake_stripe: FakeStripe, shop: Shop) -> None:
    fake_stripe.act("webhooks", lose=1, duplicates=1, reverse=True)
    sell(fake_stripe)
    deliver(fake_stripe)
    assert shop.types == [type for type in PAID[:0:-1] for _ in range(2)]


def test_webhooks_can_go_many_at_once(fake_stripe: FakeStripe, shop: Shop) -> None:
    fake_stripe.act("webhooks", shuffle=True, parallel=8)
    for _ in range(20):
        sell(fake_stripe)
    deliver(fake_stripe)
    assert sorted(shop.types) == sorted(PAID * 20)
    assert shop.types != PAID * 20
    assert not fake_stripe.act("deliveries", status="sending")["deliveries"]


def test_two_who_deliver_at_once_send_each_webhook_once(
    fake_stripe: FakeStripe, shop: Shop
) -> None:
    sell(fake_stripe)
    shop.seconds = 0.05
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(deliver, [fake_stripe] * 2))
    assert shop.types == PAID


def test_webhooks_can_be_late(fake_stripe: FakeStripe, shop: Shop) -> None:
    fake_stripe.act("webhooks", delay_seconds=60, hold=False)
    sell(fake_stripe)
    assert webhooks.deliver_waiting(fake_stripe.server.state, only_due=True) == 0
    fake_stripe.advance(61)
    eventually(lambda: shop.types == PAID, 10)


def test_an_endpoint_gets_what_it_asked_for_in_its_version(
    fake_stripe: FakeStripe, shop: Shop
) -> None:
    made = fake_stripe.api.webhook_endpoints.create(
        {
            "url": shop.url,
            "enabled_events": ["checkout.session.completed", "charge.refunded"],
            "api_version": "2024-06-20",
        }
    )
    fake_stripe.api.webhook_endpoints.update(fake_stripe.endpoint, {"disabled": True})
    sell(fake_stripe)
    deliver(fake_stripe)
    assert shop.types == ["checkout.session.completed"]
    signature, body = shop.received[0]
    event = stripe.Webhook.construct_event(body, signature, made.secret)
    assert (event.api_version, event.data.object.ui_mode) == ("2024-06-20", "hosted")
    assert "secret" not in fake_stripe.api.webhook_endpoints.retrieve(made.id).to_dict()


def test_an_old_endpoint_gets_old_shapes(fake_stripe: FakeStripe, shop: Shop) -> None:
    fake_stripe.api.webhook_endpoints.create(
        {
            "url": shop.url,
            "enabled_events": ["customer.subscription.created", "invoice.paid"],
            "api_version": "2024-06-20",
        }
    )
    fake_stripe.api.webhook_endpoints.update(fake_stripe.endpoint, {"disabled": True})
    subscription = sell_plan(fake_stripe)
    deliver(fake_stripe)
    created, paid = (json.loads(body)["data"]["object"] for _, body in shop.received)
    assert "current_period_end" in created
    assert paid["subscription"] == subscription.id
    assert "parent" not in paid


def test_a_deleted_endpoint_gets_nothing(fake_stripe: FakeStripe, shop: Shop) -> None:
    sell(fake_stripe)
    fake_stripe.api.webhook_endpoints.delete(fake_stripe.endpoint)
    deliver(fake_stripe)
    assert shop.received == []


def test_live_events_go_to_live_endpoints_only(fake_stripe: FakeStripe, shop: Shop) -> None:
    client = stripe.StripeClient("sk_live_fake", base_addresses={"api": fake_stripe.url})
    client.v1.customers.create({})
    deliver(fake_stripe)
    assert shop.received == []
    assert fake_stripe.list_events()[0]["livemode"]


def test_nothing_leaves_this_machine(fake_stripe: FakeStripe) -> None:
    fake_stripe.get("webhook_endpoint", fake_stripe.endpoint)["url"] = "https://example.com/hook"
    sell(fake_stripe)
    deliver(fake_stripe)
    answers = [one["answers"] for one in fake_stripe.act("deliveries")["deliveries"]]
    assert all("this machine only" in one[0] for one in answers)


def test_an_old_event_can_be_sent_again(fake_stripe: FakeStripe, shop: Shop) -> None:
    sell(fake_stripe)
    deliver(fake_stripe)
    event = fake_stripe.list_events("charge.succeeded")[0]
    fake_stripe.act("send_again", event=event["id"])
    deliver(fake_stripe)
    assert shop.types == [*PAID, "charge.succeeded"]
    assert shop.received[1][1].count(event["id"].encode()) == 1


def test_events_are_listed_by_type_for_30_days(fake_stripe: FakeStripe) -> None:
    sell(fake_stripe)
    listed = fake_stripe.api.events.list({"type": "charge.*"}).data
    assert [one.type for one in listed] == ["charge.succeeded"]
    assert fake_stripe.api.events.retrieve(listed[0].id).data.object.amount == 1200
    fake_stripe.advance(31 * 24 * 3600)
    assert fake_stripe.api.events.list().data == []
