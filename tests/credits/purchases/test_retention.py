"""Stored events lose names and addresses after some time, and with the account."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.access import account_deletion
from accounts.toolbox.request_source import UNKNOWN
from credits.models import PaymentEvent
from credits.purchases import incoming_events, retention
from tests.credits.purchases.conftest import count_credits

PERSONAL = ("Ann Example", "ann@", "4242", "Sukhumvit", "12 / 34", "203.0.113")


def tell_all(fake_stripe):
    """Store and apply all events, each with a name, an address, a card and an IP address in it."""
    for event in fake_stripe.list_events():
        thing = event["data"]["object"]
        thing |= {
            "billing_details": {"name": "Ann Example", "address": {"line1": "Sukhumvit 1"}},
            "receipt_email": "ann@example.com",
            "client_secret": "pi_1_secret_x",
        }
        body = json.dumps(event).encode()
        incoming_events.store(body, fake_stripe.sign(body))
    incoming_events.apply_due()


def pay_and_refund(buy, fake_stripe, ann):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session, card="chargeDeclined")
    fake_stripe.pay(purchase.checkout_session)
    fake_stripe.refund(purchase.checkout_session, 1000)
    dispute = fake_stripe.dispute(purchase.checkout_session)
    fake_stripe.end_dispute(dispute["id"], "won")
    fake_stripe.warn(purchase.checkout_session)
    tell_all(fake_stripe)
    return purchase


def test_old_events_are_reduced_and_replayed_with_the_same_outcome(
    buy, fake_stripe, ann, settings, without_limits
):
    settings.REFUND_FRAUD_WARNINGS = False
    pay_and_refund(buy, fake_stripe, ann)
    before = dict(PaymentEvent.objects.values_list("stripe_id", "outcome"))
    credits = count_credits(ann)
    later = timezone.now() + timedelta(days=settings.PAYMENT_EVENT_DAYS - 1)
    with time_machine.travel(later, tick=False):
        assert retention.reduce_due() == 0
    whole = PaymentEvent.objects.filter(reduced_at=None).exclude(purchase=None).count()
    with time_machine.travel(later + timedelta(days=2), tick=False):
        call_command("settle_purchases", verbosity=0)
    assert whole > 5
    assert not PaymentEvent.objects.filter(reduced_at=None).exists()
    for event in PaymentEvent.objects.all():
        assert not [words for words in PERSONAL if words in event.payload], event.type
        assert incoming_events.replay(event).state in ("done", "ignored")
    assert dict(PaymentEvent.objects.values_list("stripe_id", "outcome")) == before
    assert count_credits(ann) == credits


def test_a_closed_account_reduces_its_events_and_those_that_come_later(buy, fake_stripe, ann):
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    tell_all(fake_stripe)
    account_deletion.close(user=ann, source=UNKNOWN)
    call_command("sync_subscriptions", verbosity=0)
    assert not PaymentEvent.objects.exclude(purchase=None).filter(reduced_at=None).exists()
    assert "Sukhumvit" not in "".join(PaymentEvent.objects.values_list("payload", flat=True))
    fake_stripe.refund(purchase.checkout_session)
    tell_all(fake_stripe)
    late = PaymentEvent.objects.get(type="charge.refunded")
    assert (late.state, late.reduced_at is None) == ("done", False)


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("done", {"payload": '{"id": "evt_1"}'}),  # without saying so
        ("waiting", {"payload": '{"id": "evt_1"}', "reduced_at": timezone.now()}),
        ("done", {"payload": '{"id": "evt_2"}', "reduced_at": timezone.now()}),
        ("done", {"payload": '{"id": "evt_1", "more": "x"}', "reduced_at": timezone.now()}),
    ],
)
def test_the_database_lets_a_payload_be_reduced_once_and_in_no_other_way(db, state, changes):
    event = PaymentEvent.objects.create(
        stripe_id="evt_1", type="x", livemode=False, payload='{"id": "evt_1", "a":1}', state=state
    )
    row = PaymentEvent.objects.filter(pk=event.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.update(**changes)
    if state == "done":
        assert retention.reduce_due(0) == 0
        row.update(payload='{"id": "evt_1"}', reduced_at=timezone.now())
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(payload="{}", reduced_at=timezone.now())


def test_what_is_not_known_is_left_out():
    text = json.dumps(
        {"id": "evt_1", "new": {"id": "x"}, "status": "y" * 300, "code": "a@b.c", "mode": "\0"}
    )
    assert json.loads(retention.reduce_payload(text, stripe_id="evt_1")) == {
        **dict.fromkeys(("status", "code", "mode"), ""),
        "id": "evt_1",
    }


def test_what_handlers_read_is_kept():
    read = {
        "id": "evt_1",
        "data": {
            "object": {
                "id": "cs_1",
                "mode": "subscription",
                "payment_intent": "pi_1",
                "charge": "ch_1",
                "last_payment_error": {"payment_method": {"type": "card"}},
            }
        },
    }
    assert json.loads(retention.reduce_payload(json.dumps(read), stripe_id="evt_1")) == read
