"""Waiting for servers on loopback, never without an end."""

import socket
import time
from collections.abc import Callable

from smartspec.local.launch import answers


def wait_for(port: int, check: Callable[[], None], seconds: float) -> None:
    """Until something listens there. `check` raises if it never will."""
    _until(lambda: _connects(port), check, f"Nothing listens at port {port}", seconds)


def wait_for_answer(port: int, path: str, check: Callable[[], None], seconds: float) -> None:
    """Until this path is answered with 200."""
    _until(
        lambda: answers("127.0.0.1", port, path),
        check,
        f"Port {port} does not answer {path}",
        seconds,
    )


def _until(
    done: Callable[[], bool], check: Callable[[], None], otherwise: str, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} after {seconds:g} s.")
        time.sleep(0.05)


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True
