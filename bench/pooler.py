"""A real PgBouncer in transaction mode, for chaos and for tests."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port

CONFIGURATION = """
[databases]
* = host={host} port={target} {login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = {size}
"""
LENIENT = "auth_type = any\nignore_startup_parameters = options, extra_float_digits\n"
STRICT = "auth_type = scram-sha-256\nauth_file = {users}\n"
START_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """The PostgreSQL behind the pooler, and the role as which all its clients get there."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def from_url(cls, url: str) -> "Server":
        parts = urlsplit(url)
        return cls(
            parts.hostname or "127.0.0.1",
            parts.port or 5432,
            parts.username or "",
            parts.password or "",
        )


def find_pgbouncer() -> Path | None:
    """Return its path in the folder PROGRAMS (tools/programs.sh) or in the system, if any."""
    unpacked = Path(os.environ.get("PROGRAMS", "/nowhere"), "usr/sbin/pgbouncer")
    installed = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return unpacked if unpacked.exists() else Path(installed) if installed else None


@contextmanager
def run_pgbouncer(
    program: Path,
    server: Server,
    *,
    size: int,
    port: int | None = None,
    is_strict: bool = False,
) -> Iterator[int]:
    """Run PgBouncer with `size` connections to the server; yield its port.

    It lets everybody in and ignores `options`. If it `is_strict`, as Debian's package is, clients
    log in as the role of the server, and `options` are refused.
    """
    port = port or find_free_port()
    with TemporaryDirectory(prefix="smartspec-pooler-") as folder:
        file, users = Path(folder, "pgbouncer.ini"), Path(folder, "users")
        users.write_text(f'"{server.user}" "{server.password}"\n')
        login = "" if is_strict else f"user={server.user} password={server.password}"
        place = {"host": server.host, "target": server.port, "port": port, "size": size}
        rules = STRICT.format(users=users) if is_strict else LENIENT
        file.write_text(CONFIGURATION.format(login=login, **place) + rules)
        process = processes.start(
            [str(program), "--quiet", *_drop_root(Path(folder)), str(file)],
            env=_make_environment(program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(process, port)
            yield port
        finally:
            processes.stop(process)


def _make_environment(program: Path) -> dict[str, str]:
    """The libraries that were unpacked beside the program."""
    libraries = sorted(str(folder) for folder in program.parents[2].glob("usr/lib/*-linux-gnu*"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def _drop_root(folder: Path) -> list[str]:
    """PgBouncer refuses to run as root."""
    if os.getuid():
        return []
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, -1)
    return ["--user", "nobody"]


def _wait_until_ready(process: "subprocess.Popen[str]", port: int) -> None:
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
