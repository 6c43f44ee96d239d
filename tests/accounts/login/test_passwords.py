"""New passwords, set by the user, by mail, by an administrator or by a command.

Each of them ends the access granted under the old password.
"""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import RefreshToken

from accounts.access import end_of_access
from accounts.mails import decrypt_body
from accounts.models import OutgoingMail
from deviceauth.models import DeviceSession
from tests.accounts.conftest import (
    PASSWORD,
    change_in_admin,
    find_code,
    list_event_kinds,
    log_in,
    reauthenticate,
    request_reset_link,
)
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
NEW = "another horse battery"
TWICE = {"password1": NEW, "password2": NEW}


@pytest.fixture
def ann(make_user):
    return make_user()


@pytest.fixture
def device(ann):
    """A device of Ann that can refresh."""
    return Device().start().approved_by(ann).redeem()


def is_logged_in(client):
    return client.get("/account").status_code == 200


def are_devices_disconnected():
    return not DeviceSession.objects.filter(
        revoked_at=None
    ).exists() and not RefreshToken.objects.filter(revoked=None)


def choose_password(client, link):
    return client.post(client.get(link, follow=True).redirect_chain[-1][0], TWICE)


def test_changing_it_ends_all_other_browsers_and_every_device(client, ann, device, mails):
    other = Client()
    log_in(client), log_in(other)
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **TWICE})
    assert (is_logged_in(client), is_logged_in(other), are_devices_disconnected()) == (
        True,
        False,
        True,
    )
    assert list_event_kinds(ann)[-2:] == ["device_revoked", "password_changed"]


@pytest.mark.parametrize(
    ("language", "subject", "where"),
    [
        ("en", "Your password has been changed", "Firefox on Windows"),
        ("th", "เปลี่ยนรหัสผ่าน", "Firefox บน Windows"),
    ],
)
def test_the_user_gets_a_mail_in_their_language(client, ann, mails, language, subject, where):
    log_in(client)
    headers = {
        "user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0",
        "accept-language": language,
    }
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **TWICE}, headers=headers)
    assert mails[-1].to == [ann.email]
    assert mails[-1].subject.startswith(f"SmartSpec: {subject}")
    assert all(
        text in str(mails[-1].body) for text in (where, "127.0.0.1", "/accounts/password/reset/")
    )


def test_a_new_password_and_the_end_of_access_are_one_transaction(client, ann, device, monkeypatch):
    log_in(client)
    client.raise_request_exception = False
    monkeypatch.setattr(end_of_access, "_enders", [lambda user, source: 1 / 0])
    assert (
        client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **TWICE}).status_code
        == 500
    )
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


def test_a_reset_link_works_once_and_ends_everything(client, ann, device):
    other = Client()
    log_in(other)
    link = request_reset_link(client, ann.email)
    choose_password(client, link)
    ann.refresh_from_db()
    assert ann.check_password(NEW)
    assert (is_logged_in(other), are_devices_disconnected(), list_event_kinds(ann)[-1]) == (
        False,
        True,
        "password_reset",
    )
    assert "no longer works" in Client().get(link, follow=True).content.decode()


def test_a_reset_link_leads_to_the_configured_origin_only(client, ann):
    client.post("/accounts/password/reset/", {"email": ann.email}, headers={"host": "localhost"})
    assert "http://localhost" not in str(mail.outbox[-1].body)


def test_a_reset_link_is_for_an_hour(client, ann):
    link = request_reset_link(client, ann.email)
    with time_machine.travel(timezone.now() + timedelta(seconds=3700)):
        assert "no longer works" in client.get(link, follow=True).content.decode()


def test_a_reset_does_not_get_around_the_second_factor(client, ann, protect):
    protect(ann)
    choose_password(client, request_reset_link(client, ann.email))
    assert log_in(client, password=NEW)["Location"] == "/accounts/2fa/authenticate/"
    assert not is_logged_in(client)


def test_after_a_reset_the_second_factor_can_be_tried_again(client, ann, protect):
    """An intruder who knew the old password had used up the attempts."""
    _, codes = protect(ann)
    thief = Client()
    log_in(thief)
    for n in range(5):
        thief.post("/accounts/2fa/authenticate/", {"code": f"{n:06}"})
    choose_password(client, request_reset_link(client, ann.email))
    log_in(client, password=NEW)
    assert client.post("/accounts/2fa/authenticate/", {"code": codes[0]})["Location"] == "/account"


