"""The data directory of the embedded PostgreSQL: created once, opened at every start."""

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
    choose_account,
    find_programs,
)
from smartspec.local.processes import LIBC

NAME = "smartspec"  # The name of the database and of the role that owns it.
APP_ROLE = "smartspec_app"  # The role that the site runs as.
HBA = f"host all {NAME},{APP_ROLE} 127.0.0.1/32 scram-sha-256\n"


class Cluster(NamedTuple):
    """An opened data directory with the programs and the account for its server."""

    data: Path
    descriptor: int
    programs: Programs
    owner: Owner | None

    @property
    def argument(self) -> str:
        """The path of the directory as the server gets it.

        The account of a server that root starts may be unable to reach the directory, for example
        below /root, but it can enter the opened descriptor.
        """
        if self.owner is None or LIBC is None:
            return str(self.data)
        return f"/proc/self/fd/{self.descriptor}"

    @property
    def options(self) -> dict[str, Any]:
        """The Popen options of the cluster's programs."""
        return {"cwd": "/", "pass_fds": (self.descriptor,), **choose_account(self.owner)}

    def program(self, name: str) -> str:
        return str(self.programs.folder / name)


@contextmanager
def open_cluster(data: Path, *, durable: bool) -> Iterator[Cluster]:
    """Open the cluster in this directory; create it first if the directory is empty."""
    owner, major = _inspect(data)
    programs = find_programs(owner=owner, major=major)
    if major is None:
        _create(data, programs, owner, durable=durable)
    with _open_folder(data) as descriptor:
        yield Cluster(data, descriptor, programs, owner)


def add_app_role(cluster: Cluster) -> None:
    """Add the application's role to data of an older version that has none.

    The server must be stopped. An interrupted run is repeated at the next start.
    """
    if find_password_file(cluster.data, APP_ROLE).exists():
        return
    with _make_passwords(cluster, APP_ROLE) as (secret,):
        _run_statements(cluster, NAME, *_list_role_statements(secret))


def find_password_file(data: Path, role: str) -> Path:
    """Return the path of the file in the data directory with the password of this role."""
    return data / f"{role}.password"


def build_url(data: Path, role: str, port: int) -> str:
    secret = find_password_file(data, role).read_text()
    return f"postgres://{role}:{secret}@127.0.0.1:{port}/{NAME}"


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically. Only its owner can read it."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.rename(path)


def _inspect(data: Path) -> tuple[Owner | None, int | None]:
    """Return the account that must run the server, and the major version of existing data."""
    version = data / "PG_VERSION"
    try:
        if not version.exists():
            if data.exists() and any(data.iterdir()):
                raise DatabaseUnavailableError(f"{data} is not empty and holds no database.")
            return _choose_owner(), None
        if not find_password_file(data, NAME).exists():
            raise DatabaseUnavailableError(f"{data} holds a database that SmartSpec did not make.")
        return _read_owner(version), int(version.read_text())
    except PermissionError as error:
        raise DatabaseUnavailableError(
            f"{data} belongs to another user: start as that user or choose another directory."
        ) from error


def _choose_owner() -> Owner | None:
    """Return an account without privileges if this is root, as which PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return Owner(account.pw_uid, account.pw_gid)
    raise DatabaseUnavailableError("Started as root, and there is no user postgres or nobody.")


def _read_owner(path: Path) -> Owner | None:
    if os.geteuid() != 0:
        return None
    status = path.stat()
    return Owner(status.st_uid, status.st_gid)


def _create(data: Path, programs: Programs, owner: Owner | None, *, durable: bool) -> None:
    """Create the data beside its final place, so that an interrupted start leaves no half data."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700, parents=True)
    if owner:
        os.chown(new, owner.uid, owner.gid)
    with _open_folder(new) as descriptor:
        _initialise(Cluster(new, descriptor, programs, owner), durable=durable)
    new.rename(data)


def _initialise(cluster: Cluster, *, durable: bool) -> None:
    """Create the roles and the database.

    No role is a superuser, as in production. Each has a password, because other users of this
    machine can reach the port, too.
    """
    sync = () if durable else ("--no-sync",)
    locale = ("-E", "UTF8", "--locale=C.UTF-8")
    _run(
        cluster, "initdb", "-D", cluster.argument, "-U", "postgres", "-A", "reject", *locale, *sync
    )
    with _make_passwords(cluster, NAME, APP_ROLE) as (secret, app_secret):
        _run_statements(
            cluster,
            "template1",
            f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{secret}'",
            *_list_role_statements(app_secret),
            f"CREATE DATABASE {NAME} OWNER {NAME}",
        )


def _list_role_statements(secret: str) -> tuple[str, ...]:
    """Return the statements that create the application's role, also if it exists already."""
    return (
        f"DO 'BEGIN CREATE ROLE {APP_ROLE}; EXCEPTION WHEN duplicate_object THEN END'",
        f"ALTER ROLE {APP_ROLE} LOGIN PASSWORD '{secret}'",
        # PostgreSQL 14 lets every role create objects in this schema.
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT CREATE ON SCHEMA public TO {NAME}",
    )


@contextmanager
def _make_passwords(cluster: Cluster, *roles: str) -> Iterator[list[str]]:
    """Yield new passwords; after the block, allow logins and write the password files.

    A password file exists only if its role was created completely.
    """
    passwords = [secrets.token_urlsafe(24) for _ in roles]
    yield passwords
    (cluster.data / "pg_hba.conf").write_text(HBA)
    for role, secret in zip(roles, passwords, strict=True):
        write_private(find_password_file(cluster.data, role), secret)


def _run_statements(cluster: Cluster, database: str, *statements: str) -> None:
    """Run statements as superuser in single-user mode: no superuser can log in to the server."""
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
    _, output = process.communicate(statements)
    if process.returncode or "ERROR:" in output or "FATAL:" in output:
        raise DatabaseUnavailableError(f"{program} failed: {output.strip()[-300:]}")


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
