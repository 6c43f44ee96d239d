"""Notices callers who disconnect during their completion. One thread per process watches them.

A write does not show this in time: the kernel still accepts the first bytes after the caller has
hung up. The thread is a real one, also under gevent, because it sleeps in the kernel. It only hangs
up on providers and touches nothing that belongs to a greenlet. A caller that closes only the
sending half of its connection counts as disconnected, as proxies have it.
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

# EPOLLRDHUP | EPOLLONESHOT. gevent removes them from `select`. macOS has no epoll.
ON_HANG_UP = 0x2000 | 1 << 30
_epoll: Any = None


class Stoppable(Protocol):
    """Something that runs for a caller. The watching thread calls it, so it must not wait."""

    def leave(self) -> float:
        """Note that the caller has disconnected; return the seconds after which to call `stop`."""

    def stop(self) -> None:
        """End what runs for the caller."""


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The connection of a caller, by its file descriptor, from `watch` to `forget`."""

    descriptor: int
    running: Stoppable


_watched: dict[int, Watch] = {}


@contextmanager
def watching(sock: Any, running: Stoppable) -> Iterator[None]:
    """Within this context, tell `running` if the other end of `sock` closes.

    Without a socket nothing is watched.
    """
    watched = watch(sock, running)
    try:
        yield
    finally:
        forget(watched)


def watch(sock: Any, running: Stoppable) -> Watch | None:
    """Like `watching`, from now until `forget` is called with the result."""
    epoll = _start()
    if sock is None or epoll is None:
        return None
    watched = Watch(sock.fileno(), running)
    _watched[watched.descriptor] = watched
    with suppress(OSError, ValueError):  # closed already: the next write will fail
        epoll.register(watched.descriptor, ON_HANG_UP)
    return watched


def forget(watched: Watch | None) -> None:
    """End a watch; do nothing if it has ended.

    Another connection may have got the same descriptor since: its watch goes on.
    """
    if watched is not None and _watched.get(watched.descriptor) is watched:
        del _watched[watched.descriptor]
        with suppress(OSError, ValueError):
            _epoll.unregister(watched.descriptor)


def _start() -> Any:
    """The epoll of this process, whose thread is started; None if the kernel has no epoll."""
    global _epoll
    if _epoll is None:
        try:
            epoll = get_original("select", "epoll")()
        except AttributeError:
            return None
        _epoll = epoll
        get_original("_thread", "start_new_thread")(_run, (epoll,))
    return _epoll


def _run(epoll: Any) -> None:
    due: list[tuple[float, int, Watch]] = []  # the moments to stop, the next one first
    count = itertools.count()  # orders equal moments
    while True:
        timeout = max(due[0][0] - time.monotonic(), 0) if due else None
        for descriptor, _event in epoll.poll(timeout):
            watched = _watched.get(descriptor)
            if watched is not None and _is_closed(descriptor):
                stop_at = time.monotonic() + watched.running.leave()
                heapq.heappush(due, (stop_at, next(count), watched))
        while due and due[0][0] <= time.monotonic():
            _stop_at, _count, watched = heapq.heappop(due)
            if _watched.get(watched.descriptor) is watched:
                watched.running.stop()


def _is_closed(descriptor: int) -> bool:
    """Whether this descriptor is a connection that the other end has closed.

    It may have become something else since epoll reported it.
    """
    try:
        duplicate = _socket.socket(fileno=_socket.dup(descriptor))
    except OSError:
        return False
    try:
        duplicate.settimeout(0)
        return not duplicate.recv(1, _socket.MSG_PEEK)
    except ConnectionError:  # reset
        return True
    except OSError:  # nothing to read, or no connection
        return False
    finally:
        duplicate.close()
