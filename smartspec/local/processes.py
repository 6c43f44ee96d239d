"""Child processes that end with their parent, even when it is killed."""

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
    """Start a child that gets a signal when this process dies (Linux)."""
    return subprocess.Popen(
        command,
        text=True,
        preexec_fn=_bound_to(os.getpid(), on_parent_death),
        **options,
    )


def stop(process: subprocess.Popen[str], *, sig: int = signal.SIGTERM, seconds: float = 5) -> None:
    """Ask the child to end, and after the given time end its whole group."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _kill_rest_of_group(process.pid)


def end_with_parent() -> None:
    """Let this very process get SIGTERM when the one that started it ends."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _bound_to(parent: int, sig: int) -> Callable[[], None]:
    def bind() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, sig)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return bind


def _kill_rest_of_group(pid: int) -> None:
    """Only for a child that led a group of its own, else nothing has this id."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
