"""PostgreSQL servers in a temporary folder, which can be copied, killed and promoted.

They listen on loopback and trust everybody there, so they are for a drill or a test only.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from smartspec.local import embedded_postgres, postgres_cluster, processes
from smartspec.local.postgres_binaries import (
    DatabaseUnavailableError,
    Owner,
    Programs,
    choose_account,
    find_programs,
)
from smartspec.local.postgres_cluster import NAME

START_SECONDS, STOP_SECONDS = 30, 10
HBA = "{kind} all,replication all 127.0.0.1/32 trust {more}\n"


@dataclass
class Server:
    """One server. `process` is None while it is stopped."""

    data: Path
    programs: Programs
    owner: Owner | None
    port: int = field(default_factory=embedded_postgres.find_free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={NAME} dbname={NAME}"

    def create(self, *, kind: str = "host", more: str = "") -> None:
        """Make the data, whose superuser also owns the database. `kind` and `more` are of HBA."""
        locale = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self._run("initdb", "-D", str(self.data), "-U", NAME, "-A", "trust", *locale)
        (self.data / "pg_hba.conf").write_text(HBA.format(kind=kind, more=more))

    def copy_to(self, other: "Server") -> None:
        """Make the data of a standby that follows this running server."""
        source = f"host=127.0.0.1 port={self.port} user={NAME}"
        target = ("-D", str(other.data), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self._run("pg_basebackup", "-d", source, *target)

    def start(self, **settings: str) -> None:
        """Start the server with these settings, and wait until it accepts connections."""
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
        }
        options = [f"--{name}={value}" for name, value in (fixed | settings).items()]
        with self.data.with_name(f"{self.data.name}.log").open("a") as log:
            self.process = processes.start(
                [str(self.programs.folder / "postgres"), "-D", str(self.data), *options],
                on_parent_death=signal.SIGINT,
                process_group=0,
                cwd="/",
                stdout=log,
                stderr=log,
                **choose_account(self.owner),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_text = self.data.with_name(f"{self.data.name}.log").read_text()[-500:]
                raise DatabaseUnavailableError(f"PostgreSQL did not start: {log_text}")
            time.sleep(0.05)

    def make_database(self) -> None:
        self.execute(f"CREATE DATABASE {NAME}", database="postgres")

    def execute(self, statement: str, *, database: str = NAME) -> None:
        where = f"host=127.0.0.1 port={self.port} user={NAME} dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def kill(self) -> None:
        """Kill the server and its backends with SIGKILL, as a machine that loses power."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, sig=signal.SIGINT, seconds=STOP_SECONDS)
            self.process = None

    def promote(self) -> None:
        self.execute("SELECT pg_promote(wait => false)", database="postgres")

    def _is_ready(self) -> bool:
        file = self.data / "postmaster.pid"
        lines = file.read_text().split() if file.exists() else []
        return lines[-1:] == ["ready"]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs.folder / program), *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **choose_account(self.owner),
        )
        if done.returncode:
            raise DatabaseUnavailableError(f"{program} failed: {done.stderr.strip()[-300:]}")


@contextmanager
def open_servers(number: int) -> Iterator[list[Server]]:
    """Yield servers without data, in a folder that is removed after they have been stopped.

    Raises DatabaseUnavailableError where PostgreSQL's programs are not to be had.
    """
    owner = postgres_cluster._choose_owner()
    programs = find_programs(owner=owner, major=None)
    with TemporaryDirectory(prefix="smartspec-servers-") as folder:
        if owner:
            os.chown(folder, owner.uid, owner.gid)
        servers = [Server(Path(folder) / f"data{n}", programs, owner) for n in range(number)]
        try:
            yield servers
        finally:
            for server in servers:
                server.stop()
