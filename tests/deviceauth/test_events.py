"""Each step of device login is recorded as an access event, without a secret."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import RefreshToken

from accounts import mails
from accounts.models import AuthEvent, User
from deviceauth import device_flow
from deviceauth.models import DeviceSession
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
PAGE = "/auth/device"
AT_WORK = {"REMOTE_ADDR": "203.0.113.5", "headers": {"User-Agent": "SmartSpecPro/1.2 (Windows)"}}


def list_event_kinds(**of: Any) -> list[str]:
    return list(AuthEvent.objects.filter(**of).order_by("id").values_list("kind", flat=True))


def decide(browser: Client, device: Device, decision: str = "") -> None:
    browser.post(PAGE, {"user_code": device.codes["user_code"], "decision": decision})


def later(**ahead: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**ahead), tick=True)


def test_a_log_in_leaves_its_steps_in_order(person: Client, user: User) -> None:
    device = Device(extra=AT_WORK).start()
    device.poll()
    decide(person, device)
    decide(person, device)
    decide(person, device, "allow")
    device.redeem()
    assert list_event_kinds() == ["code_requested", "page_opened", "code_approved", "code_redeemed"]
    requested, opened, approved, redeemed = AuthEvent.objects.order_by("id")
    assert (requested.user, requested.address, requested.user_agent) == (
        None,
        "203.0.113.5",
        "SmartSpecPro/1.2 (Windows)",
    )
    assert (opened.user, approved.user, redeemed.user) == (user, user, user)
    assert (approved.address, redeemed.address) == ("127.0.0.1", "203.0.113.5")
    name = "SmartSpecPro on Windows"
    assert approved.details == {
        "code": device.row.pk,
        "client": "smartspec-desktop",
        "device": name,
    }


def test_approving_twice_is_one_event_and_one_mail(
    person: Client, user: User, desktop: Device
) -> None:
    desktop.start()
    decide(person, desktop, "allow")
    decide(person, desktop, "allow")
    assert list_event_kinds(kind="code_approved") == ["code_approved"]
    assert mails.send_due() == 1


def test_refusing_is_written_down(person: Client, user: User, desktop: Device) -> None:
    decide(person, desktop.start(), "deny")
    assert list_event_kinds(user=user) == ["code_denied"]


def test_wrong_codes_are_written_down_and_so_is_the_last_one(person: Client, user: User) -> None:
    for _ in range(6):
        person.post(PAGE, {"user_code": "BBBB-BBBB"})
    assert list_event_kinds(user=user) == ["wrong_code"] * 5 + ["tries_used_up"]


def test_a_used_code_that_comes_again_is_written_down_once(desktop: Device, user: User) -> None:
    desktop.start().approved_by(user).redeem()
    for _ in range(3):
        assert desktop.poll().json()["error"] == "invalid_grant"
    assert list_event_kinds(user=user).count("code_replayed") == 1


def test_an_old_refresh_token_ends_its_session_and_the_user_is_told(
    logged_in: Device, user: User
) -> None:
    logged_in.refresh()
    DeviceSession.objects.update(language="th")
    mails.send_due()
    logged_in.extra = {"REMOTE_ADDR": "198.51.100.9"}
    with later(seconds=61):
        for _ in range(3):
            assert logged_in.refresh().json()["error"] == "invalid_grant"
        assert mails.send_due() == 1
    assert list_event_kinds(user=user, kind="refresh_reused") == ["refresh_reused"]
    notice = mail.outbox[-1]
    assert notice.to == ["ann@example.com"]
    assert "198.51.100.9" in notice.body
    assert "เพื่อความปลอดภัย" in notice.subject


def test_a_session_that_its_device_ended_is_not_reported_as_reuse(
    logged_in: Device, user: User
) -> None:
    old = logged_in.tokens["refresh_token"]
    logged_in.post("/api/auth/device/revoke", token=old)
    with later(seconds=61):
        logged_in.refresh(old)
    assert list_event_kinds(user=user)[-1] == "device_revoked"


def test_no_event_names_a_code_or_a_token(person: Client, desktop: Device) -> None:
    decide(person, desktop.start(), "allow")
    desktop.redeem()
    stored = str(list(AuthEvent.objects.values()))
    for secret in (
        *desktop.codes.values(),
        desktop.tokens["access_token"],
        desktop.tokens["refresh_token"],
    ):
        assert isinstance(secret, int) or secret.replace("-", "") not in stored


def test_events_are_forgotten_after_their_time(desktop: Device, settings: Any) -> None:
    settings.AUTH_EVENT_KEEP_DAYS = 30
    desktop.start()
    with later(days=29):
        call_command("purge_auth_events")
        assert AuthEvent.objects.count() == 1
    with later(days=31):
        desktop.start()
        call_command("purge_auth_events")
        assert AuthEvent.objects.count() == 1


def test_a_user_hears_of_a_new_device_in_the_language_of_the_page(
    person: Client, user: User
) -> None:
    device = Device(extra=AT_WORK).start()
    person.cookies["django_language"] = "th"
    decide(person, device, "allow")
    device.redeem()
    assert DeviceSession.objects.get().language == "th"
    assert mails.send_due() == 1
    notice = mail.outbox[0]
    assert notice.to == ["ann@example.com"]
    assert "SmartSpecPro บน Windows" in notice.subject
    assert "203.0.113.5" in notice.body
    assert "/auth/device/undo/" in notice.body


def test_codes_found_by_an_address_that_guessed_device_codes_still_work(
    desktop: Device, user: User, settings: Any
) -> None:
    settings.DEVICE_UNKNOWN_CODES_RPM = 3
    desktop.start()
    answers = [desktop.poll(device_code=f"guess-{number}") for number in range(5)]
    assert [one.status_code for one in answers] == [400, 400, 400, 429, 429]
    assert answers[-1].json()["error"] == "rate_limit_exceeded"
    assert int(answers[-1]["Retry-After"]) > 0
    assert answers[-1]["Cache-Control"] == "no-store"
    assert desktop.poll().json()["error"] == "authorization_pending"
    assert desktop.approved_by(user).poll().status_code == 200


def test_codes_are_limited_by_the_hour_too(settings: Any) -> None:
    settings.DEVICE_CODE_RPH = 2
    answers = [Device().post("/api/auth/device/code") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]


def test_no_session_grows_older_than_the_operator_allows(
    logged_in: Device, user: User, settings: Any
) -> None:
    settings.DEVICE_SESSION_MAX_DAYS = 10
    with later(days=9):
        logged_in.tokens = logged_in.refresh().json()
    with later(days=11):
        assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert DeviceSession.objects.get().revoked_at
    assert not RefreshToken.objects.filter(revoked=None).exists()


def test_a_password_changed_elsewhere_ends_every_device(
    logged_in: Device, user: User, make_user: Callable[..., User]
) -> None:
    from accounts.access import end_of_access
    from accounts.toolbox.request_source import UNKNOWN

    others = Device().start().approved_by(make_user("bob@example.com")).redeem()
    waiting = Device().start().approved_by(user)
    end_of_access.end(user, source=UNKNOWN)
    assert logged_in.me().status_code == 401
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert waiting.poll().json()["error"] == "access_denied"
    assert others.me().status_code == 200
    assert list_event_kinds(user=user).count("device_revoked") == 1


def test_a_code_approved_by_nobody_is_not_ended_with_others(desktop: Device, user: User) -> None:
    from accounts.access import end_of_access
    from accounts.toolbox.request_source import UNKNOWN

    desktop.start()
    end_of_access.end(user, source=UNKNOWN)
    assert device_flow.approve(code=desktop.row, user=user).user == user
