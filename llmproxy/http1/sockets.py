"""Sockets to providers: TCP, with or without TLS, whose every wait is bounded as a whole."""

import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from gevent import Timeout
from gevent.monkey import get_original, is_module_patched

POLLIN = 1
_poll: Any = get_original("select", "poll") or select.poll  # gevent's would ask its hub

CHUNK_BYTES = 64 * 1024
LEAST_SECONDS = 0.001  # zero would be no wait, but another way of reading


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
