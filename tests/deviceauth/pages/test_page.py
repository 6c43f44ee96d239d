"""The page /auth/device: the steps enter and confirm, and the result."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import User
from deviceauth import device_flow
from deviceauth.exceptions import ExpiredUserCode
from deviceauth.models import DeviceCode
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
PAGE = "/auth/device"


def read_text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def enter(browser: Client, user_code: str) -> Any:
    return browser.post(PAGE, {"user_code": user_code}, follow=True)


def decide(browser: Client, device: Device, decision: str) -> Any:
    sent = {"user_code": device.codes["user_code"], "decision": decision}
    return browser.post(PAGE, sent, follow=True)


def test_a_person_enters_confirms_and_is_done(person: Client, user: User, desktop: Device) -> None:
    desktop.start()
    assert "Enter the code" in read_text(person.get(PAGE))
    assert "SmartSpecPro" in read_text(enter(person, desktop.codes["user_code"]))
    assert "Your device is connected" in read_text(decide(person, desktop, "allow"))
    assert desktop.redeem().tokens["user"]["id"] == user.pk


def test_the_confirm_step_says_who_asks_for_what_when_and_from_where(person: Client) -> None:
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X) SmartSpecPro/1.2"
    extra = {"REMOTE_ADDR": "203.0.113.5", "headers": {"User-Agent": agent}}
    desktop = Device(extra=extra).start(scopes=["llm:chat", "mcp:write"])
    page = read_text(enter(person, desktop.codes["user_code"]))
    for fact in (
        "SmartSpecPro to your account",
        "Use language models with your credits",
        "Make changes through your connected tools",
        "ann@example.com",
        desktop.codes["user_code"],
        "now",
        "203.0.113.5",
        "SmartSpecPro on macOS",
        "Allow",
        "Refuse: I did not start this",
    ):
        assert fact in page
    assert "Read from your connected tools" not in page


@pytest.mark.parametrize(
    ("asked_from", "warned"),
    [
        ("127.0.0.1", False),
        ("203.0.113.5", True),
        ("2001:db8:1:2::5", True),
        ("not an address", True),
    ],
)
def test_a_request_from_another_address_is_warned_about(
    person: Client, asked_from: str, warned: bool
) -> None:
    device = Device(extra={"REMOTE_ADDR": asked_from}).start()
    assert ("another IP address" in read_text(enter(person, device.codes["user_code"]))) is warned


def test_the_two_stacks_of_one_household_are_one_network(person: Client) -> None:
    device = Device(extra={"REMOTE_ADDR": "2001:db8:1:2::5"}).start()
    here = {"user_code": device.codes["user_code"]}
    near, far = (
        read_text(person.post(PAGE, here, follow=True, REMOTE_ADDR=address))
        for address in ("2001:db8:1:2::beef", "2001:db8:1:3::5")
    )
    assert ("another IP address" in near, "another IP address" in far) == (False, True)


def test_it_says_who_made_the_application(
    person: Client, television: Device, desktop: Device
) -> None:
    pages = [
        read_text(enter(person, device.start().codes["user_code"]))
        for device in (desktop, television)
    ]
    assert ["not made by SmartSpec" in page for page in pages] == [False, True]
    assert "A television to your account" in pages[1]


def test_who_logged_in_long_ago_proves_who_they_are_first(user: User, desktop: Device) -> None:
    browser = Client()
    browser.post(
        "/accounts/login/", {"login": "ann@example.com", "password": "correct horse battery"}
    )
    user_code = desktop.start().codes["user_code"]
    there = f"/accounts/reauthenticate/?next=%2Fauth%2Fdevice%3Fuser_code%3D{user_code}"
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        desktop.start()
        there = there.replace(user_code, desktop.codes["user_code"])
        for decision in ("", "allow"):
            assert decide(browser, desktop, decision).redirect_chain == [(there, 302)]
        authorize = browser.post(
            "/api/auth/device/authorize", {"user_code": user_code}, "application/json"
        )
        assert authorize.status_code == 401
        page = f"{PAGE}?user_code={desktop.codes['user_code']}"
        back = browser.post(there, {"password": "correct horse battery", "next": page})
        assert back["Location"] == page
        assert "Your device is connected" in read_text(decide(browser, desktop, "allow"))


def test_the_code_in_the_link_is_filled_in_and_still_to_be_compared(
    person: Client, desktop: Device
) -> None:
    user_code = desktop.start().codes["user_code"]
    page = read_text(person.get(PAGE, {"user_code": user_code.lower().replace("-", "")}))
    assert f'value="{user_code}"' in page
    assert "Compare this code" in page


@pytest.mark.parametrize("typed", ['"><script>', "\0", "é" * 8, "x" * 3000])
def test_what_cannot_be_a_code_is_not_repeated(person: Client, typed: str) -> None:
    answer = person.post(PAGE, {"user_code": typed})
    assert answer.status_code == 400
    assert 'value=""' in read_text(answer)
    assert "eight letters" in read_text(answer)


def test_a_get_never_approves(person: Client, desktop: Device) -> None:
    user_code = desktop.start().codes["user_code"]
    for query in (
        {"user_code": user_code, "decision": "allow"},
        {"user_code": user_code, "confirm": "1"},
    ):
        person.get(PAGE, query)
        person.head(PAGE, query)
    assert desktop.row.status == DeviceCode.Status.PENDING


def test_entering_a_code_does_not_approve_it(person: Client, desktop: Device) -> None:
    enter(person, desktop.start().codes["user_code"])
    decide(person, desktop, "perhaps")
    assert desktop.row.status == DeviceCode.Status.PENDING
    assert desktop.row.user is None


def test_an_answer_needs_a_csrf_token(user: User, desktop: Device) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    desktop.start()
    assert decide(browser, desktop, "allow").status_code == 403
    assert desktop.row.status == DeviceCode.Status.PENDING


def test_the_form_carries_its_csrf_token(user: User, desktop: Device) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    values = {"user_code": desktop.start().codes["user_code"], "decision": "allow"}
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', read_text(browser.get(PAGE)))
    assert token is not None
    answer = browser.post(PAGE, values | {"csrfmiddlewaretoken": token[1]}, follow=True)
    assert answer.status_code == 200


def test_refusing_ends_the_code(person: Client, desktop: Device) -> None:
    desktop.start()
    assert "has been refused" in read_text(decide(person, desktop, "deny"))
    assert desktop.poll().json()["error"] == "access_denied"
    answer = decide(person, desktop, "allow")
    assert answer.status_code == 404
    assert "You have refused this device" in read_text(answer)
    assert desktop.poll().json()["error"] == "access_denied"


def test_an_unknown_code_is_reported_on_the_form(person: Client) -> None:
    answer = enter(person, "BBBB-BBBB")
    assert answer.status_code == 404
    assert "do not know this code" in read_text(answer)
    assert 'value="BBBB-BBBB"' in read_text(answer)
    assert "Compare this code" not in read_text(answer)


@pytest.mark.parametrize("decision", ["", "allow", "deny"])
def test_an_expired_code_says_so_at_every_step(
    person: Client, desktop: Device, decision: str
) -> None:
    desktop.start()
    with time_machine.travel(timezone.now() + timedelta(seconds=601)):
        person.force_login(User.objects.get())
        answer = decide(person, desktop, decision)
    assert answer.status_code == 410
    assert "has expired" in read_text(answer)
    assert desktop.row.status == DeviceCode.Status.PENDING


def test_a_code_that_expires_while_it_is_approved_is_refused(user: User, desktop: Device) -> None:
    code = desktop.start().row
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=601)),
        pytest.raises(ExpiredUserCode),
    ):
        device_flow.approve(code=code, user=user)


def test_a_used_code_says_so(person: Client, user: User, desktop: Device) -> None:
    desktop.start().approved_by(user).redeem()
    answer = enter(person, desktop.codes["user_code"])
    assert answer.status_code == 404
    assert "already been used" in read_text(answer)


def test_a_second_user_cannot_take_an_approved_code_over(
    person: Client, user: User, desktop: Device, make_user: Callable[..., User]
) -> None:
    bob = make_user("bob@example.com")
    desktop.start().approved_by(bob)
    for decision in ("allow", "deny"):
        assert decide(person, desktop, decision).status_code == 404
    assert desktop.redeem().tokens["user"]["id"] == bob.pk


def test_looking_at_a_code_does_not_claim_it(
    person: Client, user: User, desktop: Device, make_user: Callable[..., User]
) -> None:
    other = Client()
    other.force_login(make_user("bob@example.com"))
    enter(other, desktop.start().codes["user_code"])
    decide(person, desktop, "allow")
    assert desktop.redeem().tokens["user"]["id"] == user.pk


def test_too_many_wrong_codes_say_so_even_for_a_right_one(person: Client, desktop: Device) -> None:
    desktop.start()
    for _ in range(5):
        enter(person, "BBBB-BBBB")
    answer = enter(person, desktop.codes["user_code"])
    assert answer.status_code == 429
    assert "Too many wrong codes" in read_text(answer)
    assert int(answer["Retry-After"]) > 0
    assert decide(person, desktop, "allow").status_code == 429


@pytest.mark.parametrize("method", ["get", "post"])
def test_logging_in_on_the_way_keeps_the_code(
    user: User, desktop: Device, method: str, make_user: Callable[..., User]
) -> None:
    user_code = desktop.start().codes["user_code"]
    browser = Client()
    answer = getattr(browser, method)(PAGE, {"user_code": user_code})
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next=/auth/device%3Fuser_code%3D{user_code}"
    login = {"login": "ann@example.com", "password": "correct horse battery"}
    back = browser.post(answer["Location"], login)
    assert back["Location"] == f"/auth/device?user_code={user_code}"
    assert user_code in read_text(browser.get(back["Location"]))


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_step_is_stored_framed_or_told_to_others(
    person: Client, desktop: Device, method: str
) -> None:
    desktop.start()
    answer = getattr(person, method)(PAGE, {"user_code": desktop.codes["user_code"]})
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "strict-origin"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_the_page_has_no_inline_script_or_style(person: Client, desktop: Device) -> None:
    own = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=")
    pages = [
        person.get(PAGE),
        enter(person, desktop.start().codes["user_code"]),
        enter(person, "BBBB-BBBB"),
    ]
    assert not any(own.search(read_text(page)) for page in pages)


def test_a_wrong_method_is_refused(person: Client) -> None:
    assert person.put(PAGE).status_code == 405


def test_an_attempt_refused_for_its_network_costs_the_account_nothing(
    person: Client, settings: Any
) -> None:
    settings.DEVICE_WRONG_CODES_PER_ADDRESS = 1

    def guess(address: str) -> int:
        return int(person.post(PAGE, {"user_code": "BBBB-BBBB"}, REMOTE_ADDR=address).status_code)

    assert [guess("203.0.113.1") for _ in range(9)] == [404] + [429] * 8
    assert [guess(f"203.0.113.{number}") for number in range(2, 7)] == [404] * 4 + [429]
