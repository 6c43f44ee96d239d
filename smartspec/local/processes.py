"""Child processes that end when their parent ends, even if it is killed."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(
    command: Sequence[str], *, on_parent_death: int = signal.SIGTERM, **options: Any
) -> subprocess.Popen[str]:
    """Start a child, which gets the signal `on_parent_death` when this process dies (Linux)."""
    return subprocess.Popen(
        command,
        text=True,
        preexec_fn=_bind_to(os.getpid(), on_parent_death),
        **options,
    )


def stop(process: subprocess.Popen[str], *, sig: int = signal.SIGTERM, seconds: float = 5) -> None:
    """Send the signal to the child, kill it after `seconds`, and kill the rest of its group."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _kill_rest_of_group(process.pid)


def end_with_parent() -> None:
    """Let this process get SIGTERM when its parent ends (Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _bind_to(parent: int, sig: int) -> Callable[[], None]:
    """Return a function for the child that binds its life to the parent's."""

    def bind() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, sig)
        if os.getppid() != parent:  # The parent died between fork and prctl.
            os._exit(1)

    return bind


def _kill_rest_of_group(pid: int) -> None:
    """Kill the child's process group. If the child led none, no group has this id."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
