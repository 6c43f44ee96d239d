"""The log contains no secrets, whatever logged them."""

import io
import logging
import logging.config
from typing import Any

import pytest
from django.conf import settings

SECRET = "WDJB-MJHT.abc_123"


@pytest.fixture
def written():
    """Return what our handler has written."""
    stream = io.StringIO()
    ours: dict[str, Any] = dict(settings.LOGGING)
    ours["handlers"] = {"console": {**ours["handlers"]["console"], "stream": stream}}
    ours |= {"root": {}, "loggers": {"redaction": {"handlers": ["console"], "level": "INFO"}}}
    logging.config.dictConfig(ours)
    yield stream
    logging.config.dictConfig(settings.LOGGING)


@pytest.mark.parametrize(
    "line",
    [
        f"GET /auth/device?user_code={SECRET} 200",
        f"Referer: https://spec.example/auth/device?user_code={SECRET}",
        f"next=/auth/device%3Fuser_code%3D{SECRET}",
        f"{{'refresh_token': '{SECRET}', 'a': 1}}",
        f'{{"access_token": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}==",
        f"key sk-{SECRET}",
        f"key _sk-{SECRET}",
        f"Invalid API Key provided: sk_live_{SECRET}",
        f"rk_test_{SECRET}",
        f"['whsec_{SECRET}']",
        f'{{\\"refresh_token\\": \\"{SECRET}\\"}}',
        f"{{'password': ['{SECRET}']}}",
        f"Cookie: sessionid={SECRET}; a=b",
        f"password1=!!{SECRET}",
        f"GET /auth/device/undo/{SECRET}",
        f"GET /auth/device/confirm/{SECRET}",
        f"GET /accounts/reauthenticate/?next=%2Fauth%2Fdevice%2Fconfirm%2F{SECRET}",
        f"GET /accounts/password/reset/key/1-{SECRET}/",
    ],
)
def test_secrets_are_not_written(written, line):
    logging.getLogger("redaction").info("%s", line)
    assert SECRET not in written.getvalue()
    assert "[secret]" in written.getvalue()


def test_secrets_in_exceptions_are_not_written(written):
    try:
        raise ValueError(f"refresh_token={SECRET}")
    except ValueError:
        logging.getLogger("redaction").exception("failed")
    assert "ValueError" in written.getvalue()
    assert SECRET not in written.getvalue()


def test_what_is_no_secret_is_written_as_it_is(written):
    line = (
        "code_requested user=- {'code': 14, 'client': 'smartspec-desktop'} at /account/devices/12"
    )
    logging.getLogger("redaction").info(line)
    assert line in written.getvalue()
