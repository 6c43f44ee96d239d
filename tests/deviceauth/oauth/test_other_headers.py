"""An Authorization header that does not authenticate a client changes nothing (RFC 6749 §2.3.1)."""

from typing import Any

import pytest

from accounts.models import User
from tests.deviceauth.conftest import CODE, REVOKE, TOKEN, Device, make_application, send

pytestmark = pytest.mark.django_db
SCHEMES = [
    "Bearer old-token",
    "bearer old-token",
    "BEARER  old-token",
    "Bearer",
    "Bearer ",
    "DPoP old-token",
    "Token old-token",
    "Digest username=desktop",
    "Basically b2xkOnRva2Vu",
    "",
    "\xff\xfe",
]
each_scheme = pytest.mark.parametrize("header", SCHEMES)


def under(header: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": header}


@each_scheme
def test_the_desktop_logs_in_refreshes_and_logs_out_under_any_header(
    header: str, user: User
) -> None:
    desktop = Device(extra=under(header)).start().approved_by(user).redeem()
    answer = desktop.refresh()
    assert answer.status_code == 200
    assert desktop.post(REVOKE, token=answer.json()["refresh_token"]).status_code == 200
    assert desktop.me(answer.json()["access_token"]).status_code == 401


@each_scheme
def test_a_form_of_a_named_client_works_under_any_header(header: str, user: User) -> None:
    make_application("tv-app")
    device = Device(client_id="tv-app", extra=under(header)).start().approved_by(user).redeem()
    assert device.refresh().status_code == 200
    assert device.post(REVOKE, token=device.tokens["refresh_token"]).status_code == 200


@each_scheme
@pytest.mark.parametrize("path", [CODE, TOKEN, REVOKE])
def test_a_form_without_a_client_stays_refused_under_any_header(header: str, path: str) -> None:
    values = {"grant_type": "refresh_token", "refresh_token": "a", "token": "a"}
    answer = send(path, values, form=True, **under(header))
    assert answer.json()["error"] in {"invalid_client", "invalid_request"}


@pytest.mark.parametrize("form", [True, False])
def test_a_header_is_no_way_around_the_secret_of_a_client(form: bool) -> None:
    make_application("backend", client_type="confidential", client_secret="s3cret")
    answer = send(CODE, {"client_id": "backend"}, form=form, **under("Bearer s3cret"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_the_token_in_the_header_is_not_the_one_that_is_revoked(logged_in: Device) -> None:
    header = under(f"Bearer {logged_in.tokens['access_token']}")
    assert send(REVOKE, {"token": "another"}, **header).status_code == 200
    assert logged_in.me().status_code == 200


@pytest.mark.parametrize("header", ["Basic", "Basic !", "basic OmE=", "BASIC YTpi"])
def test_basic_in_any_case_is_a_client_that_must_be_right(header: str) -> None:
    answer = send(CODE, {}, **under(header))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
