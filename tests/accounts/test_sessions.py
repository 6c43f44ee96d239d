"""A browser's session is kept under a digest: who reads the database cannot take it over."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.sessions import SessionStore, digest

pytestmark = pytest.mark.django_db
KNOWN = {"login": "ann@example.com", "password": "correct horse battery"}


@pytest.fixture
def browser(make_user):
    make_user()
    browser = Client()
    assert browser.post("/accounts/login/", KNOWN).status_code == 302
    return browser


def logged_in(cookie):
    stranger = Client()
    stranger.cookies["sessionid"] = cookie
    return stranger.get("/account").status_code == 200


def test_the_database_does_not_hold_what_the_cookie_does(browser):
    cookie = browser.cookies["sessionid"].value
    kept = Session.objects.get()
    assert kept.session_key == digest(cookie) != cookie
    assert cookie not in kept.session_data
    assert logged_in(cookie)
    assert not logged_in(kept.session_key)


def test_the_cookie_changes_at_log_in_and_ends_at_log_out(browser):
    visitor = Client()
    visitor.cookies["sessionid"] = "chosen-by-somebody-else"
    visitor.post("/accounts/login/", KNOWN)
    given = visitor.cookies["sessionid"].value
    assert given != "chosen-by-somebody-else"
    assert logged_in(given)
    visitor.post("/accounts/logout/")
    assert not logged_in(given)


def test_a_session_that_goes_on_keeps_its_cookie(browser):
    cookie = browser.cookies["sessionid"].value
    browser.get("/accounts/reauthenticate/")
    browser.post("/accounts/reauthenticate/", {"password": KNOWN["password"]})
    assert logged_in(browser.cookies["sessionid"].value)
    assert browser.cookies["sessionid"].value == cookie


def test_the_server_can_end_a_session_by_its_key(browser):
    SessionStore().delete(Session.objects.get().session_key)
    assert not logged_in(browser.cookies["sessionid"].value)


@pytest.mark.parametrize("cookie", ["", "x", "x" * 4000, "é", "a;b"])
def test_a_made_up_cookie_is_a_visitor(cookie):
    assert not logged_in(cookie)
