"""Shared fixtures of the device login: a user, devices, and requests to the routes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from oauth2_provider.models import Application

from accounts.models import User
from deviceauth import device_flow
from deviceauth.models import DeviceCode

CODE, TOKEN, REVOKE = (f"/api/auth/device/{name}" for name in ("code", "token", "revoke"))
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def user(db: None, make_user: Callable[..., User]) -> User:
    return make_user("ann@example.com", name="Ann")


@pytest.fixture
def person(client: Client, user: User) -> Client:
    """The browser of a logged-in user."""
    client.force_login(user)
    return client


@pytest.fixture
def third_party(db: None) -> Application:
    return make_application("tv-app")


def make_application(client_id: str, **fields: Any) -> Application:
    kind = {
        "client_type": "public",
        "authorization_grant_type": DEVICE_CODE,
        "name": "A television",
    }
    return Application.objects.create(client_id=client_id, **(kind | fields))


def send(path: str, body: Any, *, form: bool = False, **extra: Any) -> Any:
    """Send a POST request of a device, as JSON or as a form. A string is sent unchanged."""
    if not form:
        return Client().post(path, body, content_type="application/json", **extra)
    encoded = body if isinstance(body, str) else urlencode(body)
    return Client().post(path, encoded, content_type=FORM, **extra)


@dataclass
class Device:
    """A client of the device flow. It sends forms with a client_id, else JSON like the desktop."""

    client_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, **values: Any) -> Any:
        if self.client_id:
            values = {"client_id": self.client_id} | values
        return send(path, values, form=bool(self.client_id), **self.extra)

    def start(self, **values: Any) -> "Device":
        answer = self.post(CODE, **values)
        assert answer.status_code == 200, answer.content
        self.codes = answer.json()
        return self

    @property
    def row(self) -> DeviceCode:
        code = DeviceCode.objects.of_device(self.codes["device_code"]).first()
        assert code is not None
        return code

    def approved_by(self, user: User) -> "Device":
        device_flow.approve(code=self.row, user=user)
        return self

    def poll(self, **values: Any) -> Any:
        grant = {"grant_type": DEVICE_CODE, "device_code": self.codes["device_code"]}
        return self.post(TOKEN, **(grant | values))

    def redeem(self) -> "Device":
        answer = self.poll()
        assert answer.status_code == 200, answer.content
        self.tokens = answer.json()
        return self

    def refresh(self, refresh_token: str = "", **values: Any) -> Any:
        token = refresh_token or self.tokens["refresh_token"]
        return self.post(TOKEN, grant_type="refresh_token", refresh_token=token, **values)

    def me(self, access_token: str = "") -> Any:
        token = access_token or self.tokens["access_token"]
        return Client().get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def desktop(db: None) -> Device:
    return Device()


@pytest.fixture
def television(third_party: Application) -> Device:
    return Device(client_id=third_party.client_id)


@pytest.fixture(params=["desktop", "television"])
def device(request: pytest.FixtureRequest) -> Device:
    """Run the test with each kind of device."""
    device: Device = request.getfixturevalue(request.param)
    return device


@pytest.fixture
def logged_in(desktop: Device, user: User) -> Device:
    return desktop.start().approved_by(user).redeem()
