"""nginx and Caddy with the files of deploy/, in front of any server on loopback."""

import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smartspec.local.embedded_postgres import find_free_port
from tests.programs import find_program, start_program
from tests.smartspec.gunicorn import ROOT
from tests.smartspec.processes import eventually

NAMES = ("nginx", "caddy")
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {site}
}}
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy: its ports, and a context of TLS that trusts its certificate."""

    name: str
    http: int
    https: int
    trust: ssl.SSLContext
    certificate: Path

    def connect(self) -> HTTPSConnection:
        return HTTPSConnection("localhost", self.https, timeout=10, context=self.trust)

    def ask(self, method: str, path: str, **options: Any) -> tuple[HTTPResponse, bytes]:
        line = self.connect()
        try:
            line.request(method, path, **options)
            response = line.getresponse()
            return response, response.read()
        finally:
            line.close()

    def curl(self, *arguments: str) -> str:
        command = ["curl", "--silent", "--max-time", "10", "--cacert", str(self.certificate)]
        run = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        return str(run.stdout)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost that lasts a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    signed = builder.sign(key, hashes.SHA256())
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, secret


@contextmanager
def running(name: str, folder: Path, *, upstream: int) -> Iterator[Proxy]:
    """Run a proxy with its file of deploy/ in front of this port, with free ports of its own."""
    program = find_program(name)
    certificate, key = make_certificate(folder)
    trust = ssl.create_default_context(cafile=str(certificate))
    proxy = Proxy(name, find_free_port(), find_free_port(), trust, certificate)
    write = write_nginx if name == "nginx" else write_caddy
    arguments = write(folder, proxy, key, upstream)
    with (folder / "proxy.log").open("wb") as log:
        # Caddy keeps a copy of its configuration in the home of the user.
        with patch.dict(os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder)):
            child = start_program(program, *arguments, stdout=log, stderr=log)
        try:
            eventually(lambda: _listens(proxy.https) or child.poll() is not None, 20)
            assert child.poll() is None, (folder / "proxy.log").read_text()
            yield proxy
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


def _listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def write_nginx(folder: Path, proxy: Proxy, key: Path, upstream: int) -> list[str]:
    site = (ROOT / "deploy/nginx.conf").read_text()
    site = re.sub(r" *listen \[::\].*\n", "", site)
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{proxy.http};",
        "listen 443 ": f"listen 127.0.0.1:{proxy.https} ",
        "smartspec.example": "localhost",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "/etc/ssl/smartspec/fullchain.pem": str(proxy.certificate),
        "/etc/ssl/smartspec/privkey.pem": str(key),
    }.items():
        assert old in site
        site = site.replace(old, new)
    whole = folder / "nginx.conf"
    whole.write_text(NGINX.format(folder=folder, site=site))
    return ["-p", str(folder), "-c", str(whole)]


def write_caddy(folder: Path, proxy: Proxy, key: Path, upstream: int) -> list[str]:
    site = (ROOT / "deploy/Caddyfile").read_text()
    test_only = f"{{\n\tadmin off\n\tstorage file_system {folder}\n"
    for old, new in {
        "{\n\tservers": f"{test_only}\tdefault_bind 127.0.0.1\n\tservers",
        "https://smartspec.example {": (
            f"https://localhost:{proxy.https} {{\n\ttls {proxy.certificate} {key}"
        ),
        "http://smartspec.example {": f"http://localhost:{proxy.http} {{",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }.items():
        assert old in site, old
        site = site.replace(old, new)
    whole = folder / "Caddyfile"
    whole.write_text(site)
    return ["run", "--config", str(whole), "--adapter", "caddyfile"]
