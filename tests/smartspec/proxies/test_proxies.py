"""The files in deploy/ for the proxy in front, run with the real nginx and the real Caddy."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.smartspec.gunicorn import ROOT
from tests.smartspec.proxies import proxies
from tests.smartspec.proxies.proxies import Proxy

SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Ssl": "off",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Protocol": "http",
    "X-Url-Scheme": "http",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=http",
    "X_Forwarded_For": "203.0.113.9",
    "X_Forwarded_Proto": "http",
    "Proxy": "http://evil.example",
}


class Site(ThreadingHTTPServer):
    """A site whose stream says its second event only when the caller has read the first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.goes_on = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/v1/stream"):
            self._stream()
        elif self.path.startswith("/v1/silence"):
            time.sleep(2)
            self._tell({"silence": 2})
        else:
            self._tell({"headers": self.headers.items()})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self._tell({"length": len(self.rfile.read(length))})

    def _tell(self, what: Any) -> None:
        body = json.dumps(what, default=list).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        if self.server.goes_on.wait(8):
            self.wfile.write(b"data: 2\n\n")
        self.close_connection = True


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=proxies.NAMES)
def proxy(request: Any, site: Site, tmp_path_factory: Any) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp(request.param)
    with proxies.running(request.param, folder, upstream=site.server_port) as running:
        yield running


@pytest.fixture(params=proxies.NAMES)
def lonely(request: Any, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy in front of a port on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with proxies.running(request.param, tmp_path, upstream=port) as running:
            yield running


def test_nothing_that_a_caller_says_about_itself_reaches_the_site(proxy: Proxy) -> None:
    _response, body = proxy.ask("GET", "/v1/echo", headers=SPOOFED)
    seen = [(name.lower().replace("_", "-"), value) for name, value in json.loads(body)["headers"]]
    told = {name: value for name, value in seen if name.startswith(("x-", "forwarded", "proxy"))}
    assert told == {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https"}
    assert len([name for name, _value in seen if name.startswith("x-")]) == 2
    assert ("host", f"localhost:{proxy.https}") in seen


def test_port_80_leads_to_the_site_as_http(proxy: Proxy) -> None:
    text = proxy.curl(f"http://localhost:{proxy.http}/v1/echo", "-H", "X-Forwarded-Proto: https")
    assert dict(json.loads(text)["headers"])["X-Forwarded-Proto"] == "http"


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip, br"}])
def test_an_event_arrives_before_the_next_one_is_sent(
    proxy: Proxy, site: Site, headers: dict[str, str]
) -> None:
    site.goes_on.clear()
    line = proxy.connect()
    line.request("GET", "/v1/stream", headers=headers)
    response = line.getresponse()
    assert response.readline() == b"data: 1\n"
    site.goes_on.set()
    assert response.read() == b"\ndata: 2\n\n"
    assert response.getheader("Content-Encoding") is None
    line.close()


def test_an_event_arrives_at_once_over_http_2(proxy: Proxy, site: Site) -> None:
    site.goes_on.set()
    text = proxy.curl(
        "--http2", "-w", "%{http_version}", f"https://localhost:{proxy.https}/v1/stream"
    )
    assert text == "data: 1\n\ndata: 2\n\n2"


def test_a_silence_of_some_seconds_is_waited_for(proxy: Proxy) -> None:
    response, body = proxy.ask("GET", "/v1/silence")
    assert (response.status, json.loads(body)) == (200, {"silence": 2})


def test_the_wait_for_a_silent_model_is_longer_than_the_longest_completion() -> None:
    limit = settings.LLM_COMPLETION_SECONDS
    nginx = (ROOT / "deploy/nginx.conf").read_text()
    caddy = (ROOT / "deploy/Caddyfile").read_text()
    [read] = re.findall(r"proxy_read_timeout (\d+)s;", nginx)
    waits = re.findall(r"(?:response_header_timeout|read_timeout) (\d+)s", caddy)
    assert len(waits) == 2
    assert min(map(int, [read, *waits])) > max(900, limit)


@pytest.mark.parametrize("surplus", [0, 1, 500_000])
def test_what_the_site_may_refuse_itself_is_passed_on(proxy: Proxy, surplus: int) -> None:
    size = settings.WEB_LLM_MAX_BODY_BYTES + surplus
    response, body = proxy.ask("POST", "/v1/chat/completions", body=b"x" * size)
    assert (response.status, json.loads(body)) == (200, {"length": size})


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/chat/completions", dict), ("/v1/messages", str), ("/api/x", dict), ("/page", None)],
)
def test_a_far_too_large_body_is_refused_by_the_proxy_in_the_dialect_of_the_route(
    proxy: Proxy, path: str, kind: type | None
) -> None:
    response, body = proxy.ask("POST", path, body=b"x" * 4_000_000)
    assert response.status == 413
    require_dialect(path, response, body)


def require_dialect(path: str, response: Any, body: bytes) -> None:
    """Fail unless an error of the proxy itself is in the dialect of the route, and no HTML."""
    kind = response.getheader("Content-Type")
    if path == "/page":
        assert kind.startswith("text/plain")
        assert b"<" not in body
        return
    assert kind == "application/json"
    told = json.loads(body)
    assert told["error"]["message"].endswith(".")
    assert (told.get("type") == "error") is (path == "/v1/messages")


def test_while_the_site_is_away_programs_are_told_in_json_when_to_come_back(
    lonely: Proxy,
) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/api/account", "/page"):
        response, body = lonely.ask("GET", path)
        assert (response.status, response.getheader("Retry-After")) == (503, "5"), path
        require_dialect(path, response, body)


def test_headers_that_are_too_long_are_refused_without_html(proxy: Proxy) -> None:
    response, body = proxy.ask("GET", "/v1/echo", headers={"x": "y" * 40_000})
    assert response.status == (400 if proxy.name == "nginx" else 431)
    assert b"<" not in body


def test_only_tls_1_2_and_later_is_spoken(proxy: Proxy) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(proxy.certificate)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", proxy.https), 5) as line,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(line, server_hostname="localhost")
