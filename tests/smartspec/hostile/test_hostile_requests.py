"""Requests that schemathesis cannot send, to every route of a real gunicorn.

No response is a 5xx, and every refusal is in the dialect of the route.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from smartspec import openapi
from tests.llmproxy import scripted_upstream
from tests.smartspec.described import make_example, media_types, operations
from tests.smartspec.gunicorn import RawResponse, Server, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("rows")]

DOCUMENT = json.loads(openapi.build_document())
OPERATIONS = operations(DOCUMENT)
PAGES = [
    "GET /",
    "GET /account",
    "GET /accounts/login/",
    "GET /auth/device",
    "POST /auth/device",
    "GET /admin/",
]
MANY = 1_000_000
LIMITS = {
    name: str(MANY)
    for name in ("DEVICE_CODE_RPM", "DEVICE_CODE_RPH", "DEVICE_VERIFY_RPM", "WEB_LLM_RPM")
}

Headers = list[tuple[str, str]]


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with django_db_blocker.unblock(), scripted_upstream.serving() as provider:
        provider.script = scripted_upstream.as_asked("Hello")
        upstream = {"LLM_UPSTREAM_BASE_URL": provider.url, "LLM_UPSTREAM_MODELS": "smollm2"}
        with serving(tmp_path_factory.mktemp("gunicorn"), **LIMITS, **upstream) as running:
            yield running
            log = running.log.read_text()
            assert (
                "Error handling request" not in log
            )  # gunicorn logs exceptions that escape the application.
            assert "Internal Server Error" not in log  # Django logs its own.


@pytest.fixture
def login(callers: dict[str, Any]) -> Headers:
    """The headers of a logged-in browser, which most routes accept."""
    browser = callers["browser"]
    cookies = "; ".join(f"{name}={value}" for name, value in browser["cookies"].items())
    return [("Cookie", cookies), *browser["headers"].items()]


def request(
    label: str, *more: tuple[str, str], method: str = "", body: bytes | None = None, drop: str = ""
) -> bytes:
    """Return the example of an operation as bytes.

    `more` headers may repeat a name; `drop` is the name of a header to leave out.
    """
    verb, path = label.split(" ")
    example, headers = _example(label, path)
    sent = example["body"] if body is None else body
    headers = [
        ("Host", "127.0.0.1"),
        *headers,
        ("Content-Length", str(len(sent))),
        ("Connection", "close"),
    ]
    lines = [
        f"{name}: {value}"
        for name, value in [*headers, *more]
        if (name, value) in more or name != drop
    ]
    head = [f"{method or verb} {example['path']} HTTP/1.1", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + sent


def _example(label: str, path: str) -> tuple[dict[str, Any], Headers]:
    if label not in OPERATIONS:
        return {"path": path, "body": b""}, []
    media_type = media_types(OPERATIONS[label])[0]
    example = make_example(OPERATIONS[label], media_type, DOCUMENT)
    address = path.format(**example["path_parameters"])
    query = f"?{urlencode(example['query'])}" if example["query"] else ""
    body = json.dumps(example["body"]).encode() if media_type else b""
    return {"path": address + query, "body": body}, [
        ("Content-Type", media_type)
    ] if media_type else []


# Valid HTTP, which reaches the application.
HEADERS: dict[str, Headers] = {
    "two authorizations": [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    "basic and nothing": [("Authorization", "Basic")],
    "bearer and bytes": [("Authorization", "Bearer \xff\xfe")],
    "long authorization": [("Authorization", "Bearer " + "x" * 8000)],
    "two cookies": [("Cookie", "sessionid=a"), ("Cookie", "sessionid=b")],
    "odd cookies": [("Cookie", '=;;;a;"=";sessionid;sessionid="\\000"; csrftoken=\xff')],
    "another host": [("Host", "evil.example")],
    "host with a port of letters": [("Host", "127.0.0.1:http")],
    "forwarded": [
        ("X-Forwarded-For", "::1%eth0,\xff"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Proto", "gopher"),
    ],
    "range": [("Range", "bytes=0-1")],
    "odd range": [("Range", "bytes=5-1,-,a-b")],
    "conditions": [
        ("If-None-Match", '"\xff'),
        ("If-Modified-Since", "yesterday"),
        ("If-Match", "*"),
    ],
    "accept nothing known": [("Accept", "application/x-nothing"), ("Accept-Encoding", "zip;q=9")],
    "odd language": [("Accept-Language", "th-\xff;q=x," * 200)],
    "upgrade": [("Upgrade", "websocket"), ("Connection", "Upgrade")],
    "expect": [("Expect", "100-continue")],
    "method override": [("X-HTTP-Method-Override", "DELETE")],
    "odd origin": [("Origin", "null"), ("Origin", "\xff"), ("Referer", "\xff")],
    "odd trace": [("x-trace-id", "\xff" * 500), ("x-user-token", "\x80")],
    "sixty headers": [(f"x-{number}", "y") for number in range(50)],
}
TYPES = [
    "",
    "/",
    "application",
    "application/json; charset",
    "application/json; charset=utf-16",
    "application/json; charset=base64",
    "application/json; charset=\xff",
    'application/json; charset="utf-8',
    "application/json" + ";" * 500,
    "application/x-www-form-urlencoded; charset=rot13",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=" + "x" * 300,
    "multipart/form-data; boundary=\xff",
    "text/plain; charset=idna",
    "image/png",
]
METHODS = [
    "HEAD",
    "OPTIONS",
    "TRACE",
    "PUT",
    "PATCH",
    "DELETE",
    "PROPFIND",
    "CONNECT",
    "QUERY",
    "GET",
    "POST",
]
BODIES = [b"", b"\0" * 100, b"\xff\xfe", b'{"a": ' * 3000, b"a=%zz&b=%"]

# Invalid HTTP: gunicorn refuses it before it reaches the application, or closes the connection.
BROKEN: dict[str, Headers] = {
    "two lengths": [("Content-Length", "1"), ("Content-Length", "2")],
    "a negative length": [("Content-Length", "-1")],
    "a length in letters": [("Content-Length", "many")],
    "length and chunks": [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
    "unknown coding": [("Transfer-Encoding", "zip")],
    "a huge header": [("x-huge", "x" * 20_000)],
    "a hundred headers": [(f"x-{number}", "y") for number in range(100)],
    "a header with a blank": [("x y", "z")],
    "a header with a nul": [("x", "a\0b")],
}


def is_in_dialect(label: str, response: RawResponse) -> bool:
    """True if the programs that call this route can read the refusal."""
    if label in PAGES or response.status < 400 or not response.body:
        return True
    schema = OPERATIONS[label]["responses"]["400"]["content"]["application/json"]["schema"]["$ref"]
    if not response.headers["content-type"].startswith("application/json"):
        return False
    answer = json.loads(response.body)
    error = answer[0]["error"] if isinstance(answer, list) else answer["error"]
    if schema.endswith("OAuthError"):
        return isinstance(error, str)
    return isinstance(error["message"] if "json" not in error else error["json"]["message"], str)


def require_calm(server: Server, label: str, name: object, raw: bytes) -> RawResponse:
    response = server.send(raw)
    assert 200 <= response.status < 500, (label, name, response)
    assert is_in_dialect(label, response), (label, name, response)
    return response


@pytest.mark.parametrize("label", [*OPERATIONS, *PAGES])
def test_odd_requests_are_answered_calmly(server: Server, login: Headers, label: str) -> None:
    for name, odd in HEADERS.items():
        drop = "Host" if odd[0][0] == "Host" else ""
        require_calm(server, label, name, request(label, *odd, drop=drop))
        require_calm(server, label, name, request(label, *login, *odd, drop=drop))
    for media_type in TYPES:
        require_calm(
            server,
            label,
            media_type,
            request(label, *login, ("Content-Type", media_type), drop="Content-Type"),
        )
    for method in METHODS:
        require_calm(server, label, method, request(label, *login, method=method))
    for body in BODIES:
        require_calm(server, label, body[:9], request(label, *login, body=body))


@pytest.mark.parametrize("label", [*OPERATIONS, *PAGES])
def test_bodies_of_another_length_are_answered_calmly(
    server: Server, login: Headers, label: str
) -> None:
    for chunks in (b"3\r\n{}x\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\nx: y\r\n\r\n", b"0\r\n\r\n"):
        chunked = request(
            label, *login, ("Transfer-Encoding", "chunked"), drop="Content-Length", body=chunks
        )
        require_calm(server, label, chunks, chunked)
    for length, sent in ((500, b"{}"), (1, b'{"a": 1}'), (0, b"{}"), (10**30, b"{}")):
        raw = request(
            label, *login, ("Content-Length", str(length)), drop="Content-Length", body=sent
        )
        require_calm(server, label, length, raw)


@pytest.mark.parametrize(
    "label", ["POST /api/auth/device/token", "POST /v1/chat/completions", "GET /api/auth/me"]
)
def test_what_is_not_http_is_refused_by_the_server(
    server: Server, login: Headers, label: str
) -> None:
    for name, broken in BROKEN.items():
        drop = broken[0][0] if broken[0][0] == "Content-Length" else ""
        response = server.send(request(label, *login, *broken, drop=drop))
        assert (
            response.status == 0
            or 400 <= response.status < 500
            or (response.status, name) == (501, "unknown coding")
        ), (
            name,
            response,
        )
    for raw in (
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
    ):
        assert server.send(raw).status in (0, 400, 505), raw
    assert server.send(request("GET /healthz")).status == 200
