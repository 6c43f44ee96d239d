"""Sign-up, log-in and log-out, as a user experiences them."""

import re
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User, WelcomedAddress
from credits.models import Transaction
from tests.accounts.conftest import find_code, list_event_kinds, log_in

pytestmark = pytest.mark.django_db
NEW = {"email": "Ann@Example.com", "password1": "correct horse battery"}
KNOWN = {"login": "ann@example.com", "password": "correct horse battery"}
CODE = "/accounts/confirm-email/"
DEVICE = "/auth/device?user_code=ABCD-EFGH"


def sign_up(client, **more):
    client.post("/accounts/signup/", {**NEW, **more})
    return enter_code(client)


def enter_code(client):
    cache.clear()  # the limit is one mail in ten seconds to an address
    return client.post(CODE, {"code": find_code(mail.outbox[-1])})


def test_signing_up_takes_the_code_from_the_mail_and_then_grants_the_bonus(client, settings):
    settings.SIGNUP_BONUS_CREDITS = 100
    assert client.post("/accounts/signup/", NEW)["Location"] == CODE
    user = User.objects.get(email="ann@example.com")
    assert (user.credits, client.get("/account").status_code) == (0, 302)
    assert client.post(CODE, {"code": find_code(mail.outbox[-1])})["Location"] == "/account"
    page = client.get("/account").content.decode()
    assert "Welcome bonus" in page
    assert "+100" in page
    assert list_event_kinds(user) == ["signed_up", "logged_in"]


def test_the_bonus_comes_once_however_often_an_address_is_confirmed(client, settings):
    sign_up(client)
    # The ledger would refuse another amount under the same idempotency key.
    settings.SIGNUP_BONUS_CREDITS = 50
    EmailAddress.objects.update(verified=False)
    WelcomedAddress.objects.all().delete()  # as if the key of the digests had been lost
    client.post("/accounts/logout/")
    log_in(client)
    assert enter_code(client)["Location"] == "/account"
    assert [row.amount for row in Transaction.objects.all()] == [100]


def test_a_bonus_that_fails_leaves_the_code_valid(client, monkeypatch):
    client.post("/accounts/signup/", NEW)
    client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("credits.gifts.signup_bonus.grant_signup_bonus", lambda user: 1 / 0)
        assert client.post(CODE, {"code": find_code(mail.outbox[-1])}).status_code == 500
    assert not EmailAddress.objects.get().verified
    client.post(CODE, {"code": find_code(mail.outbox[-1])})
    assert User.objects.get().credits == 100


def test_who_was_given_an_account_gets_no_bonus_for_another_address(client, make_user):
    client.force_login(make_user())
    client.post("/accounts/reauthenticate/", {"password": NEW["password1"]})
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    client.post(CODE, {"code": find_code(mail.outbox[-1])})
    assert User.objects.get().email == "new@example.com"
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("again", ["ann@example.com", "ann+2@example.com", "ANN+x+y@EXAMPLE.com"])
def test_an_address_has_one_bonus_whatever_becomes_of_the_account(client, again):
    sign_up(client)
    User.objects.update(email="gone@example.com")
    EmailAddress.objects.update(email="gone@example.com")
    other = Client()
    sign_up(other, email=again)
    assert "_auth_user_id" in other.session
    assert Transaction.objects.count() == 1


def test_a_wrong_code_lets_nobody_in_and_five_end_it(client):
    client.post("/accounts/signup/", NEW)
    answers = [client.post(CODE, {"code": "BBBB-BBBB"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [302]
    assert client.post(CODE, {"code": find_code(mail.outbox[-1])})["Location"] == "/accounts/login/"
    assert "_auth_user_id" not in client.session
    assert "log in to get a new one" in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short1x", "รหัสผ่านนี้สั้นเกินไป"),
        ("password", "รหัสผ่านนี้มีคนใช้บ่อยเกินไป"),
        ("8273645091", "รหัสผ่านนี้มีแต่ตัวเลข"),
        ("ann@example.com", "รหัสผ่านนี้คล้ายกับอีเมลเกินไป"),
    ],
)
def test_passwords_are_refused_in_thai_too(client, password, message):
    answer = client.post(
        "/accounts/signup/", {**NEW, "password1": password}, headers={"accept-language": "th"}
    )
    assert message in answer.content.decode()


def test_a_new_code_can_be_asked_for(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": None}
    client.post("/accounts/signup/", NEW)
    assert "sent a new code" not in client.get(CODE).content.decode()
    client.post(CODE, {"action": "resend"})
    assert "We have sent a new code by email." in client.get(CODE).content.decode()
    first, second = (find_code(message) for message in mail.outbox)
    assert client.post(CODE, {"code": first}).status_code == 200
    assert client.post(CODE, {"code": second})["Location"] == "/account"


def test_who_signed_up_before_there_were_codes_confirms_at_the_next_log_in(client, make_user):
    user = make_user()
    EmailAddress.objects.all().delete()
    assert client.post("/accounts/login/", {**KNOWN, "next": DEVICE})["Location"] == CODE
    assert client.post(CODE, {"code": find_code(mail.outbox[-1])})["Location"] == DEVICE
    assert EmailAddress.objects.get(user=user).verified


def test_a_person_from_the_device_page_returns_there_with_the_code(client, make_user):
    make_user()
    page = client.get("/accounts/login/", {"next": DEVICE}).content.decode()
    assert "/accounts/signup/?next=%2Fauth%2Fdevice%3Fuser_code%3DABCD-EFGH" in page
    assert client.post("/accounts/login/", {**KNOWN, "next": DEVICE})["Location"] == DEVICE


def test_a_person_who_signs_up_for_a_device_returns_there_too(client):
    assert sign_up(client, next=DEVICE)["Location"] == DEVICE


def test_nobody_is_sent_to_another_site_after_log_in(client, make_user):
    make_user()
    answer = client.post("/accounts/login/", {**KNOWN, "next": "https://evil.example/"})
    assert answer["Location"] == "/account"


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "nope"},
        {"login": "nobody@example.com"},
        {"login": "a\0b"},
        {"login": "x" * 9999},
        {},
    ],
)
def test_a_wrong_log_in_is_an_error_on_the_form(client, make_user, wrong):
    make_user()
    answer = client.post("/accounts/login/", {**KNOWN, **wrong} if wrong else {})
    assert answer.status_code == 200
    assert b"notice-error" in answer.content or b"fault" in answer.content
    assert "_auth_user_id" not in client.session


