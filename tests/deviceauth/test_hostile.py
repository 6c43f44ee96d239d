"""Attacks on the device login, and the responses to them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.transaction import atomic
from django.test import Client
from oauth2_provider.models import AccessToken, RefreshToken

from accounts.access import end_of_access
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import UNKNOWN, client_address, network
from deviceauth import device_flow, device_sessions
from deviceauth.exceptions import InvalidGrant, LoggedOut
from deviceauth.models import DeviceCode, DeviceSession
from tests.concurrently import concurrently
from tests.deviceauth.conftest import CODE, Device, send

PAGE, VERIFY = "/auth/device", "/api/auth/device/verify"


@pytest.mark.django_db(transaction=True)
def test_a_repeated_refresh_while_the_session_ends_starts_no_branch(logged_in: Device) -> None:
    """A successor token that is being deleted can still be read, but must not be used."""
    first = logged_in.refresh()
    session, answers = DeviceSession.objects.get(), []

    def repeat() -> None:
        answers.append(logged_in.refresh())
        connection.close()

    repeating = threading.Thread(target=repeat)
    with atomic():
        device_sessions.revoke(session=session)
        repeating.start()
        repeating.join(1)  # it waits for our lock
        assert not answers
    repeating.join(10)
    assert answers[0].json()["error"] == "invalid_grant"
    assert logged_in.refresh(first.json()["refresh_token"]).json()["error"] == "invalid_grant"
    assert not AccessToken.objects.exists()
    assert not RefreshToken.objects.filter(revoked=None).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["disconnect", "password"])
def test_no_device_outlives_its_end_by_repeating_refreshes(user: User, end: str) -> None:
    for _ in range(5):
        device = Device().start().approved_by(user).redeem()
        device.refresh()
        session = DeviceSession.objects.latest("pk")

        def act(number: int) -> None:
            if number:
                device.refresh()  # noqa: B023
            elif end == "password":
                end_of_access.end(user, source=UNKNOWN)
            else:
                device_sessions.revoke(session=session)  # noqa: B023

        concurrently(act, threads=6)
        assert not AccessToken.objects.exists()
        assert not RefreshToken.objects.filter(revoked=None).exists()


@pytest.mark.django_db
def test_a_session_that_is_over_is_not_touched_again(logged_in: Device) -> None:
    family = DeviceSession.objects.get().token_family
    DeviceSession.objects.update(revoked_at="2026-01-01T00:00Z")
    with pytest.raises(InvalidGrant):
        device_sessions.touch(token_family=family, source=UNKNOWN)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"password": "other"}, {"is_active": False}])
def test_an_approval_does_not_outrun_a_changed_password(
    desktop: Device, user: User, change: dict[str, Any]
) -> None:
    code = desktop.start().row
    User.objects.filter(pk=user.pk).update(**change)
    with pytest.raises(LoggedOut):
        device_flow.approve(code=code, user=user)
    assert desktop.row.status == DeviceCode.Status.PENDING


@pytest.mark.django_db(transaction=True)
def test_an_approval_waits_for_a_password_that_is_being_changed(
    desktop: Device, user: User
) -> None:
    code, outcomes = desktop.start().row, []

    def approve() -> None:
        try:
            device_flow.approve(code=code, user=user)
        except LoggedOut as refusal:
            outcomes.append(refusal.code)
        finally:
            connection.close()

    approving = threading.Thread(target=approve)
    with atomic():
        User.objects.filter(pk=user.pk).update(password="new")
        end_of_access.end(user, source=UNKNOWN)
        approving.start()
        approving.join(1)
        assert outcomes == []
    approving.join(10)
    assert outcomes == ["logged_out"]


@pytest.mark.django_db
def test_nobody_uses_up_the_tries_of_who_is_logged_in(person: Client, desktop: Device) -> None:
    desktop.start()
    answers = [Client().get(VERIFY, {"user_code": "BBBB-BBBB"}).status_code for _ in range(22)]
    assert answers[-1] == 429
    page = person.post(PAGE, {"user_code": desktop.codes["user_code"]}, follow=True)
    assert "SmartSpecPro" in page.content.decode()


@pytest.mark.django_db
def test_a_page_of_another_site_uses_up_nothing() -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    form = send(CODE, {"client_id": "smartspec-desktop"}, form=True, headers=elsewhere)
    assert (form.status_code, form.json()["error"]) == (403, "invalid_request")
    image = Client().get(
        VERIFY, {"user_code": "BBBB-BBBB"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert image.status_code == 403
    assert not AuthEvent.objects.exists()
    webview = {"Sec-Fetch-Site": "cross-site", "Origin": "tauri://localhost"}
    assert send(CODE, {}, headers=webview).status_code == 200


@pytest.mark.django_db
def test_a_narrower_access_token_narrows_none_that_follows(television: Device, user: User) -> None:
    television.start(scope="llm:chat mcp:read").approved_by(user).redeem()
    narrow = television.refresh(scope="mcp:read").json()
    assert narrow["scope"] == "mcp:read"
    assert television.refresh(narrow["refresh_token"]).json()["scope"] == "llm:chat mcp:read"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a\x01b", "a\u202eb"])
def test_a_device_has_a_name_that_can_be_read(person: Client, logged_in: Device, name: str) -> None:
    pk = DeviceSession.objects.get().pk
    assert person.post(f"/account/devices/{pk}", {"name": name}).status_code == 400
    assert person.post(f"/account/devices/{pk}", {"name": "a\r\nb"}).status_code == 302
    assert DeviceSession.objects.get().name == "a b"


@pytest.mark.django_db
def test_renaming_is_limited_per_hour(person: Client, logged_in: Device, settings: Any) -> None:
    settings.DEVICE_CHANGES_PER_HOUR = 2
    session = DeviceSession.objects.get()
    for name in ("one", "two", "three"):
        person.post(f"/account/devices/{session.pk}", {"name": name})
    session.refresh_from_db()
    assert session.name == "two"


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
    ],
)
def test_a_proxy_may_write_ports_and_mapped_addresses(
    rf: Any, settings: Any, forwarded: str, counted: str
) -> None:
    settings.TRUSTED_PROXIES = 1
    assert network(client_address(rf.get("/", headers={"X-Forwarded-For": forwarded}))) == counted


@pytest.mark.django_db
def test_an_event_of_an_administrator_has_no_address_of_theirs(
    logged_in: Device, user: User, make_user: Callable[..., User]
) -> None:
    operator = Client()
    operator.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    chosen = {
        "action": "revoke",
        "_selected_action": str(DeviceSession.objects.get().pk),
        "confirm": "1",
        "key": "k",
    }
    operator.post("/admin/deviceauth/devicesession/", chosen)
    event = AuthEvent.objects.get(kind="device_revoked")
    assert (event.user, event.address, event.user_agent) == (user, "", "")
    assert event.details["by"] == "administrator"
