"""Sessions are stored under a digest, so a copy of the database does not give access to them."""

import pytest
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.login.sessions import SessionStore, digest_cookie

pytestmark = pytest.mark.django_db
KNOWN = {"login": "ann@example.com", "password": "correct horse battery"}


@pytest.fixture
def surfer(make_user):
    make_user()
    surfer = Client()
    assert surfer.post("/accounts/login/", KNOWN).status_code == 302
    return surfer


def is_logged_in(cookie):
    stranger = Client()
    stranger.cookies["sessionid"] = cookie
    return stranger.get("/account").status_code == 200


def test_the_database_does_not_hold_what_the_cookie_does(surfer):
    cookie = surfer.cookies["sessionid"].value
    kept = Session.objects.get()
    assert kept.session_key == digest_cookie(cookie) != cookie
    assert cookie not in kept.session_data
    assert is_logged_in(cookie)
    assert not is_logged_in(kept.session_key)


def test_the_cookie_changes_at_log_in_and_ends_at_log_out(surfer):
    visitor = Client()
    visitor.cookies["sessionid"] = "chosen-by-somebody-else"
    visitor.post("/accounts/login/", KNOWN)
    given = visitor.cookies["sessionid"].value
    assert given != "chosen-by-somebody-else"
    assert is_logged_in(given)
    visitor.post("/accounts/logout/")
    assert not is_logged_in(given)


def test_a_session_that_goes_on_keeps_its_cookie(surfer):
    cookie = surfer.cookies["sessionid"].value
    surfer.get("/accounts/reauthenticate/")
    surfer.post("/accounts/reauthenticate/", {"password": KNOWN["password"]})
    assert is_logged_in(surfer.cookies["sessionid"].value)
    assert surfer.cookies["sessionid"].value == cookie


def test_the_data_of_a_session_is_encrypted(surfer, settings):
    surfer.get("/auth/device?user_code=BCDF-GHJK")
    session = surfer.session
    session["note"] = "123456"
    session.save()
    assert surfer.session["note"] == "123456"
    kept = Session.objects.get(session_key=session.session_key).session_data
    assert "123456" not in kept
    assert db.SessionStore().decode(kept) == {}
    settings.SECRET_KEY = "x" * 50
    assert dict(surfer.session.items()) == {}


def test_the_server_can_end_a_session_by_its_key(surfer):
    SessionStore().delete(Session.objects.get().session_key)
    assert not is_logged_in(surfer.cookies["sessionid"].value)


@pytest.mark.parametrize("cookie", ["", "x", "x" * 4000, "é", "a;b"])
def test_a_made_up_cookie_is_a_visitor(cookie):
    assert not is_logged_in(cookie)
