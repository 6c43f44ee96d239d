"""The page /account/devices, and the link in the mail about a new device."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts import mails
from accounts.models import AuthEvent, User
from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
PAGE, DEVICES = "/account/access", "/account/devices"


@pytest.fixture
def session(logged_in: Device) -> DeviceSession:
    return DeviceSession.objects.get()


def read_text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def list_urls(session: DeviceSession) -> list[str]:
    return [f"{DEVICES}/{session.pk}", f"{DEVICES}/{session.pk}/disconnect"]


def read_undo_link() -> str:
    mails.send_due()
    match = re.search(r"http://127\.0\.0\.1:8000(/auth/device/undo/\S+)", str(mail.outbox[-1].body))
    assert match
    return match[1]


def test_without_devices_it_says_what_to_do(person: Client) -> None:
    assert "No device is connected" in read_text(person.get(PAGE))


def test_it_shows_what_is_connected_and_what_that_may_do(person: Client, user: User) -> None:
    agent = {"REMOTE_ADDR": "203.0.113.5", "headers": {"User-Agent": "SmartSpecPro/1.2 (Windows)"}}
    Device(extra=agent).start(scopes=["llm:chat"]).approved_by(user).redeem()
    page = read_text(person.get(PAGE))
    for fact in (
        "SmartSpecPro on Windows",
        "203.0.113.5",
        "Use language models with your credits",
        "<time ",
    ):
        assert fact in page
    assert "Never used" not in page
    assert "Read from your connected tools" not in page


def test_what_was_ended_is_not_shown(
    person: Client, session: DeviceSession, logged_in: Device
) -> None:
    logged_in.post("/api/auth/device/revoke", token=logged_in.tokens["access_token"])
    assert "No device is connected" in read_text(person.get(PAGE))
    assert person.get(list_urls(session)[0]).status_code == 404


def test_a_device_is_renamed_and_limited(person: Client, session: DeviceSession) -> None:
    there = list_urls(session)[0]
    assert f'value="{session.name}"' in read_text(person.get(there))
    answer = person.post(there, {"name": "Office", "monthly_budget": "50"})
    assert answer["Location"] == PAGE
    session.refresh_from_db()
    assert (session.name, session.monthly_budget) == ("Office", 50)
    page = read_text(person.get(PAGE))
    assert "Office" in page
    assert "0 of 50 credits" in page
    kinds = AuthEvent.objects.order_by("-id").values_list("kind", flat=True)[:2]
    assert set(kinds) == {"device_renamed", "device_limited"}
    person.post(there, {"name": "Office", "monthly_budget": "1"})
    assert "0 of 1 credit " in read_text(person.get(PAGE))
    person.post(there, {"name": "Office", "monthly_budget": ""})
    session.refresh_from_db()
    assert session.monthly_budget is None


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": "a\0b"}, {"monthly_budget": "-1"}]
    + [{"monthly_budget": value} for value in ("1.5", "many", "99999999999")],
)
def test_a_wrong_value_is_an_error_on_the_form(
    person: Client, session: DeviceSession, wrong: dict[str, str]
) -> None:
    answer = person.post(list_urls(session)[0], {"name": "Office", "monthly_budget": "5"} | wrong)
    assert answer.status_code == 400
    assert "fault" in read_text(answer)
    assert DeviceSession.objects.get().name == session.name


def test_a_device_is_asked_about_and_disconnected(
    person: Client, session: DeviceSession, logged_in: Device
) -> None:
    there = list_urls(session)[1]
    assert session.name in read_text(person.get(there))
    assert logged_in.me().status_code == 200
    assert session.name in read_text(person.post(there, follow=True))
    assert logged_in.me().status_code == 401
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert AuthEvent.objects.filter(kind="device_revoked").count() == 1


def test_all_devices_are_disconnected_and_nobody_elses(
    person: Client, user: User, make_user: Callable[..., User]
) -> None:
    mine = [Device().start().approved_by(user).redeem() for _ in range(2)]
    others = Device().start().approved_by(make_user("bob@example.com")).redeem()
    assert "Disconnect these devices" in read_text(person.get(f"{DEVICES}/disconnect"))
    assert "All your devices have been disconnected" in read_text(
        person.post(f"{DEVICES}/disconnect", follow=True)
    )
    assert [device.me().status_code for device in (*mine, others)] == [401, 401, 200]


def test_somebody_elses_device_is_not_there(
    session: DeviceSession, make_user: Callable[..., User]
) -> None:
    browser = Client()
    browser.force_login(make_user("bob@example.com"))
    for there in list_urls(session):
        for send in (browser.get, browser.post):
            assert send(there, {"name": "Mine"}).status_code == 404
    session.refresh_from_db()
    assert (session.name, session.revoked_at) == ("Unknown device", None)


@pytest.mark.parametrize("pk", [0, 2**31, 2**63, 10**30])
def test_an_unknown_device_is_404(person: Client, pk: int) -> None:
    assert person.get(f"{DEVICES}/{pk}").status_code == 404


def test_nothing_is_done_without_log_in_or_csrf_token(session: DeviceSession, user: User) -> None:
    stranger, browser = Client(), Client(enforce_csrf_checks=True)
    browser.force_login(user)
    for there in (PAGE, f"{DEVICES}/disconnect", *list_urls(session)):
        assert stranger.get(there)["Location"] == f"/accounts/login/?next={there}"
        assert browser.post(there).status_code in (403, 405)
    assert DeviceSession.objects.get().revoked_at is None


def test_the_link_in_the_mail_asks_and_then_disconnects_without_log_in(
    person: Client, user: User
) -> None:
    device = Device().start()
    person.post("/auth/device", {"user_code": device.codes["user_code"], "decision": "allow"})
    device.redeem()
    link, stranger = read_undo_link(), Client()
    question = stranger.get(link)
    assert "Disconnect the device?" in read_text(question)
    assert (question["Cache-Control"], question["Referrer-Policy"]) == ("no-store", "strict-origin")
    assert device.me().status_code == 200
    assert "The device has been disconnected" in read_text(stranger.post(link, follow=True))
    assert device.me().status_code == 401
    assert "no longer connected" in read_text(stranger.post(link, follow=True))
    assert "no longer connected" in read_text(stranger.get(link))


def test_the_link_stops_a_device_that_has_not_redeemed_yet(person: Client, user: User) -> None:
    device = Device().start()
    person.post("/auth/device", {"user_code": device.codes["user_code"], "decision": "allow"})
    undone = Client().post(read_undo_link(), follow=True)
    assert "The device has been disconnected" in read_text(undone)
    assert device.poll().json()["error"] == "access_denied"
    assert DeviceCode.objects.get().status == DeviceCode.Status.DENIED


@pytest.mark.parametrize("token", ["x", "a:b:c", "IjEi:1:abc", "é"])
def test_a_made_up_link_ends_nothing(session: DeviceSession, token: str) -> None:
    for send in (Client().get, Client().post):
        answer = send(f"/auth/device/undo/{token}")
        assert answer.status_code == 404
        assert "This link does not work" in read_text(answer)
    assert DeviceSession.objects.get().revoked_at is None


def test_an_old_link_ends_nothing(person: Client, user: User, settings: Any) -> None:
    device = Device().start()
    person.post("/auth/device", {"user_code": device.codes["user_code"], "decision": "allow"})
    link = read_undo_link()
    settings.DEVICE_UNDO_SECONDS = -1
    assert Client().post(link).status_code == 404
    assert device.redeem()
