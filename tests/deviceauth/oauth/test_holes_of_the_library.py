"""Our responses to requests for which django-oauth-toolkit's device grant is insecure or wrong.

docs/device-login.md has the table; the last test here checks that each of its rows has a test.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from accounts.models import User
from deviceauth import device_flow
from deviceauth.models import DeviceCode, DeviceSession
from tests.concurrently import concurrently
from tests.deviceauth.conftest import (
    CODE,
    DEVICE_CODE,
    FORM,
    REVOKE,
    TOKEN,
    Device,
    make_application,
    send,
)

pytestmark = pytest.mark.django_db
BOTH = pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "device-login.md"


def read_result(answer: Any) -> tuple[int, str]:
    """Return the status and the error code ("" if none). Checks that the response is `no-store`."""
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, answer.json().get("error", "")


def later(**ahead: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(**ahead), tick=True)


def page(user: User, **posted: str) -> Any:
    browser = Client()
    browser.force_login(user)
    return browser.post("/auth/device", posted, follow=True)


# Requests for a device code


@BOTH
def test_a_device_authorization_is_not_stored_and_lives_ten_minutes(
    third_party: Application, form: bool
) -> None:
    answer = send(CODE, {"client_id": "tv-app"}, form=form)
    assert read_result(answer) == (200, "")
    assert answer.json()["expires_in"] == 600


@BOTH
def test_an_unknown_scope_is_refused_at_once(third_party: Application, form: bool) -> None:
    assert read_result(send(CODE, {"client_id": "tv-app", "scope": "root"}, form=form)) == (
        400,
        "invalid_scope",
    )


@BOTH
def test_a_client_must_be_named_and_known(form: bool) -> None:
    assert read_result(send(CODE, {"client_id": "nobody"}, form=form)) == (401, "invalid_client")
    assert read_result(send(CODE, {}, form=form)) == (
        (400, "invalid_request") if form else (200, "")
    )  # the desktop


@BOTH
def test_a_confidential_client_needs_its_secret(form: bool) -> None:
    make_application("box", client_type="confidential", client_secret="s3cret")
    assert read_result(send(CODE, {"client_id": "box"}, form=form)) == (401, "invalid_client")


@BOTH
def test_a_client_of_another_grant_gets_no_code(form: bool) -> None:
    make_application("page", authorization_grant_type="authorization-code")
    assert read_result(send(CODE, {"client_id": "page"}, form=form)) == (400, "unauthorized_client")


def test_json_is_understood() -> None:
    assert read_result(send(CODE, {"scopes": ["llm:chat"]})) == (200, "")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"client_id=tv-app&client_id=tv-app", FORM),
        (b'{"client_id": "tv-app", "client_id": "tv-app"}', "application/json"),
    ],
)
def test_a_parameter_may_be_there_once(
    third_party: Application, body: bytes, content_type: str
) -> None:
    assert read_result(Client().post(CODE, body, content_type=content_type)) == (
        400,
        "invalid_request",
    )


# Polling


def test_a_pending_poll_is_not_stored(device: Device) -> None:
    assert read_result(device.start().poll()) == (400, "authorization_pending")


def test_a_hurried_poll_is_slowed_down(device: Device) -> None:
    device.start().poll()
    assert read_result(device.poll()) == (400, "slow_down")


def test_a_poll_is_for_the_client_that_asked(television: Device, desktop: Device) -> None:
    device_code = television.start().codes["device_code"]
    desktop.codes = television.codes
    assert read_result(desktop.poll()) == (400, "invalid_grant")
    nobody = {"grant_type": DEVICE_CODE, "device_code": device_code}
    assert read_result(send(TOKEN, nobody, form=True)) == (401, "invalid_client")


def test_an_unknown_device_code_is_an_invalid_grant(device: Device) -> None:
    device.start()
    assert read_result(device.poll(device_code="never-issued")) == (400, "invalid_grant")


def test_a_missing_device_code_is_an_invalid_request(device: Device) -> None:
    assert read_result(device.post(TOKEN, grant_type=DEVICE_CODE)) == (400, "invalid_request")


def test_a_code_expires_though_nobody_opened_the_page(device: Device) -> None:
    device.start()
    with later(seconds=601):
        assert read_result(device.poll()) == (400, "expired_token")


def test_an_approved_code_expires_too(device: Device, user: User) -> None:
    device.start().approved_by(user)
    with later(days=3):
        assert read_result(device.poll()) == (400, "expired_token")


def test_an_expired_code_cannot_be_approved(device: Device, user: User) -> None:
    user_code = device.start().codes["user_code"]
    with later(hours=1):
        answer = page(user, user_code=user_code, decision="allow")
    assert "expired" in answer.content.decode()
    assert device.row.status == DeviceCode.Status.PENDING


def test_a_denied_code_says_so(device: Device, user: User) -> None:
    device_flow.deny(code=device.start().row, user=user)
    assert read_result(device.poll()) == (400, "access_denied")


@pytest.mark.parametrize("kind", ["public", "confidential"])
def test_another_client_cannot_redeem_an_approved_code(
    device: Device, user: User, kind: str
) -> None:
    make_application("thief", client_type=kind, client_secret="s3cret")
    code = device.start().approved_by(user).codes["device_code"]
    stolen = {"grant_type": DEVICE_CODE, "device_code": code, "client_id": "thief"}
    secret = {"client_secret": "s3cret"} if kind == "confidential" else {}
    for form in (True, False):
        assert read_result(send(TOKEN, stolen | secret, form=form)) == (400, "invalid_grant")
    assert device.poll().status_code == 200


def test_a_code_is_redeemed_once(device: Device, user: User) -> None:
    device.start().approved_by(user).redeem()
    assert read_result(device.poll()) == (400, "invalid_grant")
    assert AccessToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_four_redemptions_at_once_one_wins(device: Device, user: User) -> None:
    device.start().approved_by(user)
    answers = concurrently(lambda _: read_result(device.poll()), threads=4)
    assert sorted(answers) == [(200, ""), *[(400, "invalid_grant")] * 3]


# Approval by the user


def test_a_code_may_be_typed_in_any_case_with_or_without_the_dash(
    device: Device, user: User
) -> None:
    shown = device.start().codes["user_code"]
    for typed in (shown.lower(), shown.replace("-", ""), shown.replace("-", " ")):
        assert shown in page(user, user_code=typed).content.decode()


def test_two_cannot_wait_with_the_same_user_code(device: Device) -> None:
    waiting = device.start().row
    with pytest.raises(IntegrityError):
        DeviceCode.objects.create(
            device_code="another",
            user_code=waiting.user_code,
            application=waiting.application,
            expires=waiting.expires,
        )


def test_a_code_is_bound_to_who_approves_it_not_to_who_looks(
    device: Device, user: User, make_user: Callable[..., User]
) -> None:
    bob = make_user("bob@example.com")
    user_code = device.start().codes["user_code"]
    assert page(user, user_code=user_code).status_code == 200
    assert page(bob, user_code=user_code).status_code == 200
    assert device.row.user is None
    device.approved_by(user).redeem()
    assert DeviceSession.objects.get().user == user


def test_an_inactive_user_can_neither_call_nor_refresh(device: Device, user: User) -> None:
    device.start().approved_by(user).redeem()
    User.objects.update(is_active=False)
    assert device.me().status_code == 401
    assert read_result(device.refresh()) == (400, "invalid_grant")


# Refresh and revocation


def test_a_refresh_gives_a_new_pair_and_ends_the_old_access_token(
    device: Device, user: User
) -> None:
    old = device.start().approved_by(user).redeem().tokens
    answer = device.refresh()
    assert read_result(answer) == (200, "")
    assert not {old["access_token"], old["refresh_token"]} & set(map(str, answer.json().values()))
    assert device.me().status_code == 401


def test_a_form_cannot_refresh_without_a_client(logged_in: Device) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": logged_in.tokens["refresh_token"]}
    assert read_result(send(TOKEN, form, form=True)) == (401, "invalid_client")


@BOTH
def test_another_client_cannot_refresh(
    logged_in: Device, third_party: Application, form: bool
) -> None:
    stolen = {
        "grant_type": "refresh_token",
        "refresh_token": logged_in.tokens["refresh_token"],
        "client_id": "tv-app",
    }
    assert read_result(send(TOKEN, stolen, form=form)) == (400, "invalid_grant")


def test_a_refresh_may_narrow_the_scope_and_not_widen_it(device: Device, user: User) -> None:
    device.start().approved_by(user).redeem()
    assert read_result(device.refresh(scope="llm:chat mcp:write")) == (400, "invalid_scope")
    assert device.refresh(scope="mcp:read").json()["scope"] == "mcp:read"


def test_a_replayed_refresh_token_ends_the_whole_family(device: Device, user: User) -> None:
    new = device.start().approved_by(user).redeem().refresh().json()
    with later(seconds=61):
        assert read_result(device.refresh()) == (400, "invalid_grant")
        assert read_result(device.refresh(new["refresh_token"])) == (400, "invalid_grant")
    assert not AccessToken.objects.exists()


def test_a_refresh_token_dies_of_idleness(device: Device, user: User) -> None:
    device.start().approved_by(user).redeem()
    with later(days=31):
        assert read_result(device.refresh()) == (400, "invalid_grant")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(device: Device, user: User, kind: str) -> None:
    device.start().approved_by(user).redeem()
    assert read_result(device.post(REVOKE, token=device.tokens[kind])) == (200, "")
    assert device.me().status_code == 401
    assert read_result(device.refresh()) == (400, "invalid_grant")


def test_revoking_what_never_was_is_fine_but_not_for_nobody(device: Device) -> None:
    assert read_result(device.post(REVOKE, token="never-issued")) == (200, "")
    assert read_result(send(REVOKE, {"token": "never-issued"}, form=True)) == (
        401,
        "invalid_client",
    )


# Calls with an access token


def test_no_token_is_taken_from_the_address(logged_in: Device) -> None:
    for path in ("/api/auth/me", "/v1/credits", "/v1/models"):
        assert (
            Client().get(path, {"access_token": logged_in.tokens["access_token"]}).status_code
            == 401
        )


def test_a_bad_token_is_called_that() -> None:
    for path in ("/api/auth/me", "/v1/credits", "/v1/models"):
        answer = Client().get(path, headers={"Authorization": "Bearer never-issued"})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="smartspec", error="invalid_token"'
        assert "not provided" not in answer.content.decode()


# Malformed bytes


@BOTH
@pytest.mark.parametrize("path", [CODE, TOKEN, REVOKE])
def test_a_nul_is_400(path: str, form: bool) -> None:
    body = {"client_id": "tv\0app", "grant_type": DEVICE_CODE, "device_code": "x", "token": "x"}
    assert read_result(send(path, body, form=form)) == (400, "invalid_request")


@pytest.mark.parametrize("path", [CODE, TOKEN, REVOKE])
@pytest.mark.parametrize("query", ["?%zz", "?a=%", "?client_id=%ff"])
def test_a_bad_percent_escape_is_400(path: str, query: str) -> None:
    assert read_result(send(path + query, {})) == (400, "invalid_request")


def test_every_row_of_the_table_has_its_test() -> None:
    named = re.findall(r"`(test_\w+)`", DOCUMENT.read_text().partition("\n## ")[0])
    assert len(named) == len(set(named)) > 30
    assert {*named, "test_every_row_of_the_table_has_its_test"} == {
        name for name in globals() if name.startswith("test_")
    }
