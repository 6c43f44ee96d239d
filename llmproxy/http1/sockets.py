"""Connections to providers: TCP, with or without TLS, and the pool of those that are idle.

Every wait is bounded as a whole.
"""

import select
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from gevent import Timeout
from gevent.monkey import get_original, is_module_patched

POLLIN = 1
_poll: Any = get_original("select", "poll") or select.poll  # gevent's would ask its hub

CHUNK_BYTES = 64 * 1024
LEAST_SECONDS = 0.001  # zero would be no wait, but another way of reading
MAX_KEPT = 5000  # to one provider: as many as a worker can have callers
KEPT_SECONDS = 30  # after which something between us may have forgotten the connection


class NotReachableError(OSError):
    """There is no connection to the provider."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider listens."""

    host: str
    port: int
    is_secure: bool


@cache
def tls() -> ssl.SSLContext:
    """Who is who on the Internet: as the system's certificates have it."""
    return ssl.create_default_context()


def opened(address: Address, seconds: float) -> Any:
    """A new connection, not yet secure. Each address of the name has its share of the time.

    Raises NotReachableError.
    """
    until, error = time.monotonic() + seconds, OSError("the name has no address")
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as wrong:  # no such name, or none that can be
        raise NotReachableError(repr(wrong)) from wrong
    for left, (family, kind, protocol, _name, place) in zip(
        range(len(found), 0, -1), found, strict=True
    ):
        try:
            return _reached(
                socket.socket(family, kind, protocol), place, (until - time.monotonic()) / left
            )
        except OSError as wrong:
            error = wrong
    raise NotReachableError(repr(error)) from error


def _reached(sock: Any, place: Any, seconds: float) -> Any:
    try:
        sock.settimeout(max(seconds, LEAST_SECONDS))
        sock.connect(place)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def secured(sock: Any, address: Address, seconds: float) -> Any:
    """The same connection with TLS. Raises OSError, ValueError."""
    with _within(sock, seconds, is_secure=True):
        return tls().wrap_socket(sock, server_hostname=address.host)


def send(sock: Any, data: bytes, seconds: float) -> None:
    with _within(sock, seconds, is_secure=isinstance(sock, ssl.SSLSocket)):
        sock.sendall(data)


def receive(sock: Any, seconds: float) -> bytes:
    """What comes next; empty at the end."""
    with _within(sock, seconds, is_secure=isinstance(sock, ssl.SSLSocket)):
        received: bytes = sock.recv(CHUNK_BYTES)
        return received


def has_news(sock: Any) -> bool:
    """Whether something has come that nobody has read, the end included."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():  # which the kernel cannot see
        return True
    line = _poll()
    line.register(sock.fileno(), POLLIN)
    return bool(line.poll(0))


def _within(sock: Any, seconds: float, *, is_secure: bool) -> AbstractContextManager[None]:
    seconds = max(seconds, LEAST_SECONDS)
    sock.settimeout(seconds)
    return _alarm(seconds) if is_secure and is_module_patched("socket") else nullcontext()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """gevent's TLS begins to wait anew with each byte of a record."""
    with Timeout(seconds, TimeoutError("timed out")):
        yield


class Pool:
    """Connections that have served somebody and may serve the next: the latest first, so that the others grow old."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[tuple[Any, float]]] = defaultdict(deque)
        self._looked = 0.0  # when the old ones were closed

    def take(self, address: Address) -> Any:
        """One that is still open, and silent: what a provider says unasked must not answer anybody."""
        self._close_old()
        idle = self._idle[address]
        with suppress(IndexError):  # no more, or another thread has the last
            while True:
                sock, since = idle.pop()
                if time.monotonic() - since < KEPT_SECONDS and not has_news(sock):
                    return sock
                sock.close()
        return None

    def keep(self, address: Address, sock: Any) -> None:
        self._close_old()
        idle = self._idle[address]
        if len(idle) < MAX_KEPT:
            idle.append((sock, time.monotonic()))
        else:
            sock.close()

    def clear(self) -> None:
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while True:
                    idle.popleft()[0].close()

    def _close_old(self) -> None:
        """Now and then: else those of a rush, or of a provider that is not asked any more, would stay for ever."""
        now = time.monotonic()
        if now - self._looked < KEPT_SECONDS:
            return
        self._looked = now
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while now - idle[0][1] >= KEPT_SECONDS:
                    idle.popleft()[0].close()


pool = Pool()
