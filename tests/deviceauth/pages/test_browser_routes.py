"""GET /api/auth/device/verify, POST /api/auth/device/authorize, GET /api/auth/me."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import User
from deviceauth import device_flow
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
VERIFY, AUTHORIZE, ME = "/api/auth/device/verify", "/api/auth/device/authorize", "/api/auth/me"


def verify(user_code: str, **extra: Any) -> Any:
    return Client().get(VERIFY, {"user_code": user_code}, **extra)


def authorize(browser: Client, user_code: object) -> Any:
    return browser.post(AUTHORIZE, {"user_code": user_code}, content_type="application/json")


def is_only_a_message(answer: Any) -> bool:
    body = answer.json()
    return (
        set(body) == {"error"}
        and set(body["error"]) == {"message"}
        and answer["Cache-Control"] == "no-store"
    )


def list_spellings(user_code: str) -> list[str]:
    bare = user_code.replace("-", "")
    return [
        user_code,
        bare,
        user_code.lower(),
        f" {bare[:4]} {bare[4:]} ",
        f"{bare[:2]}-{bare[2:]}",
    ]


def test_verify_says_what_a_pending_code_is_for(desktop: Device) -> None:
    desktop.start()
    for typed in list_spellings(desktop.codes["user_code"]):
        body = verify(typed).json()
        assert 590 <= body.pop("expires_in") <= 600
        assert body == {
            "status": "pending",
            "user_code": desktop.codes["user_code"],
            "scopes": ["llm:chat", "mcp:read"],
        }


def test_verify_says_when_a_code_is_authorized(desktop: Device, user: User) -> None:
    body = verify(desktop.start().approved_by(user).codes["user_code"]).json()
    assert set(body) == {"status", "message"}
    assert body["status"] == "authorized"


@pytest.mark.parametrize(
    ("typed", "status"),
    [("", 400), ("ABC", 400), ("B" * 500, 400), ("BBBB-BBBB", 404), ("ABCD-2345", 400)],
)
def test_verify_refuses_what_is_no_code(typed: str, status: int) -> None:
    answer = verify(typed)
    assert answer.status_code == status
    assert is_only_a_message(answer)


def test_verify_needs_one_code() -> None:
    assert Client().get(VERIFY).status_code == 400
    assert Client().get(f"{VERIFY}?user_code=BBBBBBBB&user_code=CCCCCCCC").status_code == 400


def test_verify_says_when_a_code_has_expired(desktop: Device) -> None:
    desktop.start()
    with time_machine.travel(timezone.now() + timedelta(seconds=601)):
        answer = verify(desktop.codes["user_code"])
    assert answer.status_code == 410
    assert is_only_a_message(answer)


def test_verify_knows_nothing_of_a_denied_code(desktop: Device, user: User) -> None:
    device_flow.deny(code=desktop.start().row, user=user)
    answer = verify(desktop.codes["user_code"])
    assert answer.status_code == 404
    assert answer.json() == verify("BBBB-BBBB").json()


def test_verify_is_limited_per_address(settings: Any, desktop: Device) -> None:
    settings.DEVICE_VERIFY_RPM = 2
    user_code = desktop.start().codes["user_code"]
    answers = [verify(user_code) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2]["Retry-After"]) > 0
    assert is_only_a_message(answers[2])


def test_wrong_codes_are_limited_per_network_and_a_right_one_gives_nothing_back(
    settings: Any, desktop: Device
) -> None:
    settings.DEVICE_WRONG_CODES_PER_ADDRESS = 3
    user_code = desktop.start().codes["user_code"]
    for number in range(3):
        assert verify(user_code, REMOTE_ADDR="2001:db8::1").status_code == 200
        assert verify("BBBB-BBBB", REMOTE_ADDR=f"2001:db8::{number + 2}").status_code == 404
    answer = verify(user_code, REMOTE_ADDR="2001:db8::9")
    assert answer.status_code == 429
    assert 290 <= int(answer["Retry-After"]) <= 300
    assert is_only_a_message(answer)
    assert verify(user_code, REMOTE_ADDR="2001:db8:1::1").status_code == 200


def test_authorize_connects_the_device(person: Client, user: User, desktop: Device) -> None:
    answer = authorize(person, desktop.start().codes["user_code"].lower())
    assert answer.status_code == 200
    assert answer.json()["status"] == "authorized"
    assert desktop.redeem().tokens["user"]["id"] == user.pk
    assert authorize(person, desktop.codes["user_code"]).status_code == 200


def test_authorize_needs_a_login(desktop: Device) -> None:
    answer = authorize(Client(), desktop.start().codes["user_code"])
    assert answer.status_code == 401
    assert answer.json() == {"error": {"message": "Please log in first"}}
    assert desktop.row.status == "authorization-pending"


def test_authorize_needs_a_csrf_token(user: User, desktop: Device) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    answer = authorize(browser, desktop.start().codes["user_code"])
    assert answer.status_code == 403
    assert is_only_a_message(answer)
    assert desktop.row.status == "authorization-pending"


def test_a_bearer_token_cannot_authorize_another_device(logged_in: Device) -> None:
    headers = {"Authorization": f"Bearer {logged_in.tokens['access_token']}"}
    user_code = Device().start().codes["user_code"]
    body = {"user_code": user_code}
    answer = Client().post(AUTHORIZE, body, content_type="application/json", headers=headers)
    assert answer.status_code == 401


def test_authorize_refuses_a_code_that_someone_else_has_used(
    person: Client, desktop: Device, make_user: Callable[..., User]
) -> None:
    desktop.start().approved_by(make_user("bob@example.com"))
    answer = authorize(person, desktop.codes["user_code"])
    assert answer.status_code == 404
    assert is_only_a_message(answer)


@pytest.mark.parametrize(
    "typed", ["", "abc", None, 12345678, ["BBBBBBBB"], {"a": 1}, "\0" * 8, "\ud800BBBBBBBB"]
)
def test_authorize_refuses_what_is_no_code(person: Client, typed: object) -> None:
    answer = authorize(person, typed)
    assert answer.status_code in {400, 404}
    assert is_only_a_message(answer)


def test_wrong_codes_are_limited_per_account_from_wherever(person: Client) -> None:
    statuses = []
    for number in range(6):
        person.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
        statuses.append(authorize(person, "BBBB-BBBB").status_code)
    assert statuses == [404] * 5 + [429]


def test_me_answers_a_bearer_token_and_a_session(
    logged_in: Device, person: Client, user: User
) -> None:
    expected = {
        "id": user.pk,
        "openId": user.public_id,
        "name": "Ann",
        "email": "ann@example.com",
        "role": "user",
        "credits": 0,
        "plan": "free",
    }
    assert logged_in.me().json() == person.get(ME).json() == expected
    assert person.get(ME)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer nonsense", "Bearer \x00", "Basic YTpi", "Bearer a b"]
)
def test_me_says_unauthorized_and_nothing_else(header: str | None) -> None:
    answer = Client().get(ME, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.json() == {"error": {"message": "Unauthorized"}}
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_me_takes_no_token_from_the_address(logged_in: Device) -> None:
    assert Client().get(ME, {"access_token": logged_in.tokens["access_token"]}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("post", VERIFY), ("get", AUTHORIZE), ("put", AUTHORIZE), ("post", ME)]
)
def test_a_wrong_method_is_refused(person: Client, method: str, path: str) -> None:
    answer = getattr(person, method)(path)
    assert answer.status_code == 405
    assert is_only_a_message(answer)
