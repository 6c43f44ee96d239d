"""Connections to providers: TCP, with or without TLS, and the pool of idle connections.

Each wait has a limit that covers all of it, not only each read.
"""

import select
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gevent import Timeout
from gevent.monkey import get_original, is_module_patched

POLLIN = 1
_poll: Any = get_original("select", "poll") or select.poll  # gevent's poll would enter its hub

CHUNK_BYTES = 64 * 1024
LEAST_SECONDS = 0.001  # a timeout of 0 would make the socket non-blocking
MAX_IDLE = 5000  # connections to one provider: as many as a worker can have callers
IDLE_SECONDS = 30  # after a longer time a firewall or proxy may have forgotten the connection


class NotReachableError(OSError):
    """There is no connection to the provider."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the login for it, as the value of Proxy-Authorization; empty without one."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider listens, and the proxy on the way to it, if there is one.

    With an `ip`, the connection goes there, and the host is only the name for TLS and HTTP.
    """

    host: str
    port: int
    is_secure: bool
    proxy: Proxy | None = None
    ip: str = ""


@cache
def get_tls_context() -> ssl.SSLContext:
    """The TLS settings, which trust the system's certificates."""
    return ssl.create_default_context()


def open_socket(address: Address, seconds: float) -> Any:
    """Open a TCP connection within `seconds`, to the proxy if there is one.

    Each IP address of the name gets its share of the time. Raises NotReachableError.
    """
    until, last_error = time.monotonic() + seconds, OSError("the name has no address")
    place = address.proxy or address
    try:
        host = address.ip or place.host
        candidates = socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: the name is not a valid host name
        raise NotReachableError(repr(error)) from error
    for left, (family, kind, protocol, _name, candidate) in zip(
        range(len(candidates), 0, -1), candidates, strict=True
    ):
        try:
            sock = socket.socket(family, kind, protocol)
            return _connect(sock, candidate, (until - time.monotonic()) / left)
        except OSError as error:
            last_error = error
    raise NotReachableError(repr(last_error)) from last_error


def _connect(sock: Any, candidate: Any, seconds: float) -> Any:
    try:
        sock.settimeout(max(seconds, LEAST_SECONDS))
        sock.connect(candidate)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def start_tls(sock: Any, address: Address, seconds: float) -> Any:
    """The same connection with TLS. Raises OSError, ValueError."""
    with _limit_wait(sock, seconds, is_secure=True):
        return get_tls_context().wrap_socket(sock, server_hostname=address.host)


def send(sock: Any, data: bytes, seconds: float) -> None:
    """Send all of `data`. Raises OSError."""
    with _limit_wait(sock, seconds, is_secure=isinstance(sock, ssl.SSLSocket)):
        sock.sendall(data)


def receive(sock: Any, seconds: float) -> bytes:
    """The next bytes, at most CHUNK_BYTES; empty at the end of the connection. Raises OSError."""
    with _limit_wait(sock, seconds, is_secure=isinstance(sock, ssl.SSLSocket)):
        received: bytes = sock.recv(CHUNK_BYTES)
        return received


def has_unread_data(sock: Any) -> bool:
    """Whether bytes, or the end of the connection, have arrived and were not read yet."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():  # decrypted: the kernel has them no more
        return True
    poll = _poll()
    poll.register(sock.fileno(), POLLIN)
    return bool(poll.poll(0))


def _limit_wait(sock: Any, seconds: float, *, is_secure: bool) -> AbstractContextManager[None]:
    seconds = max(seconds, LEAST_SECONDS)
    sock.settimeout(seconds)
    return _time_out(seconds) if is_secure and is_module_patched("socket") else nullcontext()


@contextmanager
def _time_out(seconds: float) -> Iterator[None]:
    """Limit a wait in gevent's TLS, whose own timeout starts anew with each byte of a record."""
    with Timeout(seconds, TimeoutError("timed out")):
        yield


class Pool:
    """Idle connections, for each address. The last one that was kept is used first, so that the
    others reach their age and are closed."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[tuple[Any, float]]] = defaultdict(deque)
        self._last_cleaning = 0.0

    def take(self, address: Address) -> Any:
        """A connection that is open and has nothing to read; None if there is no such connection.

        Bytes that a provider sends without a request must not become another caller's response.
        """
        self._close_old()
        idle = self._idle[address]
        with suppress(IndexError):  # it is empty, perhaps because another thread took the last
            while True:
                sock, since = idle.pop()
                if time.monotonic() - since < IDLE_SECONDS and not has_unread_data(sock):
                    return sock
                sock.close()
        return None

    def keep(self, address: Address, sock: Any) -> None:
        """Keep an idle connection for the next request; close it if there are MAX_IDLE."""
        self._close_old()
        idle = self._idle[address]
        if len(idle) < MAX_IDLE:
            idle.append((sock, time.monotonic()))
        else:
            sock.close()

    def clear(self) -> None:
        """Close all idle connections."""
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while True:
                    idle.popleft()[0].close()

    def _close_old(self) -> None:
        """Every IDLE_SECONDS, close the connections that have been idle longer than that.

        `take` alone would never close those of a provider that gets no more requests.
        """
        now = time.monotonic()
        if now - self._last_cleaning < IDLE_SECONDS:
            return
        self._last_cleaning = now
        for idle in [*self._idle.values()]:
            with suppress(IndexError):
                while now - idle[0][1] >= IDLE_SECONDS:
                    idle.popleft()[0].close()


pool = Pool()
