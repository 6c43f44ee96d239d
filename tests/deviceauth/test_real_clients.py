"""The whole flow as published client libraries walk it, over HTTP."""

from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import (  # type: ignore[import-untyped]
    OAuth2Session as AuthlibSession,
)
from oauth2_provider.models import Application
from oauthlib.oauth2 import DeviceClient, OAuth2Error
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]

from accounts.models import User
from deviceauth import device_flow
from deviceauth.models import DeviceCode
from tests.deviceauth.conftest import DEVICE_CODE, make_application

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Our metadata document, as a client discovers it."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    settings.PUBLIC_ORIGIN = live_server.url
    settings.DEVICE_POLL_SECONDS = 1
    document: dict[str, str] = requests.get(
        f"{live_server.url}/.well-known/oauth-authorization-server", timeout=10
    ).json()
    return document


def approve(user: User) -> None:
    device_flow.approve(code=DeviceCode.objects.get(), user=user)


def test_oauthlib_logs_in_refreshes_and_calls(site: dict[str, str], third_party: Application, user: User) -> None:
    session = OAuth2Session(client=DeviceClient("tv-app"), scope=["llm:chat"])
    body = {"client_id": "tv-app", "scope": "llm:chat"}
    codes = session.post(site["device_authorization_endpoint"], data=body, withhold_token=True).json()
    grant = {"token_url": site["token_endpoint"], "device_code": codes["device_code"], "include_client_id": True}
    with pytest.raises(OAuth2Error, match="authorization_pending"):
        session.fetch_token(**grant)
    approve(user)
    token = session.fetch_token(**grant)
    new = session.refresh_token(site["token_endpoint"], client_id="tv-app")
    assert new["refresh_token"] != token["refresh_token"]
    assert session.get(site["issuer"] + "/api/auth/me").json()["email"] == "ann@example.com"


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_authlib_logs_in_refreshes_and_revokes(site: dict[str, str], user: User, method: str) -> None:
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
    assert session.revoke_token(site["revocation_endpoint"], session.token["refresh_token"]).status_code == 200
    session.token["expires_at"] = 2**40
    assert session.get(site["issuer"] + "/api/auth/me").status_code == 401


def test_the_desktop_walks_its_own_loop(site: dict[str, str], user: User) -> None:
    """Fixed interval, "contains expired", parallel refreshes at start-up."""
    codes = requests.post(site["device_authorization_endpoint"], json={"scopes": ["llm:chat"]}, timeout=10).json()
    grant = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"]}
    answers = [requests.post(site["token_endpoint"], json=grant, timeout=10) for _ in range(3)]
    assert [answer.json()["error"] for answer in answers] == ["authorization_pending"] * 3
    approve(user)
    tokens = requests.post(site["token_endpoint"], json=grant, timeout=10).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    pairs = [requests.post(site["token_endpoint"], json=refresh, timeout=10) for _ in range(3)]
    assert {answer.status_code for answer in pairs} == {200}
    assert len({answer.json()["access_token"] for answer in pairs}) == 1