def test_resetting_does_not_say_who_has_an_account(client, ann):
    answers = [
        client.post("/accounts/password/reset/", {"email": to})
        for to in (ann.email, "nobody@example.com")
    ]
    assert len({answer["Location"] for answer in answers}) == 1
    assert [message.to for message in mail.outbox] == [[ann.email], ["nobody@example.com"]]
    assert "there is no such account" in str(mail.outbox[1].body)


@pytest.mark.parametrize("key", ["1-abc-def", "zzzzzzzzzzzzzzzzzzzzzz-x-y", "0-%F0%9F%98%80-1"])
def test_a_made_up_reset_link_is_a_clean_page(client, key):
    assert client.get(f"/accounts/password/reset/key/{key}/").status_code in {200, 404}


def test_an_administrators_new_password_ends_everything_too(client, ann, device, make_user):
    other = Client()
    log_in(other)
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    path = f"/admin/accounts/user/{ann.pk}/password/"
    assert client.post(path, {"password1": "short", "password2": "other"}).status_code == 200
    assert not are_devices_disconnected()
    client.post(path, {**TWICE, "usable_password": "true"})
    assert (is_logged_in(other), are_devices_disconnected(), list_event_kinds(ann)[-1]) == (
        False,
        True,
        "password_changed",
    )


def test_a_password_set_by_command_ends_everything_too(ann, device, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW)
    call_command("changepassword", ann.email, stdout=StringIO())
    ann.refresh_from_db()
    assert ann.check_password(NEW)
    assert (are_devices_disconnected(), list_event_kinds(ann)[-1]) == (True, "password_changed")
    assert OutgoingMail.objects.filter(
        to=ann.email, subject="SmartSpec: You have a new password"
    ).exists()


def test_a_deactivated_user_is_out_everywhere_and_stays_out(client, ann, device, make_user):
    other = Client()
    log_in(other)
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    assert change_in_admin(client, ann).status_code == 302
    assert (is_logged_in(other), are_devices_disconnected()) == (False, True)
    assert "deactivated" in list_event_kinds(ann)
    change_in_admin(client, ann, is_active="on")
    assert not is_logged_in(other)


def test_an_administrators_new_address_ends_everything_and_the_old_one_is_told(
    client, ann, device, make_user
):
    other = Client()
    log_in(other)
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    change_in_admin(client, ann, is_active="on", email="new@example.com")
    assert (
        is_logged_in(other),
        are_devices_disconnected(),
        "email_changed" in list_event_kinds(ann),
    ) == (False, True, True)
    notice = OutgoingMail.objects.get(
        subject="SmartSpec: The email address of your account has been changed"
    )
    assert (notice.to, "new@example.com" in decrypt_body(notice)) == ("ann@example.com", True)


def test_djangos_page_for_a_new_password_leads_to_ours(client, make_user):
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_a_new_address_takes_the_password_and_a_code_and_the_old_one_is_told(client, ann, mails):
    with time_machine.travel(timezone.now() - timedelta(minutes=16)):
        log_in(client)
    sent = {"email": "new@example.com", "action_add": ""}
    assert "/reauthenticate/" in client.post("/accounts/email/", sent)["Location"]
    reauthenticate(client)
    client.post("/accounts/email/", sent)
    ann.refresh_from_db()
    assert (ann.email, mails[-1].to) == ("ann@example.com", ["new@example.com"])
    answer = client.post("/accounts/confirm-email/", {"code": find_code(mails[-1])})
    ann.refresh_from_db()
    assert (answer["Location"], ann.email) == ("/account/security", "new@example.com")
    assert mails[-1].to == ["ann@example.com"]
    assert "new@example.com" in str(mails[-1].body)
    assert [each.email for each in EmailAddress.objects.filter(user=ann)] == ["new@example.com"]
    assert list_event_kinds(ann)[-1] == "email_changed"


def test_an_address_of_somebody_else_is_not_taken_over(client, ann, make_user, mails):
    make_user("bob@example.com")
    log_in(client)
    reauthenticate(client)
    client.post("/accounts/email/", {"email": "bob@example.com", "action_add": ""})
    answer = client.post("/accounts/confirm-email/", {"code": find_code(mails[-1])})
    assert answer.status_code == 200
    assert EmailAddress.objects.get(email="bob@example.com").user != ann


def test_a_change_is_not_undone_because_the_notice_cannot_be_sent(client, ann, mails, settings):
    log_in(client)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **TWICE})
    assert answer["Location"] == "/account/security"
