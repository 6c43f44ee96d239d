"""A data directory of the embedded PostgreSQL: made once, opened at every start."""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from smartspec.postgres_binaries import DatabaseUnavailableError, Owner, Programs, find, identity
from smartspec.processes import LIBC

NAME = "smartspec"  # of the role and of the database
PASSWORD_FILE = "smartspec.password"  # noqa: S105 - a file's name


class Cluster(NamedTuple):
    """A data directory, opened, with the programs and the account that fit it."""

    data: Path
    descriptor: int
    programs: Programs
    owner: Owner | None

    @property
    def argument(self) -> str:
        """The directory as the server is told it.

        The account that root starts the server under may be unable to walk to
        the directory (below /root, say), but it can enter one opened for it.
        """
        if self.owner is None or LIBC is None:
            return str(self.data)
        return f"/proc/self/fd/{self.descriptor}"

    @property
    def options(self) -> dict[str, Any]:
        """How its programs are started."""
        return {"cwd": "/", "pass_fds": (self.descriptor,), **identity(self.owner)}

    def program(self, name: str) -> str:
        return str(self.programs.folder / name)


@contextmanager
def opened(data: Path, *, durable: bool) -> Iterator[Cluster]:
    """The cluster in this directory, made now if there is none."""
    owner, major = _inspect(data)
    programs = find(owner=owner, major=major)
    if major is None:
        _create(data, programs, owner, durable=durable)
    with _descriptor(data) as descriptor:
        yield Cluster(data, descriptor, programs, owner)


def password(data: Path) -> str:
    """What the application's role logs in with; it stays with the data."""
    return (data / PASSWORD_FILE).read_text()


def write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.rename(path)


def _inspect(data: Path) -> tuple[Owner | None, int | None]:
    """Who has to run the server, and the major version of the data if there is any."""
    version = data / "PG_VERSION"
    try:
        if not version.exists():
            if data.exists() and any(data.iterdir()):
                raise DatabaseUnavailableError(f"{data} is not empty and holds no database.")
            return _new_owner(), None
        if not (data / PASSWORD_FILE).exists():
            raise DatabaseUnavailableError(f"{data} holds a database that SmartSpec did not make.")
        return _owner_of(version), int(version.read_text())
    except PermissionError as error:
        raise DatabaseUnavailableError(
            f"{data} belongs to another user: start as that user or choose another directory."
        ) from error


def _new_owner() -> Owner | None:
    """PostgreSQL refuses to run as root, so an account without rights runs it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return Owner(account.pw_uid, account.pw_gid)
    raise DatabaseUnavailableError("Started as root, and there is no user postgres or nobody.")


def _owner_of(path: Path) -> Owner | None:
    if os.geteuid() != 0:
        return None
    status = path.stat()
    return Owner(status.st_uid, status.st_gid)


def _create(data: Path, programs: Programs, owner: Owner | None, *, durable: bool) -> None:
    """Make it beside its final place: an interrupted start leaves nothing half made."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700, parents=True)
    if owner:
        os.chown(new, owner.uid, owner.gid)
    with _descriptor(new) as descriptor:
        _initialise(Cluster(new, descriptor, programs, owner), durable=durable)
    new.rename(data)


def _initialise(cluster: Cluster, *, durable: bool) -> None:
    """Make the role and the database.

    The role is no superuser, as in production, and has a password, because
    other people on this machine reach the port as well.
    """
    secret = secrets.token_urlsafe(24)
    sync = () if durable else ("--no-sync",)
    locale = ("-E", "UTF8", "--locale=C.UTF-8")
    _run(cluster, "initdb", "-D", cluster.argument, "-U", "postgres", "-A", "reject", *locale, *sync)
    _run(
        cluster,
        *("postgres", "--single", "-D", cluster.argument, "postgres"),
        statements=f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{secret}';\nCREATE DATABASE {NAME} OWNER {NAME};\n",
    )
    (cluster.data / "pg_hba.conf").write_text(f"host all {NAME} 127.0.0.1/32 scram-sha-256\n")
    write_private(cluster.data / PASSWORD_FILE, secret)


def _run(cluster: Cluster, program: str, *arguments: str, statements: str = "") -> None:
    done = subprocess.run(
        [cluster.program(program), *arguments],
        input=statements,
        capture_output=True,
        text=True,
        check=False,
        **cluster.options,
    )
    if done.returncode or "ERROR:" in done.stderr:
        raise DatabaseUnavailableError(f"{program} failed: {done.stderr.strip()[-300:]}")


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
