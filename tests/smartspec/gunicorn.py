"""The site as in production: a real gunicorn with the database of the tests."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPResponse, IncompleteRead
from io import BytesIO
from pathlib import Path
from typing import cast
from urllib.parse import quote

from django.db import connection

from smartspec.local import embedded_postgres, launch
from smartspec.local.site import Site

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response. The status is 0 if the connection was closed without a valid response."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    log: Path
    process: subprocess.Popen[str]

    def send(self, raw: bytes) -> RawResponse:
        """Send these bytes and read until the server closes the connection.

        So the request must ask for `Connection: close`.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as line:
            received = b""
            with suppress(ConnectionError):  # The server may close before it has read everything.
                line.sendall(raw)
                line.shutdown(socket.SHUT_WR)
                while piece := line.recv(65536):
                    received += piece
        return _parse_response(received, method=raw.partition(b" ")[0].decode("latin-1"))


class _Received:
    """Received bytes in the shape of a socket for http.client."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self.received)


def _parse_response(received: bytes, method: str) -> RawResponse:
    response = HTTPResponse(cast(socket.socket, _Received(received)), method=method)
    try:
        response.begin()
        return RawResponse(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    except (BadStatusLine, IncompleteRead):
        return RawResponse(0, {}, received)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Server]:
    """Run gunicorn with these additional environment variables; yield it once it is ready."""
    port = embedded_postgres.find_free_port()
    environment = os.environ | {
        "DATABASE_URL": _database_url(),
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1",
        "GRACEFUL_TIMEOUT": "1",
        **variables,
    }
    (folder / "log").mkdir(exist_ok=True)
    site = Site(ROOT, port, environment)
    with site.child("web", "-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi") as child:
        launch.wait_for(child, site.address, "/readyz", START_SECONDS)
        yield Server(port, child.log, child.process)


def _database_url() -> str:
    options = connection.settings_dict
    user, password = quote(options["USER"]), quote(options["PASSWORD"])
    return f"postgres://{user}:{password}@{options['HOST']}:{options['PORT']}/{options['NAME']}"
