"""Malformed requests to the OAuth routes get a 4xx in their error format, and write nothing."""

import json
import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from deviceauth.models import DeviceCode
from tests.deviceauth.conftest import CODE, DEVICE_CODE, FORM, REVOKE, TOKEN

pytestmark = pytest.mark.django_db
ROUTES = [CODE, TOKEN, REVOKE]
JSON = "application/json"
NAMES = [
    *((CODE, name) for name in ("client_id", "client_secret", "scope", "scopes")),
    *(
        (TOKEN, name)
        for name in (
            "client_id",
            "client_secret",
            "grant_type",
            "device_code",
            "refresh_token",
            "scope",
        )
    ),
    *((REVOKE, name) for name in ("client_id", "client_secret", "token", "token_type_hint")),
]
WRONG = [1, 1.5, True, ["a", 1], {"a": "b"}, [[1]], "a\0b", "é", "\ud800", "\n", "x" * 2000]


def is_refused(answer: Any) -> bool:
    body = answer.json()
    return (
        400 <= answer.status_code < 500
        and isinstance(body["error"], str)
        and "expired" not in answer.content.decode()
        and answer["Cache-Control"] == "no-store"
        and not DeviceCode.objects.exists()
    )


def post(path: str, body: bytes, content_type: str, **extra: Any) -> Any:
    return Client().post(path, body, content_type=content_type, **extra)


BODIES = {
    "json array": (b"[]", JSON),
    "json string": (b'"client_id"', JSON),
    "json number": (b"1", JSON),
    "json null": (b"null", JSON),
    "json half": (b'{"scopes": [', JSON),
    "json deep": (b"[" * 1000, JSON),
    "json very deep": (b'{"a":' * 2500, JSON),
    "json bad utf-8": (b'{"client_id": "\xff\xfe"}', JSON),
    "json utf-16": ('{"client_id": "x"}'.encode("utf-16"), JSON),
    "json duplicate": (b'{"client_id": "a", "client_id": "b"}', JSON),
    "json huge number": (b'{"client_id": 1' + b"0" * 9000 + b"}", JSON),
    "json too large": (b'{"client_id": "' + b"x" * 20_000 + b'"}', JSON),
    "form too large": (b"client_id=" + b"x" * 3_000_000, FORM),
    "form duplicate": (b"client_id=tv-app&client_id=tv-app", FORM),
    "form bad escape": (b"client_id=%zz", FORM),
    "form half escape": (b"client_id=abc%4", FORM),
    "form escaped bad utf-8": (b"client_id=%ff%fe", FORM),
    "form raw bad utf-8": (b"client_id=\xff\xfe", FORM),
    "form many fields": (b"&".join(b"a%d=1" % number for number in range(100)), FORM),
    "form nul": (b"client_id=a%00b", FORM),
    "xml": (b"<client_id/>", "application/xml"),
    "plain": (b"client_id=tv-app", "text/plain"),
    "no type": (b"client_id=tv-app", ""),
    "broken type": (b"client_id=tv-app", "/;=;"),
    "multipart": (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
    "empty form": (b"", FORM),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ROUTES)
def test_a_bad_body_is_refused(path: str, name: str) -> None:
    body, content_type = BODIES[name]
    assert is_refused(post(path, body, content_type))


DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+\Z")  # RFC 6749 §5.2


@pytest.mark.parametrize("path", ROUTES)
def test_a_description_is_ascii_in_every_language(path: str) -> None:
    thai = {"Accept-Language": "th"}
    answers = [
        post(path, body, content_type, headers=thai) for body, content_type in BODIES.values()
    ]
    answers += [
        post(path + query, b"{}", JSON, headers=thai) for query in ("?a=%00", "?%ff", "?a=b")
    ]
    answers += [
        Client().get(path, headers=thai),
        post(path, b"{}", JSON, headers=thai | {"Host": "evil.example"}),
    ]
    for answer in answers:
        assert DESCRIPTION.match(answer.json().get("error_description", "-")), answer.content


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_wrong_type_or_character_is_refused(path: str, name: str, value: object) -> None:
    body = {"grant_type": DEVICE_CODE, "device_code": "x", "token": "x"} | {name: value}
    assert is_refused(post(path, json.dumps(body).encode(), JSON))


@pytest.mark.parametrize(
    "credentials",
    [
        "Basic",
        "Basic !!!",
        "Basic é",
        "Basic AA==",
        "Basic bm9ib2R5Og==",
        "Basic Og==",
        "Basic AGE6AGI=",
        "Basic /zr/",
    ],
)
@pytest.mark.parametrize("path", ROUTES)
def test_bad_basic_credentials_are_refused(path: str, credentials: str) -> None:
    body = b"grant_type=refresh_token&refresh_token=x&token=x"
    answer = post(path, body, FORM, headers={"Authorization": credentials})
    assert is_refused(answer)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Basic realm="smartspec"'


@pytest.mark.parametrize("query", ["?client_id=smartspec-desktop", "?%zz", "?a=%", "?=&&"])
@pytest.mark.parametrize("path", ROUTES)
def test_parameters_in_the_address_are_refused(path: str, query: str) -> None:
    assert is_refused(post(path + query, b"{}", JSON))


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_method_is_refused(path: str, method: str) -> None:
    answer = getattr(Client(), method)(path)
    assert answer.status_code == 405
    assert "POST" in answer["Allow"]
    assert answer["Cache-Control"] == "no-store"
    assert method == "head" or answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", ""])
def test_the_answer_is_json_whatever_is_accepted(accept: str) -> None:
    assert post(CODE, b"{}", JSON, headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("header", ["HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR"])
def test_no_header_can_break_a_request(settings: Any, header: str) -> None:
    settings.TRUSTED_PROXIES = 1
    for value in ["", "\0", "\xff" * 2000, "x" * 5000, "fe80::1%eth0"]:
        assert post(CODE, b"{}", JSON, **{header: value}).status_code == 200


@pytest.mark.parametrize("path", [*ROUTES, "/api/auth/device/verify", "/api/auth/me"])
def test_an_absent_database_is_said_in_the_routes_dialect(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError

    monkeypatch.setattr("rest_framework.views.APIView.perform_authentication", away)
    answer = post(path, b"{}", JSON) if path in ROUTES else Client().get(path)
    assert answer.status_code == 503
    assert answer["Cache-Control"] == "no-store"
    assert int(answer["Retry-After"]) > 0
    error = answer.json()["error"]
    assert error == "temporarily_unavailable" if path in ROUTES else set(error) == {"message"}


def test_a_scope_that_is_no_text_is_400(client):
    body = b'{"scopes": ["\\ud800"]}'
    answer = client.post("/api/auth/device/code", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
