"""Wait for servers on loopback, with a timeout."""

import socket
import time
from collections.abc import Callable

from smartspec.local.launch import responds


def wait_for(port: int, check: Callable[[], None], seconds: float) -> None:
    """Wait until a server listens at the port. `check` raises if none ever will."""
    _wait_until(lambda: _connects(port), check, f"Nothing listens at port {port}", seconds)


def wait_for_answer(port: int, path: str, check: Callable[[], None], seconds: float) -> None:
    """Wait until the response to this path is 200. `check` raises if it never will be."""
    _wait_until(
        lambda: responds("127.0.0.1", port, path),
        check,
        f"Port {port} does not answer {path}",
        seconds,
    )


def _wait_until(
    condition: Callable[[], bool], check: Callable[[], None], problem: str, seconds: float
) -> None:
    """Raises TimeoutError with the problem after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{problem} after {seconds:g} s.")
        time.sleep(0.05)


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True
