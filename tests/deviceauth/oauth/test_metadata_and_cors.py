"""The metadata document for clients, and the origins whose scripts may call us (CORS)."""

from typing import Any

import pytest
from django.test import Client

from tests.deviceauth.conftest import CODE, REVOKE, TOKEN

DESKTOPS = [
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "http://localhost:1420",
]


def preflight(path: str, origin: str, method: str = "POST") -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return Client().options(path, headers=headers)


def test_the_metadata_names_what_exists(settings: Any) -> None:
    settings.PUBLIC_ORIGIN = "https://spec.example"
    document = Client().get("/.well-known/oauth-authorization-server").json()
    assert document["issuer"] == "https://spec.example"
    assert document["device_authorization_endpoint"] == "https://spec.example/api/auth/device/code"
    assert document["token_endpoint"] == "https://spec.example/api/auth/device/token"
    assert document["revocation_endpoint"] == "https://spec.example/api/auth/device/revoke"
    assert document["grant_types_supported"] == [
        "urn:ietf:params:oauth:grant-type:device_code",
        "refresh_token",
    ]
    assert document["scopes_supported"] == ["llm:chat", "mcp:read", "mcp:write"]
    assert "none" in document["token_endpoint_auth_methods_supported"]
    assert document["response_types_supported"] == []


@pytest.mark.parametrize("origin", DESKTOPS)
@pytest.mark.parametrize(
    ("path", "method"), [(CODE, "POST"), (TOKEN, "POST"), (REVOKE, "POST"), ("/api/auth/me", "GET")]
)
def test_the_desktops_preflight_is_granted_without_credentials(
    path: str, method: str, origin: str
) -> None:
    answer = preflight(path, origin, method)
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == origin
    assert method in answer["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(
        answer["Access-Control-Allow-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "tauri://localhost.evil.example"]
)
def test_no_other_origin_is_granted_anything(origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(TOKEN, origin)


@pytest.mark.django_db
def test_an_answer_to_the_desktop_may_be_read_by_it_even_if_it_is_an_error() -> None:
    headers = {"Origin": "tauri://localhost"}
    answer = Client().post(TOKEN, {}, content_type="application/json", headers=headers)
    assert answer.status_code == 400
    assert answer["Access-Control-Allow-Origin"] == "tauri://localhost"
