"""Helpers for tests with real processes."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer], seconds: float = 120) -> Answer:
    """Call the condition until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "It never happened"
        time.sleep(0.02)
    return answer


def healthy(url: str) -> bool:
    """True if this address responds 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def running_below(root: Path) -> list[str]:
    """Return the /proc folders of the processes whose working directory this is."""
    return [
        str(folder.parent) for folder in Path("/proc").glob("[0-9]*/cwd") if _target(folder) == root
    ]


def _target(folder: Path) -> Path | None:
    try:
        return folder.readlink()
    except OSError:  # The process has ended, or belongs to another user.
        return None
