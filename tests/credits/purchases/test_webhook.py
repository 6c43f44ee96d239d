"""The route for Stripe's events, and what becomes of them."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
import stripe
from django.db import OperationalError
from django.test import Client, override_settings
from django.utils import timezone

from credits.models import PaymentEvent, Purchase
from credits.purchases import incoming_events, settlement
from credits.purchases.incoming_events import HANDLERS, Ignored
from tests.clock import control_clock
from tests.concurrently import concurrently
from tests.credits.purchases.conftest import count_credits
from tests.stripe import SECRET

WEBHOOK = "/stripe/webhook"


def make_event(type: str = "payment_intent.succeeded", **changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": type,
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
        **changes,
    }


def sign(body: bytes, secret: str = SECRET, when: int | None = None) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, when)
    return header


def post(client: Client, body: Any, signature: str | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = sign(raw) if signature is None else signature
    return client.post(
        WEBHOOK,
        raw,
        content_type="application/json",
        headers={"Stripe-Signature": signature},
    )


def wait_until_applied() -> None:
    """Wait for the threads that apply events."""
    for _ in range(1000):
        if not PaymentEvent.objects.filter(state="waiting").exists():
            return
        time.sleep(0.01)
    raise TimeoutError


def test_an_event_is_stored_as_it_came(client, db, fake_stripe):
    raw = json.dumps(make_event(), indent=4).encode()
    assert post(client, raw).status_code == 200
    event = PaymentEvent.objects.get()
    assert (event.stripe_id, event.type, event.object_id) == (
        "evt_1",
        "payment_intent.succeeded",
        "pi_1",
    )
    assert event.payload == raw.decode()
    assert (event.state, event.done_at) == ("waiting", None)


def test_the_same_event_again_is_answered_and_stored_once(client, db, fake_stripe):
    assert [post(client, make_event()).status_code for _ in range(3)] == [200] * 3
    assert PaymentEvent.objects.count() == 1


SIGNATURES = {
    "none": "",
    "nonsense": "abc",
    "no time": "v1=abc",
    "no signature": "t=1",
    "a time that is no number": "t=x,v1=abc",
    "a huge time": f"t={'9' * 5000},v1=abc",
    "of another secret": "other",
    "not ASCII": "t=1,v1=é",
    "only an old scheme": "v0",
}


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_an_event_without_our_signature_is_refused(client, db, fake_stripe, signature):
    raw = json.dumps(make_event()).encode()
    made = {"other": sign(raw, "whsec_other"), "v0": sign(raw).replace("v1=", "v0=")}
    response = post(client, raw, made.get(signature, signature))
    assert response.status_code == 400
    assert not PaymentEvent.objects.exists()


def test_each_of_several_secrets_is_good(client, db, fake_stripe):
    with override_settings(STRIPE_WEBHOOK_SECRETS=["", "whsec_new", SECRET]):
        raw = json.dumps(make_event()).encode()
        assert post(client, raw, sign(raw, "whsec_new")).status_code == 200
        assert post(client, raw).status_code == 200
        both = f"{sign(raw)},{sign(raw, 'whsec_new').partition(',')[2]}"
        assert post(client, raw, both).status_code == 200


@pytest.mark.parametrize("secrets", [[], [""], ["", " "]])
def test_without_a_secret_there_is_no_such_page(client, db, fake_stripe, secrets):
    with override_settings(STRIPE_WEBHOOK_SECRETS=secrets):
        assert post(client, make_event(), sign(b"{}", "x")).status_code in (400, 404)
        assert post(client, b"{}", sign(b"{}", "")).status_code in (400, 404)
    assert not PaymentEvent.objects.exists()


BODIES = {
    "not UTF-8": b"\xff\xfe{}",
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"1",
    "a thin event": {**make_event(), "object": "v2.core.event"},
    "no id": {key: value for key, value in make_event().items() if key != "id"},
    "no data": make_event(data={}),
    "an object that is none": make_event(data={"object": None}),
    "a list as an object": make_event(data={"object": ["pi_1"]}),
    "an id that is a number": make_event(id=1),
    "an id with a NUL": make_event(id="evt_\0"),
    "a long id": make_event(id="e" * 200),
    "a long type": make_event("t" * 200),
    "deep": b'{"object":"event","a":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_signed_and_is_no_event_is_refused(client, db, fake_stripe, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = sign(raw) if raw.isascii() else f"t={timezone.now().timestamp():.0f},v1=00"
    assert post(client, raw, signature).status_code == 400
    assert not PaymentEvent.objects.exists()


def test_a_body_that_is_too_large_is_refused(client, db, fake_stripe):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000):
        assert post(client, make_event(more="x" * 2000)).status_code == 400


@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_other_methods_are_not_allowed(client, db, fake_stripe, method):
    assert getattr(client, method)(WEBHOOK).status_code == 405


def test_the_route_needs_no_token_and_no_session(db, fake_stripe):
    strict = Client(enforce_csrf_checks=True)
    response = post(strict, make_event())
    assert (response.status_code, dict(response.cookies)) == (200, {})


@pytest.mark.parametrize("minutes", [-50, -6, 0, 6, 600])
def test_a_clock_that_is_wrong_by_minutes_loses_no_event(client, db, fake_stripe, minutes):
    raw = json.dumps(make_event()).encode()
    when = int(timezone.now().timestamp()) + 60 * minutes
    assert post(client, raw, sign(raw, when=when)).status_code == 200


def test_an_event_of_yesterday_is_refused(client, db, fake_stripe):
    raw = json.dumps(make_event()).encode()
    when = int(timezone.now().timestamp()) - 86_400
    assert post(client, raw, sign(raw, when=when)).status_code == 400


def test_while_the_database_is_away_stripe_has_to_send_it_again(
    client, db, fake_stripe, monkeypatch
):
    def fail(*arguments):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(incoming_events, "store", fail)
    response = post(client, make_event())
    assert (response.status_code, response["Retry-After"] != "") == (503, True)


def test_a_webhook_gives_the_credits(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    fake_stripe.deliver(client)
    assert count_credits(ann) == 0
    incoming_events.apply_due()
    assert count_credits(ann) == 1500
    event = PaymentEvent.objects.get(type="checkout.session.completed")
    assert (event.state, event.purchase, event.done_at is None) == ("done", purchase, False)
    assert purchase.public_id in event.outcome


@pytest.mark.parametrize("reverse", [False, True])
def test_the_events_of_a_slow_payment_in_any_order(ann, buy, client, fake_stripe, reverse):
    purchase = buy(currency="thb", shown_price=179000)
    fake_stripe.pay_promptpay(purchase.checkout_session, "processing")
    fake_stripe.settle(purchase.checkout_session)
    fake_stripe.deliver(client, reverse=reverse)
    incoming_events.apply_due()
    assert (Purchase.objects.get().state, count_credits(ann)) == ("paid", 1500)


def test_an_event_comes_before_the_session_was_written_down(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    Purchase.objects.update(checkout_session="", checkout_url="", state="new")
    fake_stripe.deliver(client)
    incoming_events.apply_due()
    after = Purchase.objects.get()
    assert (after.state, after.checkout_session) == ("paid", purchase.checkout_session)
    assert count_credits(ann) == 1500


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "radar.early_fraud_warning.unknown"}, "type"),
        ({"livemode": True}, "mode"),
        ({}, "No purchase of this site"),
        ({"data": {"object": {"id": ""}}}, "No purchase of this site"),
    ],
)
def test_what_is_not_ours_is_ignored_with_the_reason(client, db, fake_stripe, changes, reason):
    post(client, make_event(**changes))
    incoming_events.apply_due()
    event = PaymentEvent.objects.get()
    assert event.state == "ignored"
    assert reason in event.outcome


def test_the_payment_of_another_site_is_ignored(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    Purchase.objects.update(public_id="somebody else's")
    with override_settings(STRIPE_SITE="other.example"):
        Purchase.objects.update(checkout_session="")
        fake_stripe.deliver(client)
        incoming_events.apply_due()
    assert {event.state for event in PaymentEvent.objects.all()} == {"ignored"}
    assert count_credits(ann) == 0


def test_a_test_event_does_nothing_on_a_live_site(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    with override_settings(STRIPE_SECRET_KEY="sk_live_ofTheSite"):
        fake_stripe.deliver(client)
        incoming_events.apply_due()
    assert {event.state for event in PaymentEvent.objects.all()} == {"ignored"}
    assert (Purchase.objects.get().state, count_credits(ann)) == ("open", 0)


def test_without_a_key_events_wait(ann, buy, client, fake_stripe):
    fake_stripe.pay(buy().checkout_session)
    with override_settings(STRIPE_SECRET_KEY=""):
        fake_stripe.deliver(client)
        assert incoming_events.apply_due() == 0
    assert {event.tries for event in PaymentEvent.objects.all()} == {0}
    incoming_events.apply_due()
    assert count_credits(ann) == 1500


def test_a_payload_that_lies_changes_nothing(ann, buy, client, fake_stripe):
    purchase = buy()
    session = {"id": purchase.checkout_session, "payment_status": "paid", "status": "complete"}
    post(client, make_event("checkout.session.completed", data={"object": session}))
    incoming_events.apply_due()
    assert (Purchase.objects.get().state, count_credits(ann)) == ("open", 0)


@pytest.mark.django_db(transaction=True)
def test_stripe_away_for_an_hour_loses_no_event(ann, buy, client, fake_stripe):
    with control_clock() as clock:
        purchase = buy()
        fake_stripe.pay(purchase.checkout_session)
        fake_stripe.break_next("drop_before", times=1000)
        for delivery in fake_stripe.list_events("checkout.session.completed"):
            raw = json.dumps(delivery).encode()
            incoming_events.store(raw, sign(raw))
        for _ in range(6):
            incoming_events.apply_due()
            clock.forward(600)
        assert {event.state for event in PaymentEvent.objects.all()} == {"waiting"}
        fake_stripe.break_next("none")
        incoming_events.apply_due()
        clock.forward(6000)
        incoming_events.apply_due()
    assert (Purchase.objects.get().state, count_credits(ann)) == ("paid", 1500)


def test_an_event_that_cannot_be_applied_is_tried_ten_times(client, db, fake_stripe, monkeypatch):
    def fail(event, hint):
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setitem(HANDLERS, "payment_intent.succeeded", [fail])
    post(client, make_event())
    for tried in range(1, 12):
        incoming_events.apply_due()
        event = PaymentEvent.objects.get()
        assert event.tries == min(tried, 10)
        PaymentEvent.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert (event.state, "a mistake" in event.outcome) == ("failed", True)


def test_the_waits_between_the_tries_double(client, db, fake_stripe, monkeypatch):
    def fail(event, hint):
        raise ZeroDivisionError

    monkeypatch.setitem(HANDLERS, "payment_intent.succeeded", [fail])
    post(client, make_event())
    PaymentEvent.objects.update(tries=3)
    incoming_events.apply_due()
    next_try = PaymentEvent.objects.get().next_try_at
    assert next_try is not None
    wait = next_try - timezone.now()
    assert timedelta(minutes=7) < wait <= timedelta(minutes=8)
    assert incoming_events.apply_due() == 0


def test_a_process_that_dies_at_the_last_try_leaves_a_failed_event(client, db, fake_stripe):
    post(client, make_event())
    PaymentEvent.objects.update(tries=10)
    incoming_events.apply_due()
    assert PaymentEvent.objects.get().state == "failed"


def test_a_failed_event_is_played_again(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    fake_stripe.deliver(client)
    PaymentEvent.objects.update(state="failed", tries=10)
    event = PaymentEvent.objects.get(type="checkout.session.completed")
    assert incoming_events.replay(event).state == "done"
    assert incoming_events.replay(event).state == "done"
    assert count_credits(ann) == 1500


def test_two_handlers_of_a_type_are_both_asked(client, db, fake_stripe, monkeypatch):
    def ignore(event, hint):
        raise Ignored("not mine")

    monkeypatch.setitem(HANDLERS, "a.type", [ignore, lambda event, hint: "Done by the other."])
    post(client, make_event("a.type"))
    incoming_events.apply_due()
    event = PaymentEvent.objects.get()
    assert (event.state, event.outcome) == ("done", "Done by the other.")


@pytest.mark.django_db(transaction=True)
def test_the_same_event_many_times_at_once_has_one_effect(ann, buy, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    [event] = fake_stripe.list_events("checkout.session.completed")
    raw = json.dumps(event).encode()
    answers = concurrently(
        lambda _: [post(Client(), raw).status_code for _ in range(10)], threads=10
    )
    assert {status for statuses in answers for status in statuses} == {200}
    wait_until_applied()
    assert PaymentEvent.objects.count() == 1
    settlement.settle(purchase)
    assert count_credits(ann) == 1500


@pytest.mark.django_db(transaction=True)
def test_a_stored_event_is_applied_without_waiting_for_tick(ann, buy, client, fake_stripe):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    fake_stripe.deliver(client)
    wait_until_applied()
    assert (Purchase.objects.get().state, count_credits(ann)) == ("paid", 1500)
