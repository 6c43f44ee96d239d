"""POST /api/auth/device/token with a refresh token (RFC 6749 §6, RFC 9700 §4.14)."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from oauth2_provider.models import AccessToken, RefreshToken

from accounts.models import User
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from tests.deviceauth.conftest import TOKEN, Device, send

pytestmark = pytest.mark.django_db


def later(**ahead: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**ahead), tick=True)


def read_pair(answer: object) -> tuple[str, str]:
    body = answer.json()  # type: ignore[attr-defined]
    return body["access_token"], body["refresh_token"]


def test_a_refresh_gives_a_new_pair_and_ends_the_old_access_token(logged_in: Device) -> None:
    old = logged_in.tokens
    answer = logged_in.refresh()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["user"]["email"] == "ann@example.com"
    assert not {*read_pair(answer)} & {old["access_token"], old["refresh_token"]}
    assert logged_in.me().status_code == 401
    assert logged_in.me(answer.json()["access_token"]).status_code == 200


def test_a_refresh_keeps_the_scope(television: Device, user: User) -> None:
    television.start(scope="mcp:write").approved_by(user).redeem()
    assert television.refresh().json()["scope"] == "mcp:write"
    assert television.refresh(scope="llm:chat").json()["error"] == "invalid_scope"


def test_a_retry_within_the_grace_gets_the_same_pair(logged_in: Device) -> None:
    first = logged_in.refresh()
    with later(seconds=50):
        again = logged_in.refresh()
        assert read_pair(again) == read_pair(first)
        assert 845 <= again.json()["expires_in"] <= 851
        assert logged_in.me(again.json()["access_token"]).status_code == 200
        assert logged_in.refresh(again.json()["refresh_token"]).status_code == 200


def test_a_replay_after_the_grace_ends_the_family(logged_in: Device) -> None:
    new = logged_in.refresh().json()
    with later(seconds=61):
        assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert logged_in.refresh(new["refresh_token"]).json()["error"] == "invalid_grant"
    assert logged_in.me(new["access_token"]).status_code == 401
    assert DeviceSession.objects.get().revoked_at


def test_a_token_two_generations_old_ends_the_family_even_within_the_grace(
    logged_in: Device,
) -> None:
    second = logged_in.refresh().json()
    third = logged_in.refresh(second["refresh_token"]).json()
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert logged_in.refresh(third["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_session_revoked_on_purpose_has_no_grace(logged_in: Device) -> None:
    new = logged_in.refresh().json()
    device_sessions.revoke(session=DeviceSession.objects.get())
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert logged_in.refresh(new["refresh_token"]).json()["error"] == "invalid_grant"
    assert not AccessToken.objects.exists()


def test_a_session_revoked_between_check_and_write_stays_revoked(
    logged_in: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deviceauth.oauth import token_values

    session = DeviceSession.objects.get()
    create = token_values.create_access_token

    def revoke_first(request: object) -> str:
        device_sessions.revoke(session=session)
        return create(request)

    monkeypatch.setattr(
        "oauth2_provider.settings.oauth2_settings.ACCESS_TOKEN_GENERATOR", revoke_first
    )
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert not AccessToken.objects.exists()


def test_an_unknown_refresh_token_is_an_invalid_grant(device: Device) -> None:
    answer = device.refresh("never-issued")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_missing_refresh_token_is_an_invalid_request(device: Device) -> None:
    answer = device.post(TOKEN, grant_type="refresh_token")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_refresh_token_is_bound_to_its_client(logged_in: Device, television: Device) -> None:
    assert television.refresh(logged_in.tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert DeviceSession.objects.get().revoked_at is None
    assert logged_in.refresh().status_code == 200


def test_a_form_without_client_cannot_refresh(logged_in: Device) -> None:
    values = {"grant_type": "refresh_token", "refresh_token": logged_in.tokens["refresh_token"]}
    answer = send(TOKEN, values, form=True)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_inactive_user_can_neither_refresh_nor_call(logged_in: Device) -> None:
    User.objects.update(is_active=False)
    assert logged_in.refresh().json()["error"] == "invalid_grant"
    assert logged_in.me().status_code == 401


def test_an_idle_session_ends_after_thirty_days(logged_in: Device) -> None:
    with later(days=29):
        new = logged_in.refresh().json()
    with later(days=29 + 29):
        newer = logged_in.refresh(new["refresh_token"]).json()
    with later(days=29 + 29 + 31):
        assert logged_in.refresh(newer["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_updates_the_session(logged_in: Device) -> None:
    before = DeviceSession.objects.get().last_used_at
    logged_in.extra = {"REMOTE_ADDR": "203.0.113.7"}
    logged_in.refresh()
    session = DeviceSession.objects.get()
    assert session.last_used_at > before
    assert session.address == "203.0.113.7"


def test_refreshes_are_not_throttled(logged_in: Device) -> None:
    for _ in range(40):
        answer = logged_in.refresh()
        assert answer.status_code == 200
        logged_in.tokens = answer.json()
    assert RefreshToken.objects.filter(revoked=None).count() == 1
