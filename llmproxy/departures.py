"""Who has left while we wait for their answer: one thread per process watches their connections.

Writing tells only by and by that nobody reads: the first bytes after a hang-up are still taken. It is a real thread,
also under gevent, because it sleeps in the kernel; it hangs up on providers, and touches nothing of a greenlet's.
"""

import _socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gevent.monkey import get_original

# EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, which gevent takes out of `select`; zero where there is no epoll (macOS).
ON_HANG_UP = 0x2000 | 1 << 30
_watched: dict[int, Callable[[], None]] = {}
_epoll: Any = None


@contextmanager
def watching(sock: Any, leave: Callable[[], None]) -> Iterator[None]:
    """Call `leave`, in another thread, if the other end of this socket closes meanwhile; None is not watched."""
    number = watch(sock, leave)
    try:
        yield
    finally:
        forget(number)


def watch(sock: Any, leave: Callable[[], None]) -> int | None:
    """As `watching`, until `forget` gets what this returns."""
    epoll = _started()
    if sock is None or epoll is None:
        return None
    number: int = sock.fileno()
    _watched[number] = leave
    with suppress(OSError):  # closed already: whoever writes will see
        epoll.register(number, ON_HANG_UP)
    return number


def forget(number: int | None) -> None:
    if number in _watched:
        del _watched[number]
        with suppress(OSError, ValueError):
            _epoll.unregister(number)


def _started() -> Any:
    """The epoll of this process, and its thread; None where the kernel has none."""
    global _epoll
    if _epoll is None:
        try:
            epoll = get_original("select", "epoll")()
        except AttributeError:
            return None
        _epoll = epoll
        get_original("_thread", "start_new_thread")(_watch, (epoll,))
    return _epoll


def _watch(epoll: Any) -> None:
    while True:
        for number, _event in epoll.poll():
            leave = _watched.get(number)
            if leave is not None and _has_left(number):
                leave()


def _has_left(number: int) -> bool:
    """Whether this is still a connection, at its end: the number may be somebody else's by now."""
    with suppress(OSError):
        line = _socket.socket(fileno=_socket.dup(number))
        try:
            line.settimeout(0)
            return not line.recv(1, _socket.MSG_PEEK)
        finally:
            line.close()
    return False
