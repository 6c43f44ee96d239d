"""A private PostgreSQL server for development and tests.

    python -m smartspec.local.embedded_postgres [--data DIR] -- COMMAND...

runs the command with DATABASE_URL pointing at a server that is stopped when the command ends.
Without --data, the database is deleted afterwards.
"""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from smartspec.local import postgres_cluster, processes
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.postgres_cluster import APP_ROLE, NAME, Cluster

START_SECONDS = 60
STOP_SECONDS = 8
THROW_AWAY = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


@contextmanager
def run_server(data: Path | None = None, *, durable: bool = True) -> Iterator[str]:
    """Run a server for the block, or use that of another launcher; yield the owner's URL.

    `data` is the data directory; None makes a temporary one. `durable=False` does not flush to
    the disk. Raises DatabaseUnavailableError, whose text is one sentence.
    """
    if data is None:
        with (
            _make_temporary_folder() as folder,
            _run_postgres(folder / "data", durable=False) as url,
        ):
            yield url
        return
    data = data.absolute()
    with _claim(data) as url_of_other:
        if url_of_other:
            yield url_of_other
            return
        with _run_postgres(data, durable=durable) as url:
            yield url


def build_application_url(url: str, data: Path) -> str:
    """Return the URL of the same server for the application's role, which owns no tables."""
    return postgres_cluster.build_url(data, APP_ROLE, _read_port(url))


def find_running_url(data: Path) -> str | None:
    """Return the URL of the running server of this data directory, or None.

    The file with the URL can outlive its server. So it counts only while a launcher holds the
    lock, which the kernel releases when the launcher dies, and while the port accepts connections.
    """
    try:
        url = _build_path(data, "url").read_text()
        with _build_path(data, "lock").open() as lock:
            if _try_lock(lock, fcntl.LOCK_SH):
                return None
        socket.create_connection(("127.0.0.1", _read_port(url)), 2).close()
    except (OSError, ValueError, IndexError):
        return None
    return url


def _read_port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


def find_free_port() -> int:
    """Return a loopback port that no process uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _make_temporary_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="smartspec-postgres-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _claim(data: Path) -> Iterator[str | None]:
    """Lock the directory and yield None, or yield the URL of the launcher that holds the lock."""
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        lock = _build_path(data, "lock").open("a")
    except OSError as error:
        raise DatabaseUnavailableError(f"{data.parent} is not usable: {error.strerror}.") from error
    with lock:
        yield _wait_for_turn(data, lock)


def _wait_for_turn(data: Path, lock: IO[str]) -> str | None:
    deadline = time.monotonic() + START_SECONDS
    while not _try_lock(lock, fcntl.LOCK_EX):  # find_running_url() holds it for a moment, too.
        if url := find_running_url(data):
            return url
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(f"{data} is held by a launcher that never became ready.")
        time.sleep(0.05)
    return None


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build_path(data: Path, suffix: str) -> Path:
    return data.with_name(f"{data.name}.{suffix}")


@contextmanager
def _run_postgres(data: Path, *, durable: bool) -> Iterator[str]:
    url_file = _build_path(data, "url")
    url_file.unlink(missing_ok=True)
    with postgres_cluster.open_cluster(data, durable=durable) as cluster:
        _end_leftover(data)
        postgres_cluster.add_app_role(cluster)
        port = find_free_port()
        process = _start(cluster, port=port, durable=durable)
        try:
            _wait_until_ready(process, data)
            url = postgres_cluster.build_url(data, NAME, port)
            postgres_cluster.write_private(url_file, url)
            yield url
        finally:
            url_file.unlink(missing_ok=True)
            processes.stop(process, sig=signal.SIGINT, seconds=STOP_SECONDS)  # fast shutdown


def _start(cluster: Cluster, *, port: int, durable: bool) -> subprocess.Popen[str]:
    command = [
        *(cluster.program("postgres"), "-D", cluster.argument),
        *("-c", "listen_addresses=127.0.0.1", "-p", str(port)),
        *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
        *(() if durable else THROW_AWAY),
    ]
    with _build_path(cluster.data, "log").open("w") as log:
        return processes.start(
            command,
            on_parent_death=signal.SIGINT,
            process_group=0,  # Ctrl-C at the terminal must reach the launcher only.
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **cluster.options,
        )


def _wait_until_ready(process: subprocess.Popen[str], data: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(process.pid, data):
        if process.poll() is not None or time.monotonic() > deadline:
            reason = _build_path(data, "log").read_text().strip()[-500:]
            raise DatabaseUnavailableError(f"PostgreSQL did not start: {reason}")
        time.sleep(0.02)


def _is_ready(pid: int, data: Path) -> bool:
    """Read the state of the server from the last line of its pid file."""
    try:
        lines = (data / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(pid)] and lines[-1:] in (["ready"], ["standby"])


def _end_leftover(data: Path) -> None:
    """Stop the server of a launcher that was killed, and correct its pid file.

    PostgreSQL refuses to start if another process has the process id in the file by now. So the id
    is replaced by that of this process, which PostgreSQL ignores. The file itself must stay: with
    it, PostgreSQL checks that no backend of the old server is still attached to the data.
    """
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while pid_file.exists() and _is_server_of(pid := _read_pid(pid_file), data):
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(f"The old PostgreSQL, process {pid}, does not stop.")
        os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
    if pid_file.exists():
        rest = pid_file.read_text().partition("\n")[2]
        pid_file.write_text(f"{os.getpid()}\n{rest}")


def _read_pid(pid_file: Path) -> int:
    try:
        # A standalone backend writes a negative number.
        return abs(int(pid_file.read_text().split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return 0


def _is_server_of(pid: int, data: Path) -> bool:
    """True if this process is a PostgreSQL server whose working directory is `data`."""
    if pid <= 0:
        return False
    if processes.LIBC is None:
        show = ["ps", "-o", "command=", "-p", str(pid)]
        listing = subprocess.run(show, capture_output=True, text=True, check=False)
        return "postgres" in listing.stdout and str(data) in listing.stdout
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m smartspec.local.embedded_postgres")
    parser.add_argument("--data", type=Path, help="keep the database in this directory")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    options = parser.parse_args(arguments)
    if os.environ.get("DATABASE_URL"):
        os.execvp(options.command[0], options.command)  # noqa: S606 – the caller's own command
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    try:
        with run_server(options.data) as url:
            return _run_command(options.command, url)
    except DatabaseUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _raise_exit(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _run_command(command: Sequence[str], url: str) -> int:
    """Run the command and return its exit code.

    This process ignores Ctrl-C, which the command handles; it may be a shell.
    """
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = processes.start(
            command, env={**os.environ, "DATABASE_URL": url, "DATABASE_APP_ROLE": APP_ROLE}
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    try:
        code = process.wait()
    finally:
        processes.stop(process, seconds=STOP_SECONDS)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
