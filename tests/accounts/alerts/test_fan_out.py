"""Alerts become mails and webhooks, once, by the ways that their user wants."""

from email import message_from_bytes, policy
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from django.core.management import call_command
from django.utils import timezone

from accounts import mails
from accounts.access import account_deletion
from accounts.alerts import fan_out
from accounts.alerts.choices import Ways, read_choices, store_choices
from accounts.alerts.kinds import KINDS, Kind
from accounts.models import AccountAlert, OutgoingMail, WebhookDelivery, WebhookEndpoint
from accounts.toolbox.request_source import Source
from accounts.webhooks import endpoints
from accounts.webhooks.addresses import read_url
from smartspec.local.embedded_postgres import find_free_port
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db
FACTS: dict[str, dict[str, Any]] = {
    Kind.LOW: {"balance": 1234, "threshold": 2000},
    Kind.USED_UP: {"balance": 3, "required": 1500},
    Kind.EXPIRING: {"credits": 5000, "days": 7, "expires_at": "2026-12-07T00:00:00+00:00"},
    Kind.UNUSUAL: {
        "charged": 9000,
        "usual": 1000,
        "part": 8000,
        "model": "smollm2",
        "name": "Laptop <b>",
        "stop_path": "/account/devices",
    },
    Kind.PAYMENT: {"problem": "dispute", "purchase": "buy_1"},
    Kind.WEBHOOK_OFF: {"url": "https://example.com/<x>", "because": "failed"},
}


def send(silence=""):
    return fan_out.send_waiting(lambda alert: silence)


def note(user, kind=Kind.LOW, **options):
    AccountAlert.objects.note(user, kind, **{**FACTS[kind], **options})


def bodies():
    return [mails.decrypt_body(mail) for mail in OutgoingMail.objects.order_by("pk")]


@pytest.fixture
def ann(make_user):
    return make_user(credits=100)


@pytest.fixture
def hook(ann):
    return endpoints.add(ann, read_url("https://example.com/hook"))[0]


@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != Kind.DEVICE])
def test_every_kind_has_a_mail_in_both_languages_and_a_webhook(ann, hook, kind, language):
    ann.language = language
    ann.save()
    note(ann, kind)
    assert (send(), send()) == (1, 0)
    ((subject, body),) = [
        (mail.subject, mails.decrypt_body(mail)) for mail in OutgoingMail.objects.all()
    ]
    text = subject + body
    assert any("\u0e00" <= sign <= "\u0e7f" for sign in text) is (language == "th")
    assert "http://" in body
    assert "&lt;" not in text
    assert "{{" not in text
    assert [row.type for row in WebhookDelivery.objects.all()] == [KINDS[kind].event]


def test_numbers_are_grouped_and_the_way_to_change_it_is_named(ann):
    note(ann)
    send()
    assert "1,234 credits" in bodies()[0]
    assert "/account/alerts" in bodies()[0]


def test_at_most_one_low_mail_a_day_and_webhooks_each_time(ann, hook):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(3):
            note(ann)
            send()
        assert (OutgoingMail.objects.count(), WebhookDelivery.objects.count()) == (1, 3)
        clock.shift(24 * 60 * 60 + 1)
        note(ann)
        send()
    assert OutgoingMail.objects.count() == 2
    silences = AccountAlert.objects.order_by("pk").values_list("silent_because", flat=True)
    assert list(silences) == ["", "told_today", "told_today", ""]


def test_a_balance_that_falls_to_nothing_at_once_is_one_mail(ann):
    note(ann, balance=0)
    note(ann, Kind.USED_UP)
    assert send() == 2
    assert [alert.silent_because for alert in AccountAlert.objects.order_by("pk")] == [
        "used_up",
        "",
    ]
    assert OutgoingMail.objects.count() == 1


def test_what_is_switched_off_is_not_sent_and_payments_are_always_mailed(ann, hook):
    store_choices(ann, {kind: Ways(by_mail=False, by_webhook=False) for kind in KINDS})
    assert read_choices(ann)[Kind.PAYMENT] == Ways(by_mail=True, by_webhook=False)
    note(ann)
    note(ann, Kind.PAYMENT)
    send()
    assert (OutgoingMail.objects.count(), WebhookDelivery.objects.count()) == (1, 0)


def test_an_alert_whose_mail_was_sent_by_its_cause_is_a_webhook_only(ann, hook):
    AccountAlert.objects.note_payment_problem(ann, "plan_past_due")
    send()
    assert (OutgoingMail.objects.count(), WebhookDelivery.objects.count()) == (0, 1)


def test_one_broken_alert_keeps_no_other_back(ann, caplog):
    AccountAlert.objects.note(ann, "nonsense")
    note(ann)
    assert send() == 1
    assert "was not sent" in caplog.text


def test_the_same_key_is_one_alert(ann):
    for _ in range(2):
        note(ann, key="once")
    assert AccountAlert.objects.count() == 1


def test_a_closed_account_gets_nothing_and_keeps_no_webhook(ann, hook):
    note(ann)
    account_deletion.close(user=ann, source=Source())
    send()
    assert not WebhookEndpoint.objects.exists()
    assert not AccountAlert.objects.exists()
    note(ann)
    OutgoingMail.objects.all().delete()
    send()
    assert not OutgoingMail.objects.exists()


def test_old_alerts_and_messages_are_deleted_and_waiting_ones_stay(ann, hook):
    note(ann)
    send()
    note(ann)
    with time_machine.travel(timezone.now() + fan_out.KEEP * 2):
        call_command("purge_alerts")
    assert [alert.sent_at for alert in AccountAlert.objects.all()] == [None]
    assert not WebhookDelivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_processes_send_each_alert_once(make_user):
    user = make_user()
    endpoints.add(user, read_url("https://example.com/hook"))
    for number in range(10):
        note(user, Kind.USED_UP, balance=number)
    assert sum(concurrently(lambda _: send(), threads=4)) == 10
    assert (OutgoingMail.objects.count(), WebhookDelivery.objects.count()) == (10, 10)


class Mailbox:
    """What a real SMTP server accepted."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 – aiosmtpd calls it
        letter = message_from_bytes(envelope.content, policy=policy.default)
        self.letters.append((envelope.rcpt_tos, letter))
        return "250 OK"


def test_a_real_mail_server_takes_the_mail_in_thai(ann, settings):
    mailbox = Mailbox()
    port = find_free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        ann.language = "th"
        ann.save()
        note(ann)
        send()
        assert mails.send_due() == 1
    finally:
        server.stop()
    ((to, letter),) = mailbox.letters
    assert to == ["ann@example.com"]
    text = letter.get_body(("plain",)).get_content()
    assert "1,234" in text
    assert any("\u0e00" <= sign <= "\u0e7f" for sign in letter["subject"])
    html = letter.get_body(("html",)).get_content()
    assert "1,234" in html
    assert 'href="http://' in html
