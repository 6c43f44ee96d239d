"""Sign-up, log-in and log-out as a person meets them."""

import re

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User

pytestmark = pytest.mark.django_db
NEW = {"email": "Ann@Example.com", "password1": "correct horse battery"}
KNOWN = {"login": "ann@example.com", "password": "correct horse battery"}


def test_signing_up_grants_the_bonus_and_shows_it(client, settings):
    settings.SIGNUP_BONUS_CREDITS = 100
    answer = client.post("/accounts/signup/", NEW)
    assert (answer.status_code, answer["Location"]) == (302, "/account")
    assert User.objects.get(email="ann@example.com").credits == 100
    page = client.get("/account").content.decode()
    assert "Welcome bonus" in page
    assert "+100" in page


def test_a_person_from_the_device_page_returns_there_with_the_code(client, make_user):
    make_user()
    there = "/auth/device?user_code=ABCD-EFGH"
    page = client.get("/accounts/login/", {"next": there}).content.decode()
    assert "/accounts/signup/?next=%2Fauth%2Fdevice%3Fuser_code%3DABCD-EFGH" in page
    assert client.post("/accounts/login/", {**KNOWN, "next": there})["Location"] == there


def test_a_person_who_signs_up_for_a_device_returns_there_too(client):
    there = "/auth/device?user_code=ABCD-EFGH"
    assert client.post("/accounts/signup/", {**NEW, "next": there})["Location"] == there


def test_nobody_is_sent_to_another_site_after_log_in(client, make_user):
    make_user()
    answer = client.post("/accounts/login/", {**KNOWN, "next": "https://evil.example/"})
    assert answer["Location"] == "/account"


@pytest.mark.parametrize(
    "wrong", [{"password": "nope"}, {"login": "nobody@example.com"}, {"login": "a\0b"}, {"login": "x" * 9999}, {}]
)
def test_a_wrong_log_in_is_an_error_on_the_form(client, make_user, wrong):
    make_user()
    answer = client.post("/accounts/login/", {**KNOWN, **wrong} if wrong else {})
    assert answer.status_code == 200
    assert b"notice-error" in answer.content or b"fault" in answer.content
    assert "_auth_user_id" not in client.session


def test_guessing_passwords_ends_in_a_page_that_says_so(client, make_user):
    make_user()
    answers = [client.post("/accounts/login/", {**KNOWN, "password": f"guess {n}"}) for n in range(35)]
    assert answers[-1].status_code == 429
    assert "Too many tries" in answers[-1].content.decode()


def test_a_taken_address_is_refused_in_any_letter_case(client, make_user):
    make_user()
    assert client.post("/accounts/signup/", NEW).status_code == 200
    assert User.objects.count() == 1


def test_the_forms_tell_password_managers_what_is_what(client):
    login, signup = (client.get(f"/accounts/{page}/").content.decode() for page in ("login", "signup"))
    assert 'autocomplete="current-password"' in login
    assert 'autocomplete="new-password"' in signup
    assert 'autocomplete="email"' in signup
    assert 'name="password2"' not in signup


def test_a_reset_link_changes_the_password_once(client, make_user):
    user = make_user()
    client.post("/accounts/password/reset/", {"email": user.email})
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
    assert link
    form = client.get(link[1], follow=True)
    new = {"password1": "another horse battery", "password2": "another horse battery"}
    client.post(form.redirect_chain[-1][0], new)
    user.refresh_from_db()
    assert user.check_password("another horse battery")
    assert "does not work any more" in Client().get(link[1], follow=True).content.decode()


def test_resetting_does_not_say_who_has_an_account(client, make_user):
    user = make_user()
    answers = [client.post("/accounts/password/reset/", {"email": to}) for to in (user.email, "nobody@example.com")]
    assert len({answer["Location"] for answer in answers}) == 1


@pytest.mark.parametrize("path", ["password/change", "email", "logout", "password/reset"])
def test_the_pages_around_an_account_open(client, make_user, path):
    client.force_login(make_user())
    answer = client.get(f"/accounts/{path}/")
    assert answer.status_code == 200
    assert b"style=" not in answer.content
    assert b"<script" not in answer.content


@pytest.mark.parametrize("key", ["1-abc-def", "zzzzzzzzzzzzzzzzzzzzzz-x-y", "0-%F0%9F%98%80-1"])
def test_a_made_up_reset_link_is_a_clean_page(client, key):
    assert client.get(f"/accounts/password/reset/key/{key}/").status_code in {200, 404}


def test_logging_out_needs_a_post(client, make_user):
    client.force_login(make_user())
    client.get("/accounts/logout/")
    assert "_auth_user_id" in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in client.session
