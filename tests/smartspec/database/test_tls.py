"""TLS to a real PostgreSQL, with an authority that is made for the test."""

import os
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection
from django.utils import timezone

from bench.failover.servers import Server, open_servers
from smartspec.environment import Environment
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.postgresql import options

pytestmark = [pytest.mark.long, pytest.mark.django_db]
Key = ec.EllipticCurvePrivateKey


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certify(folder: Path, subject: str, issuer: str, signer: Key | None = None) -> Key:
    """Write a certificate and its key; the first of a folder signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = timezone.now()
    builder = x509.CertificateBuilder(
        name(issuer), name(subject), key.public_key(), x509.random_serial_number()
    )
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(
        now + timedelta(days=1)
    )
    builder = builder.add_extension(x509.BasicConstraints(signer is None, None), critical=True)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = builder.add_extension(here, critical=False).sign(signer or key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / f"{subject}.crt").write_bytes(signed.public_bytes(pem))
    secret = folder / f"{subject}.key"
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    secret.chmod(0o600)
    return key


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that speaks TLS only, and wants a certificate of the authority from each client."""
    with open_servers(1) as (server,):
        server.create(kind="hostssl", more="clientcert=verify-ca")
        folder = server.data.parent
        authority = certify(folder, "authority", "authority")
        certify(folder, "other", "other")
        certify(folder, "server", "authority", authority)
        certify(folder, "site", "authority", authority)
        if server.owner:
            os.chown(folder / "server.key", server.owner.uid, server.owner.gid)
        files = {
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
            "ssl_ca_file": "authority.crt",
        }
        paths = {option: str(folder / file) for option, file in files.items()}
        try:
            server.start(ssl="on", **paths)
        except DatabaseUnavailableError as error:
            pytest.skip(f"this build of PostgreSQL has no TLS: {error}")
        yield server


def ask_whether_encrypted(server: Server, query: str) -> bool:
    folder = server.data.parent
    url = f"postgres://smartspec@127.0.0.1:{server.port}/postgres?{query.format(folder=folder)}"
    env = Environment()
    config = env.database(url)
    assert not env.bad
    other: Any = connection.copy("encrypted")
    built = options.build_options(
        of_url=config["OPTIONS"], pool_size=1, pool_seconds=0.5, has_pooler=False
    )
    other.settings_dict = {**other.settings_dict, **config, "OPTIONS": built}
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            encrypted: bool = cursor.fetchone()[0]
        other.close()
    finally:
        other.close_pool()
    return encrypted


MINE = "sslcert={folder}/site.crt&sslkey={folder}/site.key"


def test_a_server_that_is_verified_is_talked_to_by_tls(server: Server) -> None:
    query = f"sslmode=verify-full&sslrootcert={{folder}}/authority.crt&{MINE}"
    assert ask_whether_encrypted(server, query)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"sslmode=verify-full&sslrootcert={{folder}}/other.crt&{MINE}", "certificate verify fail"),
        (f"sslmode=verify-full&sslrootcert={{folder}}/no.crt&{MINE}", "does not exist"),
        ("sslmode=require", "client certificate"),
        ("sslmode=disable", "no encryption"),
    ],
)
def test_a_server_that_cannot_be_verified_is_not_talked_to(
    server: Server, query: str, reason: str
) -> None:
    with pytest.raises(Exception, match=reason):
        ask_whether_encrypted(server, query)
