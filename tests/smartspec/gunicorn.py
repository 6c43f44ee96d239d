"""The site as it is deployed: a real gunicorn, on the database of the tests."""

import os
import socket
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
class Said:
    """What came back; status 0 if the connection was closed without an answer that is one."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    log: Path

    def send(self, raw: bytes) -> Said:
        """These bytes and nothing after them; all that comes back is read, so ask for `Connection: close`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as line:
            received = b""
            with suppress(ConnectionError):  # it may hang up without having read all
                line.sendall(raw)
                line.shutdown(socket.SHUT_WR)
                while piece := line.recv(65536):
                    received += piece
        return _parsed(received, method=raw.partition(b" ")[0].decode("latin-1"))


class _Received:
    """What http.client takes for a socket."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self.received)


def _parsed(received: bytes, method: str) -> Said:
    response = HTTPResponse(cast(socket.socket, _Received(received)), method=method)
    try:
        response.begin()
        return Said(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    except (BadStatusLine, IncompleteRead):
        return Said(0, {}, received)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Server]:
    """Start it, with these environment variables besides what it needs, and wait until it is ready."""
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
        yield Server(port, child.log)


def _database_url() -> str:
    asked = connection.settings_dict
    user, password = quote(asked["USER"]), quote(asked["PASSWORD"])
    return f"postgres://{user}:{password}@{asked['HOST']}:{asked['PORT']}/{asked['NAME']}"
