"""Mails wait in a table until they are sent, and each is sent once."""

import re
from contextlib import suppress
from email import message_from_bytes, policy
from smtplib import SMTPException

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db.transaction import atomic
from django.utils import translation
from django.utils.html import escape

from accounts import mails
from accounts.models import OutgoingMail
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db
TEMPLATE = "deviceauth/email/old_token_used"


@pytest.fixture
def waiting(make_user):
    user = make_user()
    mails.queue_mail(user, TEMPLATE, device="Firefox on Windows")
    return user


@pytest.fixture
def server_away(monkeypatch):
    def refuse(self, *args, **kwargs):
        raise SMTPException("421 later")

    monkeypatch.setattr(EmailMessage, "send", refuse)


def test_a_mail_is_sent_once(waiting):
    assert mail.outbox == []
    call_command("send_mail")
    call_command("send_mail")
    assert [(sent.to, sent.subject) for sent in mail.outbox] == [
        (["ann@example.com"], "SmartSpec: Firefox on Windows was disconnected for safety")
    ]
    assert not OutgoingMail.objects.exists()


def test_a_mail_of_something_that_was_undone_is_never_sent(make_user):
    with suppress(ZeroDivisionError), atomic():
        mails.queue_mail(make_user(), TEMPLATE, device="x")
        raise ZeroDivisionError
    assert mails.send_due() == 0


def test_a_server_that_is_away_delays_a_mail_and_loses_none(waiting, server_away, monkeypatch):
    assert mails.send_due() == 0
    kept = OutgoingMail.objects.get()
    assert kept.tries == 1
    assert 50 < (kept.next_try_at - kept.created_at).total_seconds() < 70
    assert mails.send_due() == 0
    assert OutgoingMail.objects.get().tries == 1
    monkeypatch.undo()
    OutgoingMail.objects.update(next_try_at=kept.created_at)
    assert mails.send_due() == 1


def test_after_ten_tries_a_mail_stays_in_the_table(waiting, server_away, caplog):
    for _ in range(12):
        OutgoingMail.objects.update(next_try_at="2020-01-01T00:00Z")
        mails.send_due()
    assert OutgoingMail.objects.get().tries == 10
    assert [record.levelname for record in caplog.records if "was not sent" in record.message] == (
        ["WARNING"] * 9 + ["ERROR"]
    )


def test_a_subject_is_one_line_whatever_is_in_it(make_user):
    mails.queue_mail(make_user(), TEMPLATE, device="a\r\nBcc: everybody@example.com")
    assert mails.send_due() == 1
    assert (
        mail.outbox[0].subject
        == "SmartSpec: a Bcc: everybody@example.com was disconnected for safety"
    )


def test_a_mail_is_in_the_language_asked_for(make_user):
    mails.queue_mail(make_user(), TEMPLATE, language="th", device="x")
    assert "เพื่อความปลอดภัย" in OutgoingMail.objects.get().subject
    assert translation.get_language() == "en"


@pytest.mark.django_db(transaction=True)
def test_of_many_senders_at_once_one_sends_each_mail(make_user):
    user = make_user()
    for number in range(8):
        mails.queue_mail(user, TEMPLATE, device=f"device {number}")
    assert sum(concurrently(lambda _: mails.send_due(), threads=4)) == 8
    assert len({sent.subject for sent in mail.outbox}) == len(mail.outbox) == 8


def test_the_text_of_a_waiting_mail_is_encrypted(waiting, settings, caplog):
    kept = OutgoingMail.objects.get()
    assert "replaced" in mails.decrypt_body(kept)
    assert "replaced" not in kept.body
    settings.SECRET_KEY = "x" * 50  # and with it the derived encryption key
    assert mails.send_due() == 0
    assert "was not sent" in caplog.text


def read_parts(sent):
    """Return the text, the HTML and the picture of a mail as it goes over the wire."""
    parts = message_from_bytes(sent.message().as_bytes(), policy=policy.default)
    kinds = {part.get_content_type(): part for part in parts.walk() if not part.is_multipart()}
    return (
        kinds["text/plain"].get_content(),
        kinds["text/html"].get_content(),
        kinds["image/png"],
    )


def test_each_mail_says_the_same_in_html_with_the_mark(waiting):
    mails.send_due()
    text, html, picture = read_parts(mail.outbox[0])
    for line in (line for line in text.splitlines() if line):
        assert escape(line) in html
    assert picture["Content-ID"] == "<mark>"
    assert 'src="cid:mark"' in html
    assert picture.get_content().startswith(b"\x89PNG")


def test_a_name_in_a_mail_brings_neither_markup_nor_a_link(make_user):
    name = "<b>x</b>\n\nhttps://evil.example/\n\nAB"
    mails.queue_mail(make_user(), TEMPLATE, device=name)
    mails.send_due()
    _, html, _ = read_parts(mail.outbox[0])
    assert "<b>" not in html
    assert "evil.example" in html
    assert 'href="https://evil' not in html


def test_a_mail_that_is_sent_at_once_has_html_too(client):
    client.post(
        "/accounts/signup/", {"email": "new@example.com", "password1": "correct horse battery"}
    )
    text, html, _ = read_parts(mail.outbox[0])
    [code] = re.findall(r"^[A-Z0-9-]{6,}$", text, re.MULTILINE)
    assert f'<p class="code">{code}</p>' in html
