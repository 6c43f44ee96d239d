"""Each of our headers is spelt once, in accounts/toolbox/headers.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.test import Client

from accounts.toolbox import headers

ROOT = Path(settings.BASE_DIR)
APPS = ("accounts", "credits", "deviceauth", "llmproxy", "smartspec")
NAMES = {
    value for name, value in vars(headers).items() if name.isupper() and isinstance(value, str)
}
SPELT = {headers.wsgi_name(name).lower() for name in NAMES} | NAMES


def literals(source: str) -> Iterator[tuple[int, str]]:
    """The line and lower-case text of every string in Python code, f-strings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.lower()


def retyped(source: str) -> list[tuple[int, str]]:
    return [
        found
        for found in literals(source)
        if found[1] in SPELT or found[1].startswith("x-ratelimit-")
    ]


def test_no_other_module_spells_a_header() -> None:
    sources = [
        path
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        # The fake Stripe speaks Stripe's dialect, some of whose headers have the names of ours.
        if not {"migrations", "fake_stripe"} & set(path.parts)
    ]
    found = {
        path: retyped(path.read_text())
        for path in sources
        if path != ROOT / "accounts/toolbox/headers.py"
    }
    assert {str(path): lines for path, lines in found.items() if lines} == {}


def test_a_header_that_is_spelt_again_is_noticed() -> None:
    source = (
        'a["X-Trace-Id"]; b["HTTP_X_USER_TOKEN"]; f"x-ratelimit-limit-{kind}"; "About x-trace-id."'
    )
    assert retyped(source) == [
        (1, "x-trace-id"),
        (1, "http_x_user_token"),
        (1, "x-ratelimit-limit-"),
    ]


def test_the_table_knows_every_name() -> None:
    proxies = {headers.ACCEL_BUFFERING, headers.FORWARDED_FOR, headers.FORWARDED_PROTO}
    assert {*headers.SENT, *headers.RECEIVED, *proxies} == NAMES | set(headers.RATE_LIMITS)


def test_pages_of_other_origins_see_all_that_we_send() -> None:
    answer = Client().get("/api/schema", HTTP_ORIGIN=settings.CORS_ALLOWED_ORIGINS[0])
    assert set(answer["Access-Control-Expose-Headers"].split(", ")) == {
        "allow",
        "retry-after",
        "www-authenticate",
        *headers.SENT,
    }
