"""The page /account/security: browsers and events, and the cost of recording them."""

from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.access import browsers, events
from accounts.access.events import Kind
from accounts.toolbox.request_source import UNKNOWN
from tests.accounts.conftest import list_event_kinds, log_in

pytestmark = pytest.mark.django_db
PAGE = "/account/security"
WINDOWS = {"user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/140.0"}


@pytest.fixture
def ann(make_user):
    return make_user()


def list_shown_browsers(client):
    return client.get(PAGE).context["browsers"]


def test_the_page_asks_for_log_in_and_leads_back(client):
    assert client.get(PAGE)["Location"] == f"/accounts/login/?next={PAGE}"


def test_the_page_is_only_looked_at(client, ann):
    client.force_login(ann)
    assert client.post(PAGE).status_code == 405


def test_it_says_which_browsers_are_logged_in_and_which_is_this(client, ann):
    other = Client(headers=WINDOWS)
    log_in(other, REMOTE_ADDR="198.51.100.7")
    log_in(client)
    assert {(row["name"], row["is_this"]) for row in list_shown_browsers(client)} == {
        ("Firefox on Windows", False),
        ("Unknown device", True),
    }
    assert "198.51.100.7" in client.get(PAGE).content.decode()


def test_one_other_browser_is_logged_out(client, ann):
    other, third = Client(headers=WINDOWS), Client()
    for each in (other, third, client):
        log_in(each)
    [row] = [row for row in list_shown_browsers(client) if row["name"] == "Firefox on Windows"]
    client.post(f"/account/security/browsers/{row['row'].pk}/end")
    assert [each.get(PAGE).status_code for each in (other, third, client)] == [302, 200, 200]
    assert list_event_kinds(ann)[-1] == "session_ended"


def test_all_others_are_logged_out(client, ann):
    others = [Client(), Client()]
    for each in (*others, client):
        log_in(each)
    client.post("/account/security/browsers/end")
    assert [each.get(PAGE).status_code for each in (*others, client)] == [302, 302, 200]


def test_nobody_ends_a_browser_of_somebody_else(client, ann, make_user):
    log_in(client)
    row = UserSession.objects.get(user=ann)
    other = Client()
    other.force_login(make_user("bob@example.com"))
    assert other.post(f"/account/security/browsers/{row.pk}/end").status_code == 404
    assert client.get(PAGE).status_code == 200


@pytest.mark.parametrize("path", ["browsers/end", "browsers/1/end"])
def test_ending_needs_a_post_and_a_log_in(client, ann, path):
    assert client.post(f"{PAGE}/{path}")["Location"].startswith("/accounts/login/")
    client.force_login(ann)
    assert client.get(f"{PAGE}/{path}").status_code == 405


def test_it_shows_the_newest_events_of_this_user_alone(client, ann, make_user):
    for _ in range(25):
        events.record(Kind.LOGGED_OUT, user=ann, source=UNKNOWN)
    log_in(Client(), make_user("bob@example.com").email)
    client.force_login(ann)
    shown = client.get(PAGE).context["events"]
    assert {str(event["row"]) for event in shown} == {"Logged out"}
    assert len(shown) == 20


def test_failed_log_ins_are_counted_and_hide_nothing(client, ann):
    events.record(Kind.PASSWORD_CHANGED, user=ann, source=UNKNOWN)
    with time_machine.travel(timezone.now() - timedelta(days=31)):
        events.record(Kind.LOG_IN_FAILED, user=ann, source=UNKNOWN)
    for _ in range(25):
        events.record(Kind.LOG_IN_FAILED, user=ann, source=UNKNOWN)
    client.force_login(ann)
    page = client.get(PAGE).content.decode()
    assert "25 logins failed in the last 30 days" in page
    assert "Password changed" in page


def test_events_name_the_device_the_key_and_the_administrator(client, ann):
    events.record(Kind.CODE_REDEEMED, user=ann, source=UNKNOWN, device="SmartSpecPro on macOS")
    events.record(Kind.KEY_CREATED, user=ann, source=UNKNOWN, id=1, name="Nightly build")
    client.force_login(ann)
    page = client.get(PAGE).content.decode()
    assert "SmartSpecPro on macOS" in page
    assert "Nightly build" in page
    assert "by an administrator" not in page
    events.record(Kind.PASSWORD_CHANGED, user=ann, source=UNKNOWN, by="administrator")
    assert "by an administrator" in client.get(PAGE).content.decode()


def test_what_somebody_named_cannot_bring_markup_into_the_page(client, ann):
    log_in(client, headers={"user-agent": "<b>bold</b>"})
    assert "<b>bold" not in client.get(PAGE).content.decode()


def test_when_a_browser_was_seen_is_written_every_few_minutes(client, ann):
    client.force_login(ann)
    client.get("/")
    first = UserSession.objects.get().last_seen_at
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        client.get("/")
    assert UserSession.objects.get().last_seen_at == first
    with time_machine.travel(timezone.now() + timedelta(seconds=400)):
        client.get("/")
    assert UserSession.objects.get().last_seen_at > first


@pytest.mark.parametrize("path", ["/v1/models", "/api/auth/me"])
def test_routes_of_programs_note_nothing(client, ann, path):
    client.force_login(ann)
    assert client.get(path).status_code == 200
    assert not UserSession.objects.exists()


@pytest.mark.parametrize(
    "address", ["", "unknown", "fe80::1%eth0", "::ffff:198.51.100.7", "2001:db8::1"]
)
def test_whatever_the_proxy_says_a_person_gets_in(client, ann, settings, address):
    settings.TRUSTED_PROXIES = 1
    assert log_in(client, headers={"x-forwarded-for": address})["Location"] == "/account"


def test_the_tick_forgets_browsers_whose_session_is_gone(client, ann):
    log_in(client)
    client.session.delete()
    call_command("tick", verbosity=0)
    assert not browsers.list_known(ann).exists()
