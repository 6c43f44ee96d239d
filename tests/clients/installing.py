"""Install the clients, each group of packages in its own folder under .venv/clients.

The versions are locked in tests/clients/packages. A group is installed once, and anew when its lock
file changes.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smartspec.drill.scratch import ROOT
from smartspec.local.site import say

SOURCES = ROOT / "tests" / "clients" / "packages"
FOLDER = ROOT / ".venv" / "clients"
INSTALL_SECONDS = 600
NODE, LEAST_NODE = "22.23.5", 22
PIP = ("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check")
NPM = ("--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps")
# Packages whose installation copies the program for this machine to its place, without a download.
WITH_SCRIPTS = ("@anthropic-ai/claude-code", "opencode-ai")


class AbsentError(Exception):
    """A group of clients cannot be had on this machine. The text gives the reason."""


@contextmanager
def locked() -> Iterator[None]:
    """Let only one process install: two at once would overwrite each other."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_python(group: str) -> Path:
    """Install a group of Python packages; return its Python. Raises AbsentError."""
    lock, folder = SOURCES / group / "requirements.txt", FOLDER / group
    python = folder / "bin" / "python"
    if _is_installed(group, lock):
        return python
    _announce(group)
    shutil.rmtree(folder, ignore_errors=True)
    _run(group, [sys.executable, "-m", "venv", str(folder)])
    _run(group, [str(python), *PIP, "--only-binary", ":all:", "--no-deps", "-r", str(lock)])
    _mark(group, lock)
    return python


def install_node(group: str) -> Path:
    """Install a group of Node packages; return its folder. Raises AbsentError."""
    source, folder = SOURCES / group, FOLDER / group
    if _is_installed(group, source / "package-lock.json"):
        return folder
    node = find_node()
    _announce(group)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    _run(group, [_find_npm(), "install", *NPM], folder, node)
    names = [name for name in WITH_SCRIPTS if (folder / "node_modules" / name).exists()]
    if names:
        _run(group, [_find_npm(), "rebuild", *names], folder, node)
    _mark(group, source / "package-lock.json")
    return folder


def find_node() -> Path:
    """Return a Node that is new enough, from npm if the machine has none. Raises AbsentError."""
    installed = shutil.which("node")
    if installed and _read_version(installed) >= LEAST_NODE:
        return Path(installed)
    folder = FOLDER / "node"
    processor = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"node-{sys.platform}-{processor}"
    node = folder / "node_modules" / package / "bin" / "node"
    if not node.exists():
        _announce(f"Node {NODE}")
        folder.mkdir(parents=True, exist_ok=True)
        _run("node", [_find_npm(), "install", "--prefix", ".", *NPM, f"{package}@{NODE}"], folder)
    return node


def _read_version(node: str) -> int:
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    number = output.removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def _find_npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise AbsentError("npm is not installed")
    return npm


def _announce(group: str) -> None:
    say(f"  installing {group} into {FOLDER.relative_to(ROOT)} (once) ...")


def _run(group: str, command: list[str], folder: Path = ROOT, node: Path | None = None) -> None:
    path = f"{node.parent}:{os.environ['PATH']}" if node else os.environ["PATH"]
    try:
        process = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AbsentError(f"{group} cannot be installed: {error}") from error
    if process.returncode:
        raise AbsentError(f"{group} cannot be installed: {process.stderr.strip()[-300:]}")


def _is_installed(group: str, lock: Path) -> bool:
    stamp = FOLDER / f"{group}.installed"
    return stamp.exists() and stamp.read_text() == _compute_fingerprint(lock)


def _mark(group: str, lock: Path) -> None:
    (FOLDER / f"{group}.installed").write_text(_compute_fingerprint(lock))


def _compute_fingerprint(lock: Path) -> str:
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version_info[:2]}\n"
