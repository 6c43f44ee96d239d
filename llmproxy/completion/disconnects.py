"""Who has left while we wait for their answer: one thread per process watches their connections.

Writing tells only by and by that nobody reads: the first bytes after a hang-up are still taken. It is a real thread,
also under gevent, because it sleeps in the kernel; it hangs up on providers, and touches nothing of a greenlet's.
A caller who closes only the sending half of the connection has left too: it is what proxies take it for.
"""

import _socket
import heapq
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gevent.monkey import get_original

# EPOLLRDHUP | EPOLLONESHOT, which gevent takes out of `select`; there is no epoll on macOS.
ON_HANG_UP = 0x2000 | 1 << 30
_epoll: Any = None


class Leaver(Protocol):
    """What is under way for the caller who may leave. Both are called by another thread, and must not wait."""

    def leave(self) -> float:
        """The caller has left: what becomes of the answer ends in so many seconds."""

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """A caller's connection, by its number, from `watch` to `forget`."""

    number: int
    leaver: Leaver


_watched: dict[int, Watch] = {}


@contextmanager
def watching(sock: Any, leaver: Leaver) -> Iterator[None]:
    """Tell `leaver` if the other end of this socket closes meanwhile; None is not watched."""
    watch_ = watch(sock, leaver)
    try:
        yield
    finally:
        forget(watch_)


def watch(sock: Any, leaver: Leaver) -> Watch | None:
    """As `watching`, until `forget` gets what this returns."""
    epoll = _started()
    if sock is None or epoll is None:
        return None
    watch_ = Watch(sock.fileno(), leaver)
    _watched[watch_.number] = watch_
    with suppress(OSError, ValueError):  # closed already: whoever writes will see
        epoll.register(watch_.number, ON_HANG_UP)
    return watch_


def forget(watch_: Watch | None) -> None:
    """Again: nothing. Where the number is another connection's by now, that one stays watched."""
    if watch_ is not None and _watched.get(watch_.number) is watch_:
        del _watched[watch_.number]
        with suppress(OSError, ValueError):
            _epoll.unregister(watch_.number)


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
    due: list[tuple[float, int, Watch]] = []
    count = itertools.count()
    while True:
        for number, _event in epoll.poll(max(due[0][0] - time.monotonic(), 0) if due else None):
            watch_ = _watched.get(number)
            if watch_ is not None and _has_left(number):
                heapq.heappush(due, (time.monotonic() + watch_.leaver.leave(), next(count), watch_))
        while due and due[0][0] <= time.monotonic():
            _when, _number, watch_ = heapq.heappop(due)
            if _watched.get(watch_.number) is watch_:
                watch_.leaver.stop()


def _has_left(number: int) -> bool:
    """Whether this is still a connection, at its end: the number may be somebody else's by now."""
    try:
        line = _socket.socket(fileno=_socket.dup(number))
    except OSError:
        return False
    try:
        line.settimeout(0)
        return not line.recv(1, _socket.MSG_PEEK)
    except ConnectionError:  # reset
        return True
    except OSError:  # nothing to read, or no connection
        return False
    finally:
        line.close()
