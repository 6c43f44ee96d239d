"""Calls of providers over TLS."""

import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from accounts.models import User
from llmproxy.http1 import sockets
from llmproxy.models import Completion, Provider
from llmproxy.upstream import model_listing
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.several import Several

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = timezone.now()
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(
        now + timedelta(days=1)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    signed = builder.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("tls") / "provider.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: Any) -> Iterator[None]:
    context = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(sockets, "get_tls_context", lambda: context)
    yield
    sockets.pool.clear()


@pytest.fixture
def several(certificate: Path, monkeypatch: Any) -> Iterator[Several]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setattr(script, "TLS", context)
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    return lambda **body: chat(user, model="bright", max_tokens=10, **body)


def test_answers_come_on_one_connection(trusted: None, ask: Any, several: Several) -> None:
    upstream = several.add("only")
    for stream in (False, True, False, True):
        answer = ask(stream=stream)
        assert "only" in (text_of(answer) if stream else answer.content.decode())
    assert len(set(upstream.ports)) == 1


def test_a_stream_in_pieces_comes_in_pieces(trusted: None, ask: Any, several: Several) -> None:
    rest = threading.Event()
    several.add(
        "only", script.events(script.chunk("first"), rest, script.chunk(finish="stop"), script.DONE)
    )
    content = iter(ask(stream=True).streaming_content)
    assert b"first" in next(content)
    rest.set()
    assert b"[DONE]" in b"".join(content)


def test_a_silent_provider_is_hung_up_on(trusted: None, ask: Any, several: Several) -> None:
    upstream = several.add("only", script.until_hung_up(script.chunk("Hi")))
    response = ask(stream=True)
    next(iter(response.streaming_content))
    response.close()
    assert upstream.hung_up.wait(8)
    assert Completion.objects.get().status == "interrupted"


def test_silence_ends_after_the_idle_seconds(trusted: None, ask: Any, several: Several) -> None:
    several.add("only", script.until_hung_up(script.chunk("Hi")), idle_seconds=1)
    assert '"upstream_timeout"' in text_of(ask(stream=True))


def test_a_kept_connection_that_was_closed_is_tried_once_more(
    trusted: None, ask: Any, several: Several
) -> None:
    upstream = several.add("only", script.answer("one"))
    ask()
    upstream.script = script.once(script.hang_up, script.answer("again"))
    assert "again" in ask().content.decode()


def test_a_certificate_that_nobody_signed_is_refused_and_told(ask: Any, several: Several) -> None:
    upstream = several.add("first")
    assert ask().status_code == 502
    assert upstream.requests == []
    with pytest.raises(model_listing.NoOffers, match="certificate"):
        model_listing.list_models(Provider.objects.get())


# Sends a TLS record of 16 KB byte after byte. gevent starts its timeout anew with each byte.
DRIBBLED = """
from gevent import monkey
monkey.patch_all()
import socket, threading, time
from llmproxy.http1 import client
from llmproxy.http1.sockets import Address

def dribble():
    line, _ = listener.accept()
    for byte in b"\\x16\\x03\\x03\\x40\\x00" + b"x" * 300:
        line.sendall(bytes([byte]))
        time.sleep(0.02)

listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=dribble, daemon=True).start()
call, started = client.Call(), time.monotonic()
call.first_byte_by = started + 0.5
try:
    address = Address(*listener.getsockname(), is_secure=True)
    client.finish(client.send(address, b"", call, connect_seconds=1))
except TimeoutError:
    print(time.monotonic() - started < 2)
"""


def test_a_dribbled_record_is_not_waited_for_by_a_greenlet() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DRIBBLED], capture_output=True, text=True, timeout=20, check=True
    )
    assert ran.stdout == "True\n"
