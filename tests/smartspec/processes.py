"""What the tests of real processes share."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(question: Callable[[], Answer], seconds: float = 20) -> Answer:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "It never happened"
        time.sleep(0.02)
    return answer


def healthy(url: str) -> bool:
    """Whether this address answers 200 at the moment."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def running_below(root: Path) -> list[str]:
    """The processes at work in this directory."""
    return [
        str(folder.parent) for folder in Path("/proc").glob("[0-9]*/cwd") if _target(folder) == root
    ]


def _target(folder: Path) -> Path | None:
    try:
        return folder.readlink()
    except OSError:  # ended meanwhile, or not ours
        return None
