"""A refusal wins over an approval by the same person, in every order and at every time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import AuthEvent, User
from deviceauth import device_flow
from deviceauth.exceptions import UserCodeRefusal
from deviceauth.models import DeviceCode, DeviceSession
from tests.concurrently import concurrently
from tests.deviceauth.conftest import Device
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
PAGE = "/auth/device"
REFUSED = "The device has been refused"


def open_confirmation(browser: Client, device: Device) -> str:
    """Enter the code; return the address of the page that asks."""
    answer = browser.post(PAGE, {"user_code": device.codes["user_code"]})
    assert answer.status_code == 302
    return str(answer["Location"])


def answer_in_tab(browser: Client, tab: str, decision: str) -> str:
    return extract_text(browser.post(tab, {"decision": decision}, follow=True))


def list_events(user: User) -> list[str]:
    return list(AuthEvent.objects.filter(user=user).order_by("id").values_list("kind", flat=True))


def test_a_refusal_after_allow_in_another_tab_leaves_no_device(
    person: Client, user: User, desktop: Device
) -> None:
    tabs = [open_confirmation(person, desktop.start()) for _ in range(2)]
    assert "Your device is connected" in answer_in_tab(person, tabs[0], "allow")
    assert REFUSED in answer_in_tab(person, tabs[1], "deny")
    assert desktop.poll().json()["error"] == "access_denied"
    assert not DeviceSession.objects.exists()
    assert list_events(user)[-2:] == ["code_approved", "code_denied"]


def test_a_refusal_after_redemption_ends_the_session_at_once(
    person: Client, user: User, desktop: Device
) -> None:
    tab = open_confirmation(person, desktop.start())
    answer_in_tab(person, tab, "allow")
    desktop.redeem()
    assert "refused and disconnected" in answer_in_tab(person, tab, "deny")
    assert desktop.me().status_code == 401
    assert desktop.refresh().json()["error"] == "invalid_grant"
    assert desktop.poll().json()["error"] == "access_denied"
    assert list_events(user)[-2:] == ["code_denied", "device_revoked"]


@pytest.mark.parametrize("hours", [1, 20, 24 * 6])
def test_a_refusal_in_a_forgotten_tab_hours_later_is_obeyed(
    person: Client, user: User, desktop: Device, hours: int
) -> None:
    tab = open_confirmation(person, desktop.start())
    answer_in_tab(person, tab, "allow")
    desktop.redeem()
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        assert "refused and disconnected" in answer_in_tab(person, tab, "deny")
    assert desktop.refresh().status_code == 400


def test_a_refusal_needs_no_fresh_log_in(person: Client, user: User, desktop: Device) -> None:
    tab = open_confirmation(person, desktop.start())
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        desktop.start()
        assert person.get(PAGE)["Location"].startswith("/accounts/reauthenticate/")
        sent = {"user_code": desktop.codes["user_code"], "decision": "deny"}
        assert REFUSED in extract_text(person.post(PAGE, sent, follow=True))
        assert "has expired" in answer_in_tab(person, tab, "deny")


def test_refusing_twice_is_refusing_once(person: Client, user: User, desktop: Device) -> None:
    tab = open_confirmation(person, desktop.start())
    assert REFUSED in answer_in_tab(person, tab, "deny")
    assert REFUSED in answer_in_tab(person, tab, "deny")
    assert list_events(user).count("code_denied") == 1


def test_allow_after_a_refusal_says_that_it_was_refused(person: Client, desktop: Device) -> None:
    tab = open_confirmation(person, desktop.start())
    answer_in_tab(person, tab, "deny")
    assert "You have refused this device" in answer_in_tab(person, tab, "allow")
    assert REFUSED in extract_text(person.get(tab))
    assert desktop.poll().json()["error"] == "access_denied"


def test_two_browsers_of_one_person_are_like_two_tabs(user: User, desktop: Device) -> None:
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(user)
    tabs = [
        open_confirmation(browser, desktop.start() if n == 0 else desktop)
        for n, browser in enumerate(browsers)
    ]
    answer_in_tab(browsers[0], tabs[0], "allow")
    assert REFUSED in answer_in_tab(browsers[1], tabs[1], "deny")
    assert desktop.poll().json()["error"] == "access_denied"


def test_another_account_can_neither_refuse_nor_see_what_this_one_allowed(
    person: Client, user: User, desktop: Device, make_user: Callable[..., User]
) -> None:
    bob = Client()
    bob.force_login(make_user("bob@example.com"))
    theirs, mine = open_confirmation(bob, desktop.start()), open_confirmation(person, desktop)
    answer_in_tab(person, mine, "allow")
    assert "already been used" in answer_in_tab(bob, theirs, "deny")
    assert bob.get(mine)["Location"] == f"{PAGE}?user_code={desktop.codes['user_code']}"
    assert desktop.redeem().tokens["user"]["id"] == user.pk


def test_the_page_shows_what_became_of_the_request(
    person: Client, user: User, desktop: Device
) -> None:
    tab = open_confirmation(person, desktop.start())
    assert "Does your device show exactly this code?" in extract_text(person.get(tab))
    answer_in_tab(person, tab, "allow")
    desktop.redeem()
    assert "Your device is connected" in extract_text(person.get(tab))
    desktop.post("/api/auth/device/revoke", token=desktop.tokens["refresh_token"])
    assert "no longer connected" in extract_text(person.get(tab))


def test_a_made_up_address_leads_to_the_first_step(person: Client) -> None:
    for token in ("x", "WzEsMSwiQkJCQi1CQkJCIl0:1abc:def", "\u0e01"):
        assert person.get(f"{PAGE}/confirm/{token}")["Location"] == PAGE


def test_a_refusal_needs_no_tries_that_are_left(person: Client, desktop: Device) -> None:
    tab = open_confirmation(person, desktop.start())
    for _ in range(6):
        person.post(PAGE, {"user_code": "BBBB-BBBB"})
    assert REFUSED in answer_in_tab(person, tab, "deny")


@pytest.mark.django_db(transaction=True)
def test_a_refusal_during_the_redemption_wins(user: User, desktop: Device) -> None:
    for _ in range(4):
        device = Device().start().approved_by(user)
        code = device.row

        def act(number: int, device: Device = device, code: DeviceCode = code) -> Any:
            return device_flow.deny(code=code, user=user) if number else device.poll()

        answer, _denied = concurrently(act, threads=2)
        if answer.status_code == 200:
            device.tokens = answer.json()
            assert device.me().status_code == 401
            assert device.refresh().status_code == 400
        assert not DeviceSession.objects.live().exists()
        assert device.row.status == DeviceCode.Status.DENIED


@pytest.mark.django_db(transaction=True)
def test_of_allows_and_refusals_at_once_a_refusal_wins(user: User) -> None:
    for _ in range(3):
        code = Device().start().row

        def act(number: int, pk: int = code.pk) -> str:
            row = DeviceCode.objects.get(pk=pk)
            try:
                verb = device_flow.approve if number % 2 else device_flow.deny
                return verb(code=row, user=user).status
            except UserCodeRefusal as refusal:
                return refusal.code

        outcomes = concurrently(act, threads=4)
        assert DeviceCode.objects.get(pk=code.pk).status == DeviceCode.Status.DENIED
        assert outcomes[0] == outcomes[2] == DeviceCode.Status.DENIED


def test_an_administrators_refusal_ends_what_was_redeemed_meanwhile(
    user: User, desktop: Device
) -> None:
    code = desktop.start().approved_by(user).row
    desktop.redeem()
    assert device_flow.withdraw(code=code)
    assert desktop.me().status_code == 401
    assert not device_flow.withdraw(code=code)