def test_signing_up_does_not_say_who_has_an_account(client, make_user):
    """The owner gets a mail; the visitor sees the same page as with a new address."""
    make_user()
    other = Client()
    answers = [
        client.post("/accounts/signup/", NEW),
        other.post("/accounts/signup/", {**NEW, "email": "b@example.com"}),
    ]
    assert answers[0]["Location"] == answers[1]["Location"] == CODE
    for sent in (None, {"code": "BBBB-BBBB"}, {"action": "change", "email": "c@example.com"}):
        pages = [
            (each.post(CODE, sent) if sent else each.get(CODE)).content.decode()
            for each in (client, other)
        ]
        assert _same(pages[0], "ann@example.com") == _same(pages[1], "b@example.com")
    assert [message.subject for message in mail.outbox] == [
        "SmartSpec: You already have an account",
        "SmartSpec: Your code to confirm this email address",
    ]
    assert User.objects.count() == 2


def _same(page, email):
    """Return a page without the parts that always differ: the address and the CSRF tokens."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.replace(email, ""))


def test_an_account_that_exists_takes_as_long_to_sign_up_for(client, make_user, monkeypatch):
    make_user()
    hashed = []
    monkeypatch.setattr(User, "set_password", lambda user, raw: hashed.append(raw))
    client.post("/accounts/signup/", NEW)
    assert hashed == [NEW["password1"]]


def test_the_forms_tell_password_managers_what_is_what(client):
    login, signup = (
        client.get(f"/accounts/{page}/").content.decode() for page in ("login", "signup")
    )
    assert 'autocomplete="current-password"' in login
    assert 'autocomplete="new-password"' in signup
    assert 'autocomplete="email"' in signup
    assert 'name="password2"' not in signup


@pytest.mark.parametrize("path", ["password/change", "email", "logout", "password/reset"])
def test_the_pages_around_an_account_open(client, make_user, path):
    client.force_login(make_user())
    answer = client.get(f"/accounts/{path}/")
    assert answer.status_code == 200
    assert b"style=" not in answer.content
    scripts = re.findall(rb"<script([^>]*)>", answer.content)
    assert all(b'src="/static/smartspec/' in attributes for attributes in scripts), scripts


def test_logging_out_needs_a_post(client, make_user):
    user = make_user()
    client.force_login(user)
    client.get("/accounts/logout/")
    assert "_auth_user_id" in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in client.session
    assert list_event_kinds(user) == ["logged_out"]


def test_a_mail_server_that_is_away_is_said_on_a_page(client, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = client.post("/accounts/signup/", NEW)
    assert answer.status_code == 503
    assert "cannot send emails" in answer.content.decode()


def test_a_sign_up_that_is_refused_for_too_many_mails_makes_no_user(client):
    for n in range(11):
        with time_machine.travel(timezone.now() + timedelta(seconds=11 * n)):
            answer = Client().post("/accounts/signup/", NEW)
        User.objects.filter(email="ann@example.com").update(email=f"other{n}@example.com")
        EmailAddress.objects.all().delete()
    assert answer.status_code == 429
    assert User.objects.count() == 10


def test_an_address_that_nobody_verifies_is_free_again_after_a_day(client, make_user):
    kept = make_user("bob@example.com")
    client.post("/accounts/signup/", NEW)
    call_command("purge_unverified")
    assert User.objects.filter(email="ann@example.com").exists()
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        call_command("purge_unverified", stdout=StringIO())
        assert "_auth_user_id" not in client.session
        assert not User.objects.filter(email="ann@example.com").exists()
        other = Client()
        sign_up(other)
        assert "_auth_user_id" in other.session
    kept.refresh_from_db()
    assert kept.is_active
