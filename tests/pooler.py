"""A real PgBouncer in transaction mode in front of the test database."""

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import connection

from smartspec.local.embedded_postgres import find_free_port
from tests.programs import find_program, start_program

CONFIGURATION = """
[databases]
* = host={host} port={target} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
ignore_startup_parameters = options, extra_float_digits
"""
START_SECONDS = 10


@contextmanager
def pooled(*, size: int = 3) -> Iterator[int]:
    """Let this process reach its database through PgBouncer; yield its port.

    Skips the test if PgBouncer is not here. The test must commit.
    """
    with run_pgbouncer(connection.settings_dict, size=size) as port:
        settings: dict[str, Any] = connection.settings_dict
        direct = {name: settings[name] for name in ("HOST", "PORT")}
        _reconnect(settings, {"HOST": "127.0.0.1", "PORT": str(port)})
        try:
            yield port
        finally:
            _reconnect(settings, direct)


def _reconnect(settings: dict[str, Any], place: dict[str, str]) -> None:
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()
    settings.update(place)


@contextmanager
def run_pgbouncer(database: dict[str, Any], *, size: int) -> Iterator[int]:
    """Run PgBouncer with `size` connections to the server of these settings; yield its port."""
    program, port = find_program("pgbouncer"), find_free_port()
    with TemporaryDirectory(prefix="smartspec-pooler-") as folder:
        file = Path(folder, "pgbouncer.ini")
        file.write_text(
            CONFIGURATION.format(
                host=database["HOST"],
                target=database["PORT"],
                user=database["USER"],
                password=database["PASSWORD"],
                port=port,
                size=size,
            )
        )
        process = start_program(
            program, "--quiet", *_drop_root(folder), str(file), stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_ready(process, port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _drop_root(folder: str) -> list[str]:
    """PgBouncer refuses to run as root."""
    if os.getuid():
        return []
    nobody = pwd.getpwnam("nobody")
    for path in (Path(folder), *Path(folder).iterdir()):
        os.chown(path, nobody.pw_uid, -1)
    return ["--user", "nobody"]


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
