"""A receiver of webhooks on loopback, and an Internet in which its name has a public address."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from llmproxy.http1 import sockets

NAME, PUBLIC = "hooks.example.com", "93.184.215.14"


class Receiver:
    """Records what arrives. `respond` gets the handler of the request and writes the answer."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.respond: Callable[[Any], None] = lambda handler: answer(handler, 204)
        self.connected: list[str] = []  # the addresses to which connections were opened
        self.names: dict[str, list[str]] = {NAME: [PUBLIC]}
        self.asked: list[str] = []


def answer(handler: Any, status: int, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for NAME, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = timezone.now()
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def receiver(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    own = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            own.requests.append((self.path, headers, body))
            own.respond(self)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.002})
    thread.start()
    _build_internet(own, server.server_address[1], monkeypatch)
    trusted = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(sockets, "get_tls_context", lambda: trusted)
    yield own
    server.shutdown()
    thread.join()
    server.server_close()


def _build_internet(own: Receiver, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let names have the receiver's addresses, and lead the public one to it."""
    real_look_up, real_connect = socket.getaddrinfo, sockets._connect

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if host in own.names:
            own.asked.append(host)
            return [place for ip in own.names[host] for place in real_look_up(ip, *args, **options)]
        return real_look_up(host, *args, **options)

    def connect(sock: Any, candidate: Any, seconds: float) -> Any:
        own.connected.append(candidate[0])
        assert candidate[1] == 443
        if candidate[0] != PUBLIC:
            raise ConnectionRefusedError
        return real_connect(sock, ("127.0.0.1", port), seconds)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(sockets, "_connect", connect)
