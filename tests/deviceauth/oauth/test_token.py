"""POST /api/auth/device/token with a device code (RFC 8628 §3.4, §3.5)."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken

from accounts.models import User
from deviceauth import device_flow
from deviceauth.exceptions import InvalidGrant
from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import DEVICE_CODE, TOKEN, Device, make_application, send

pytestmark = pytest.mark.django_db


def later(**ahead: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**ahead), tick=True)


def read_refusal(answer: Any) -> tuple[int, str]:
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, answer.json()["error"]


def test_a_pending_code_says_so(device: Device) -> None:
    assert read_refusal(device.start().poll()) == (400, "authorization_pending")


def test_an_approved_code_gives_tokens(desktop: Device, user: User) -> None:
    answer = desktop.start().approved_by(user).poll()
    body = answer.json()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["scope"] == "llm:chat mcp:read"
    assert body["user"] == {
        "id": user.pk,
        "openId": user.public_id,
        "name": "Ann",
        "email": "ann@example.com",
        "credits": 0,
        "plan": "free",
    }


def test_only_the_desktop_learns_who_the_user_is(television: Device, user: User) -> None:
    body = television.start().approved_by(user).poll().json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}


def test_a_code_works_once(device: Device, user: User) -> None:
    device.start().approved_by(user).redeem()
    assert read_refusal(device.poll()) == (400, "invalid_grant")
    assert (AccessToken.objects.count(), DeviceSession.objects.count()) == (1, 1)


def test_a_denied_code_says_so_however_often_it_is_asked(device: Device, user: User) -> None:
    device_flow.deny(code=device.start().row, user=user)
    for _ in range(5):
        answer = device.poll()
        assert read_refusal(answer) == (400, "access_denied")
        assert "expired" not in answer.content.decode()


@pytest.mark.parametrize("approved", [True, False])
def test_an_expired_code_says_so_in_a_word_the_desktop_knows(
    device: Device, user: User, approved: bool
) -> None:
    device.start()
    if approved:
        device.approved_by(user)
    with later(seconds=601):
        answer = device.poll()
    assert read_refusal(answer) == (400, "expired_token")
    assert "expired" in answer.json()["error_description"]


def test_an_unknown_code_is_an_invalid_grant(device: Device) -> None:
    device.start()
    assert read_refusal(device.poll(device_code="never-issued")) == (400, "invalid_grant")


def test_a_poll_without_a_code_is_an_invalid_request(device: Device) -> None:
    assert read_refusal(device.post(TOKEN, grant_type=DEVICE_CODE)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        ("", "invalid_request"),
        ("password", "unsupported_grant_type"),
        ("client_credentials", "unsupported_grant_type"),
        ("authorization_code", "unsupported_grant_type"),
    ],
)
def test_there_are_two_grants_and_no_others(device: Device, grant_type: str, error: str) -> None:
    assert read_refusal(device.post(TOKEN, grant_type=grant_type)) == (400, error)


def test_polling_too_fast_is_slowed_down_more_each_time(device: Device) -> None:
    device.start().poll()
    intervals = [device.poll().json() for _ in range(13)]
    assert {answer["error"] for answer in intervals} == {"slow_down"}
    assert [answer["interval"] for answer in intervals] == [*range(10, 61, 5), 60, 60]


def test_polling_a_little_early_is_tolerated(device: Device) -> None:
    device.start()
    for _ in range(3):
        assert read_refusal(device.poll()) == (400, "authorization_pending")
        with later(seconds=4.2):
            assert read_refusal(device.poll()) == (400, "authorization_pending")
        DeviceCode.objects.update(last_checked=None)


def test_an_approved_code_redeems_however_early_the_poll(device: Device, user: User) -> None:
    device.start()
    for _ in range(6):
        device.poll()
    assert device.approved_by(user).poll().status_code == 200


@pytest.mark.parametrize("state", ["pending", "approved"])
def test_a_code_is_bound_to_its_client(
    desktop: Device, television: Device, user: User, state: str
) -> None:
    desktop.start()
    if state == "approved":
        desktop.approved_by(user)
    television.codes = desktop.codes
    assert read_refusal(television.poll()) == (400, "invalid_grant")
    assert not AccessToken.objects.exists()


def test_a_form_without_client_does_not_fall_to_the_desktop(desktop: Device, user: User) -> None:
    desktop.start().approved_by(user)
    values = {"grant_type": DEVICE_CODE, "device_code": desktop.codes["device_code"]}
    assert read_refusal(send(TOKEN, values, form=True)) == (401, "invalid_client")


def test_a_confidential_client_authenticates_at_every_poll(user: User) -> None:
    box = make_application("box", client_type="confidential", client_secret="s3cret")
    device = Device(client_id=box.client_id).start(client_secret="s3cret").approved_by(user)
    assert read_refusal(device.poll()) == (401, "invalid_client")
    assert read_refusal(device.poll(client_secret="wrong")) == (401, "invalid_client")
    assert device.poll(client_secret="s3cret").status_code == 200


def test_an_inactive_user_gets_no_tokens(device: Device, user: User) -> None:
    device.start().approved_by(user)
    User.objects.update(is_active=False)
    assert read_refusal(device.poll()) == (400, "invalid_grant")


def test_a_user_made_inactive_while_the_code_is_redeemed_gets_no_tokens(
    device: Device, user: User
) -> None:
    code = device.start().approved_by(user).row
    User.objects.update(is_active=False)
    with pytest.raises(InvalidGrant):
        device_flow.consume(code=code)


def test_a_client_cannot_set_internal_parameters_of_oauthlib(device: Device, user: User) -> None:
    inner = {
        "user": "1",
        "scopes": "root",
        "refresh_token_instance": "x",
        "client": "x",
        "resource": "nonsense",
    }
    body = device.start().approved_by(user).poll(**inner).json()
    assert body["scope"] == "llm:chat mcp:read"


def test_nothing_readable_is_stored_of_tokens(desktop: Device, user: User) -> None:
    desktop.start().approved_by(user).redeem()
    stored = str(
        [
            list(model.objects.values())
            for model in (AccessToken, RefreshToken, DeviceSession, DeviceCode)
        ]
    )
    assert desktop.tokens["access_token"] not in stored
    assert desktop.tokens["refresh_token"] not in stored


def test_no_code_and_no_token_is_logged(
    desktop: Device, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    desktop.start().poll()
    desktop.approved_by(user).redeem()
    new = desktop.refresh().json()
    desktop.refresh("never-issued")
    assert "redeemed" in caplog.text
    secrets = [desktop.codes["device_code"], desktop.codes["user_code"], "never-issued"]
    for pair in (desktop.tokens, new):
        secrets += [pair["access_token"], pair["refresh_token"]]
    assert not [secret for secret in secrets if secret in caplog.text]


def test_redeeming_begins_a_session_named_after_the_device(user: User) -> None:
    device = Device(extra={"headers": {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0"}})
    device.start().approved_by(user).redeem()
    session = DeviceSession.objects.get()
    assert (session.user, session.name, session.address) == (user, "Chrome on Windows", "127.0.0.1")
    assert session.token_family == RefreshToken.objects.get().token_family


def test_a_form_may_name_a_client_by_basic_alone(third_party: Application, user: User) -> None:
    device = Device(client_id="tv-app").start().approved_by(user)
    values = {"grant_type": DEVICE_CODE, "device_code": device.codes["device_code"]}
    answer = send(TOKEN, values, form=True, headers={"Authorization": "Basic dHYtYXBwOg=="})
    assert answer.status_code == 200
