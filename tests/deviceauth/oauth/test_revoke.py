"""POST /api/auth/device/revoke (RFC 7009)."""

import pytest

from accounts.models import User
from deviceauth.models import DeviceSession
from tests.deviceauth.conftest import REVOKE, Device, send

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
def test_either_token_ends_the_session(device: Device, user: User, kind: str, hint: str) -> None:
    device.start().approved_by(user).redeem()
    answer = device.post(REVOKE, token=device.tokens[kind], token_type_hint=hint)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert device.me().status_code == 401
    assert device.refresh().json()["error"] == "invalid_grant"
    assert DeviceSession.objects.get().revoked_at


def test_a_token_that_was_rotated_since_ends_the_session_too(logged_in: Device) -> None:
    new = logged_in.refresh().json()
    assert logged_in.post(REVOKE, token=logged_in.tokens["refresh_token"]).status_code == 200
    assert logged_in.me(new["access_token"]).status_code == 401


def test_an_unknown_token_is_fine(device: Device) -> None:
    assert device.post(REVOKE, token="never-issued").status_code == 200


def test_another_clients_token_is_left_alone(logged_in: Device, television: Device) -> None:
    assert television.post(REVOKE, token=logged_in.tokens["refresh_token"]).status_code == 200
    assert logged_in.refresh().status_code == 200


def test_a_revocation_needs_a_token_and_a_client(device: Device) -> None:
    answer = device.post(REVOKE)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    answer = send(REVOKE, {"token": "x"}, form=True)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer["Cache-Control"] == "no-store"
