"""The checks of smartspec/wsgi.py before Django."""

from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory

from smartspec import wsgi


def call(content_type: str) -> tuple[str, bytes]:
    statuses: list[str] = []
    environ = RequestFactory().post("/v1/models?x=1").environ | {"CONTENT_TYPE": content_type}
    body = wsgi.application(environ, lambda status, headers, *rest: statuses.append(status))
    return statuses[0], b"".join(body)


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["base64", "hex", "idna", "utf-16", "rot13", '"base64"'])
def test_a_body_in_another_charset_is_400(charset: str) -> None:
    status, body = call(f"application/json; charset={charset}")
    assert status == "400 Bad Request"
    assert b"invalid_request_error" in body


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_utf_8_goes_through(content_type: str) -> None:
    assert call(content_type)[0].startswith("405")


@pytest.mark.django_db(transaction=True)
def test_a_connection_goes_back_even_when_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_over(environ: Any, start_response: Any) -> Any:
        connection.ensure_connection()
        raise LookupError

    monkeypatch.setattr(wsgi, "django_application", fall_over)
    with pytest.raises(LookupError):
        call("application/json")
    assert connection.connection is None
