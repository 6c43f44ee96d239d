"""POST /api/auth/device/code (RFC 8628 §3.1, §3.2)."""

import re
from typing import Any

import pytest
from oauth2_provider.models import Application

from deviceauth import codes
from deviceauth.models import DeviceCode
from tests.deviceauth.conftest import CODE, DEVICE_CODE, Device, make_application, send

pytestmark = pytest.mark.django_db


def test_the_desktop_gets_a_code_with_everything_it_expects(settings: Any) -> None:
    settings.PUBLIC_ORIGIN = "https://spec.example"
    answer = send(CODE, {"scopes": ["llm:chat", "mcp:read"]}, HTTP_HOST="localhost")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", body["user_code"])
    assert body["verification_uri"] == "https://spec.example/auth/device"
    assert body["verification_uri_complete"].endswith(f"/auth/device?user_code={body['user_code']}")
    assert (body["expires_in"], body["interval"]) == (600, 5)


def test_no_header_chooses_where_people_log_in(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = send(CODE, {}, HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil" not in answer.content.decode()


def test_neither_code_is_stored_readably(desktop: Device) -> None:
    desktop.start()
    stored = str(list(DeviceCode.objects.values()))
    assert desktop.codes["device_code"] not in stored
    assert desktop.codes["user_code"].replace("-", "") not in stored


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ({}, "llm:chat mcp:read"),
        ({"scopes": []}, "llm:chat mcp:read"),
        ({"scopes": None}, "llm:chat mcp:read"),
        ({"scopes": ["mcp:write"]}, "mcp:write"),
        ({"scopes": ["llm:chat", "root", "llm:chat"]}, "llm:chat"),
    ],
)
def test_the_desktop_gets_the_scopes_it_names_and_we_know(
    desktop: Device, requested: Any, granted: str
) -> None:
    assert desktop.start(**requested).row.scope == granted


def test_the_desktop_is_told_when_nothing_it_names_is_known() -> None:
    answer = send(CODE, {"scopes": ["root"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("form", [True, False])
def test_other_clients_may_not_name_an_unknown_scope(third_party: Application, form: bool) -> None:
    answer = send(CODE, {"client_id": "tv-app", "scope": "llm:chat root"}, form=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("form", [True, False])
def test_other_clients_name_scopes_in_one_string(third_party: Application, form: bool) -> None:
    assert (
        send(CODE, {"client_id": "tv-app", "scope": "mcp:write llm:chat"}, form=form).status_code
        == 200
    )
    assert DeviceCode.objects.get().scope == "mcp:write llm:chat"


def test_a_form_without_client_is_not_taken_for_the_desktop() -> None:
    answer = send(CODE, {"scope": "llm:chat"}, form=True)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("form", [True, False])
def test_an_unknown_client_is_refused(form: bool) -> None:
    answer = send(CODE, {"client_id": "nobody"}, form=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic")


def test_a_client_registered_for_another_grant_is_refused() -> None:
    make_application(
        "web", authorization_grant_type="client-credentials", client_type="confidential"
    )
    answer = send(CODE, {"client_id": "web", "client_secret": "x"}, form=True)
    assert answer.status_code == 401
    make_application("page", authorization_grant_type="authorization-code")
    answer = send(CODE, {"client_id": "page"}, form=True)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_a_confidential_client_must_show_its_secret() -> None:
    make_application("box", client_type="confidential", client_secret="s3cret")
    assert send(CODE, {"client_id": "box"}, form=True).status_code == 401
    assert send(CODE, {"client_id": "box", "client_secret": "wrong"}, form=True).status_code == 401
    assert send(CODE, {"client_id": "box", "client_secret": "s3cret"}, form=True).status_code == 200
    assert (
        send(CODE, "", form=True, headers={"Authorization": "Basic Ym94OnMzY3JldA=="}).status_code
        == 200
    )


def test_the_desktops_client_is_of_no_use_with_a_secret() -> None:
    values = {"client_id": "smartspec-desktop", "client_secret": "anything"}
    assert send(CODE, values, form=True).status_code == 401
    token = values | {"grant_type": DEVICE_CODE, "device_code": "x"}
    assert send("/api/auth/device/token", token, form=True).status_code == 401


def test_a_code_that_someone_waits_with_is_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["BBBBBBBB", "BBBBBBBB", "CCCCCCCC"])
    monkeypatch.setattr(codes, "new_user_code", lambda: next(drawn))
    assert Device().start().codes["user_code"] == "BBBB-BBBB"
    assert Device().start().codes["user_code"] == "CCCC-CCCC"


def test_codes_are_limited_per_address(settings: Any) -> None:
    settings.DEVICE_CODE_RPM = 2
    answers = [send(CODE, {}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2]["Retry-After"]) > 0
    assert answers[2].json()["error"] == "rate_limit_exceeded"
    assert answers[2]["Cache-Control"] == "no-store"
    assert send(CODE, {}, REMOTE_ADDR="203.0.113.9").status_code == 200
