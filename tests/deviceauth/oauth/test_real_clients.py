"""The whole device flow with published client libraries for Python, over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.requests_client import (  # type: ignore[import-untyped]
    OAuth2Session as AuthlibSession,
)
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # type: ignore[import-untyped]
from oauth2_provider.models import Application
from oauthlib.oauth2 import DeviceClient, OAuth2Error
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]

from accounts.models import User
from deviceauth import device_flow
from deviceauth.models import DeviceCode
from tests.clock import Clock, control_clock
from tests.deviceauth.conftest import DEVICE_CODE, make_application

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Our metadata document, as a client reads it."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    settings.PUBLIC_ORIGIN = live_server.url
    settings.DEVICE_POLL_SECONDS = 1
    document: dict[str, str] = requests.get(
        f"{live_server.url}/.well-known/oauth-authorization-server", timeout=10
    ).json()
    return document


def approve(user: User) -> None:
    device_flow.approve(code=DeviceCode.objects.get(), user=user)


def test_oauthlib_logs_in_refreshes_and_calls(
    site: dict[str, str], third_party: Application, user: User
) -> None:
    session = OAuth2Session(client=DeviceClient("tv-app"), scope=["llm:chat"])
    body = {"client_id": "tv-app", "scope": "llm:chat"}
    codes = session.post(
        site["device_authorization_endpoint"], data=body, withhold_token=True
    ).json()
    grant = {
        "token_url": site["token_endpoint"],
        "device_code": codes["device_code"],
        "include_client_id": True,
    }
    with pytest.raises(OAuth2Error, match="authorization_pending"):
        session.fetch_token(**grant)
    approve(user)
    token = session.fetch_token(**grant)
    new = session.refresh_token(site["token_endpoint"], client_id="tv-app")
    assert new["refresh_token"] != token["refresh_token"]
    assert session.get(site["issuer"] + "/api/auth/me").json()["email"] == "ann@example.com"


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_authlib_logs_in_refreshes_and_revokes(
    site: dict[str, str], user: User, method: str
) -> None:
    kind = "public" if method == "none" else "confidential"
    make_application("box", client_type=kind, client_secret="s3cret")
    secret = None if method == "none" else "s3cret"
    session = AuthlibSession(
        "box",
        secret,
        token_endpoint_auth_method=method,
        token_endpoint=site["token_endpoint"],
        revocation_endpoint_auth_method=method,
    )
    auth = None if secret is None else ("box", secret)
    url = site["device_authorization_endpoint"]
    codes = requests.post(url, {"client_id": "box"}, auth=auth, timeout=10).json()
    approve(user)
    token = session.fetch_token(grant_type=DEVICE_CODE, device_code=codes["device_code"])
    assert session.refresh_token()["access_token"] != token["access_token"]
    assert session.get(site["issuer"] + "/api/auth/me").status_code == 200
    assert (
        session.revoke_token(
            site["revocation_endpoint"], session.token["refresh_token"]
        ).status_code
        == 200
    )
    session.token["expires_at"] = 2**40
    assert session.get(site["issuer"] + "/api/auth/me").status_code == 401


class PatientClient:
    """A device on oauthlib that follows RFC 8628 §3.5: it waits longer after each slow_down."""

    def __init__(self, site: dict[str, str], clock: Clock, scope: str = "llm:chat") -> None:
        self.site, self.clock = site, clock
        self.session = OAuth2Session(client=DeviceClient("tv-app"), scope=scope.split())
        body = {"client_id": "tv-app", "scope": scope}
        self.codes = self.session.post(
            site["device_authorization_endpoint"], data=body, withhold_token=True
        ).json()
        self.interval = self.codes["interval"]

    def poll(self) -> str:
        """Poll once; return the error code, or "" if tokens came."""
        grant = {"token_url": self.site["token_endpoint"], "device_code": self.codes["device_code"]}
        try:
            self.session.fetch_token(**grant, include_client_id=True)
        except OAuth2Error as refusal:
            self.interval += 5 if refusal.error == "slow_down" else 0
            return str(refusal.error)
        return ""

    def poll_after_the_interval(self) -> str:
        self.clock.forward(self.interval)
        return self.poll()


@pytest.fixture
def clock(transactional_db: None) -> Iterator[Clock]:
    with control_clock() as clock:
        yield clock


@pytest.fixture
def patient(
    site: dict[str, str], settings: Any, third_party: Application, clock: Clock
) -> PatientClient:
    settings.DEVICE_POLL_SECONDS = 5
    return PatientClient(site, clock)


def test_oauthlib_slows_down_as_told_and_then_gets_its_tokens(
    patient: PatientClient, user: User
) -> None:
    assert [patient.poll() for _ in range(4)] == ["authorization_pending", *["slow_down"] * 3]
    assert patient.interval == DeviceCode.objects.get().interval == 20
    assert [patient.poll_after_the_interval() for _ in range(3)] == ["authorization_pending"] * 3
    approve(user)
    assert patient.poll_after_the_interval() == ""
    assert patient.session.get(patient.site["issuer"] + "/api/auth/me").status_code == 200


def test_oauthlib_understands_a_denial(patient: PatientClient, user: User) -> None:
    device_flow.deny(code=DeviceCode.objects.get(), user=user)
    assert patient.poll() == "access_denied"


def test_oauthlib_understands_that_a_code_has_expired(
    patient: PatientClient, user: User, clock: Clock
) -> None:
    approve(user)
    clock.forward(patient.codes["expires_in"] + 1)
    assert patient.poll() == "expired_token"


def test_oauthlib_narrows_its_scope_and_may_not_widen_it(
    site: dict[str, str], third_party: Application, user: User, clock: Clock
) -> None:
    client = PatientClient(site, clock, scope="llm:chat mcp:read")
    approve(user)
    assert client.poll() == ""
    client.session.scope = ["mcp:read"]
    narrowed = client.session.refresh_token(site["token_endpoint"], client_id="tv-app")
    assert narrowed["scope"] == ["mcp:read"]
    models = site["issuer"] + "/v1/models"
    assert client.session.get(models).json()["error"]["code"] == "insufficient_scope"
    client.session.scope = ["mcp:read", "mcp:write"]
    with pytest.raises(OAuth2Error, match="invalid_scope"):
        client.session.refresh_token(site["token_endpoint"], client_id="tv-app")


def test_oauthlib_revokes_with_a_request_of_its_own_making(
    patient: PatientClient, user: User
) -> None:
    approve(user)
    assert patient.poll() == ""
    token = patient.session.token["refresh_token"]
    url, headers, body = patient.session._client.prepare_token_revocation_request(
        patient.site["revocation_endpoint"].replace("http:", "https:"),
        token,
        "refresh_token",
        client_id="tv-app",
    )
    answer = requests.post(url.replace("https:", "http:"), data=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {})
    with pytest.raises(OAuth2Error, match="invalid_grant"):
        patient.session.refresh_token(
            patient.site["token_endpoint"], client_id="tv-app", refresh_token=token
        )


# Authlib requires these of every server; RFC 8414 §2 only if a grant redirects a browser.
OF_BROWSERS = {"authorization_endpoint", "response_types_supported"}


def test_authlib_finds_what_rfc_8414_wants_in_the_metadata(site: dict[str, str]) -> None:
    secure = {
        name: value.replace("http:", "https:") if isinstance(value, str) else value
        for name, value in site.items()
    }
    server = AuthorizationServerMetadata(secure)
    for name in set(server.REGISTRY_KEYS) - OF_BROWSERS:
        getattr(server, f"validate_{name}")()
    assert not site["response_types_supported"]


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_authlib_understands_denial_and_expiry(
    site: dict[str, str], user: User, clock: Clock, method: str
) -> None:
    kind = "public" if method == "none" else "confidential"
    make_application("box", client_type=kind, client_secret="s3cret")
    secret = None if method == "none" else "s3cret"
    session = AuthlibSession(
        "box",
        secret,
        token_endpoint_auth_method=method,
        token_endpoint=site["token_endpoint"],
        scope="llm:chat",
    )
    for act, error in ((device_flow.deny, "access_denied"), (None, "expired_token")):
        auth = None if secret is None else ("box", secret)
        codes = requests.post(
            site["device_authorization_endpoint"], {"client_id": "box"}, auth=auth, timeout=10
        ).json()
        if act:
            act(code=DeviceCode.objects.latest("pk"), user=user)
        else:
            clock.forward(601)
        with pytest.raises(OAuthError, match=error):
            session.fetch_token(grant_type=DEVICE_CODE, device_code=codes["device_code"])


def test_the_desktop_walks_its_own_loop(site: dict[str, str], user: User) -> None:
    """Polls at a fixed interval, looks for "expired", refreshes in parallel at start-up."""
    codes = requests.post(
        site["device_authorization_endpoint"], json={"scopes": ["llm:chat"]}, timeout=10
    ).json()
    grant = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"]}
    answers = [requests.post(site["token_endpoint"], json=grant, timeout=10) for _ in range(3)]
    assert [answer.json()["error"] for answer in answers] == ["authorization_pending"] * 3
    approve(user)
    tokens = requests.post(site["token_endpoint"], json=grant, timeout=10).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    pairs = [requests.post(site["token_endpoint"], json=refresh, timeout=10) for _ in range(3)]
    assert {answer.status_code for answer in pairs} == {200}
    assert len({answer.json()["access_token"] for answer in pairs}) == 1
