"""Real servers in front of the site or of its database: nginx, Caddy, PgBouncer.

`make test` unpacks them into the folder that PROGRAMS names (tools/programs.sh).
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("usr/sbin", "usr/bin")


def find_program(name: str) -> Path:
    """The path of a program; skips the test if it is neither unpacked nor installed."""
    root = os.environ.get("PROGRAMS", "")
    for folder in FOLDERS if root else ():
        if (path := Path(root, folder, name)).exists():
            return path
    if installed := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return Path(installed)
    pytest.skip(f"{name} is not here: `make test` fetches it where there are Debian packages")


def start_program(path: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program with the libraries that were unpacked beside it. The caller stops it."""
    libraries = sorted(str(folder) for folder in path.parents[2].glob("usr/lib/*-linux-gnu*"))
    environ = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    return subprocess.Popen([path, *arguments], env=environ, **options)
