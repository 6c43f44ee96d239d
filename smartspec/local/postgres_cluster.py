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

from smartspec.local import processes
from smartspec.local.postgres_binaries import (
    DatabaseUnavailableError,
    Owner,
    Programs,
    find,
    identity,
)
from smartspec.local.processes import LIBC

NAME = "smartspec"  # of the database and of the role that owns it
APP_ROLE = "smartspec_app"  # the site runs as it
HBA = f"host all {NAME},{APP_ROLE} 127.0.0.1/32 scram-sha-256\n"


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


def add_app_role(cluster: Cluster) -> None:
    """To the data of a version that had none; its server is stopped. Interrupted, it is done again."""
    if password_file(cluster.data, APP_ROLE).exists():
        return
    with _passwords(cluster, APP_ROLE) as (secret,):
        _as_superuser(cluster, NAME, *_app_role(secret))


def password_file(data: Path, role: str) -> Path:
    """Where the password of this role stays, with the data."""
    return data / f"{role}.password"


def url(data: Path, role: str, port: int) -> str:
    secret = password_file(data, role).read_text()
    return f"postgres://{role}:{secret}@127.0.0.1:{port}/{NAME}"


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
        if not password_file(data, NAME).exists():
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
    """Make the roles and the database.

    No role is a superuser, as in production, and each has a password, because
    other people on this machine reach the port as well.
    """
    sync = () if durable else ("--no-sync",)
    locale = ("-E", "UTF8", "--locale=C.UTF-8")
    _run(
        cluster, "initdb", "-D", cluster.argument, "-U", "postgres", "-A", "reject", *locale, *sync
    )
    with _passwords(cluster, NAME, APP_ROLE) as (secret, app_secret):
        _as_superuser(
            cluster,
            "template1",
            f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{secret}'",
            *_app_role(app_secret),
            f"CREATE DATABASE {NAME} OWNER {NAME}",
        )


def _app_role(secret: str) -> tuple[str, ...]:
    return (
        f"DO 'BEGIN CREATE ROLE {APP_ROLE}; EXCEPTION WHEN duplicate_object THEN END'",
        f"ALTER ROLE {APP_ROLE} LOGIN PASSWORD '{secret}'",
        # PostgreSQL 14 lets everybody create objects there.
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT CREATE ON SCHEMA public TO {NAME}",
    )


@contextmanager
def _passwords(cluster: Cluster, *roles: str) -> Iterator[list[str]]:
    """New ones, kept when the roles are made and may log in: a file says that all is done."""
    new = [secrets.token_urlsafe(24) for _ in roles]
    yield new
    (cluster.data / "pg_hba.conf").write_text(HBA)
    for role, secret in zip(roles, new, strict=True):
        write_private(password_file(cluster.data, role), secret)


def _as_superuser(cluster: Cluster, database: str, *statements: str) -> None:
    """Without a server, for nobody logs in to one as superuser."""
    lines = "".join(f"{statement};\n" for statement in statements)
    _run(cluster, "postgres", "--single", "-D", cluster.argument, database, statements=lines)


def _run(cluster: Cluster, program: str, *arguments: str, statements: str = "") -> None:
    process = processes.start(
        [cluster.program(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **cluster.options,
    )
    _, said = process.communicate(statements)
    if process.returncode or "ERROR:" in said or "FATAL:" in said:
        raise DatabaseUnavailableError(f"{program} failed: {said.strip()[-300:]}")


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
