"""The site itself, a real gunicorn, behind the proxies of deploy/."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.programs import find_program
from tests.smartspec.gunicorn import Server, serving
from tests.smartspec.proxies import proxies
from tests.smartspec.proxies.proxies import Proxy

pytestmark = pytest.mark.django_db(transaction=True)
BEARER = {"Authorization": "Bearer no-such-token", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[Server]:
    for name in proxies.NAMES:
        find_program(name)
    folder = tmp_path_factory.mktemp("site")
    secure = {
        "PUBLIC_ORIGIN": "https://localhost",
        "TRUSTED_PROXIES": "1",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    with django_db_blocker.unblock(), serving(folder, **secure) as running:
        yield running


@pytest.fixture(scope="module", params=proxies.NAMES)
def proxy(request: Any, server: Server, tmp_path_factory: Any) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp(request.param)
    with proxies.running(request.param, folder, upstream=server.port) as running:
        yield running


def test_the_largest_body_passes_and_one_byte_more_is_refused_by_the_site(proxy: Proxy) -> None:
    most = settings.WEB_LLM_MAX_BODY_BYTES
    body = b'{"model":"m"}'.ljust(most)
    response, _body = proxy.ask("POST", "/v1/chat/completions", body=body, headers=BEARER)
    assert response.status == 401
    response, text = proxy.ask("POST", "/v1/messages", body=body + b" ", headers=BEARER)
    assert response.status == 413
    assert json.loads(text)["type"] == "error"
    assert response.getheader("x-request-id")


def test_the_site_sees_https_and_says_nothing_is_wrong(proxy: Proxy) -> None:
    _response, text = proxy.ask("GET", "/healthz?deep", headers={"X-Forwarded-Proto": "http"})
    assert json.loads(text) == {"status": "ok", "proxy": "ok"}


def test_a_program_that_posts_over_http_gets_400_in_json(proxy: Proxy) -> None:
    address = f"http://localhost:{proxy.http}/v1/chat/completions"
    text = proxy.curl("-X", "POST", "-H", "Authorization: Bearer x", "-d", "{}", address)
    assert json.loads(text)["error"]["code"] == "https_required"


def test_a_page_over_http_is_redirected_to_https(proxy: Proxy) -> None:
    written = "%{http_code} %{redirect_url}"
    address = f"http://localhost:{proxy.http}/account"
    text = proxy.curl("-o", "/dev/null", "-w", written, address)
    assert text == f"301 https://localhost:{proxy.http}/account"


def test_an_ordinary_nginx_is_told_which_header_it_has_to_send(
    server: Server, tmp_path: Any, monkeypatch: Any
) -> None:
    def write(*arguments: Any) -> list[str]:
        found = written(*arguments)
        whole = tmp_path / "nginx.conf"
        text = whole.read_text().replace("proxy_set_header X-Forwarded-Proto $scheme;", "")
        whole.write_text(text)
        return found

    written = proxies.write_nginx
    monkeypatch.setattr(proxies, "write_nginx", write)
    with proxies.running("nginx", tmp_path, upstream=server.port) as plain:
        response, text = plain.ask("GET", "/")
        assert response.status == 400
        assert "proxy_set_header X-Forwarded-Proto $scheme;" in text.decode()
        response, text = plain.ask("POST", "/v1/chat/completions", body=b"{}", headers=BEARER)
        assert json.loads(text)["error"]["code"] == "proxy_misconfigured"
