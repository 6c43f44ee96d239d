"""HTTP/1.1 to providers: connections are kept for the next call, and each call can be hung up on alone."""

import _socket
import os
import select
import socket
import ssl
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from gevent.monkey import get_original

from llmproxy.framing import Body, Head, Malformed

POLLIN = 1
_poll: Any = get_original("select", "poll") or select.poll  # gevent's would ask its hub
_new_lock: Any = get_original("_thread", "allocate_lock")

CHUNK_BYTES = 64 * 1024
MAX_KEPT = 5000  # to one provider: as many as a worker can have callers
KEPT_SECONDS = 30  # after which something between us may have forgotten the connection


class NotReachableError(OSError):
    """There is no connection to the provider."""


class Call:
    """What is under way at a provider, so that it can be stopped at any moment, by any thread.

    It holds a descriptor of its own to the connection: the number of the connection's may be another one's by the time
    that somebody hangs up. The lock is the kernel's, also under gevent: `stop` is called by a real thread.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self.sock: Any = None  # while the answer is under way
        self.first_byte_by = 0.0  # when the answer should have begun, by the monotonic clock
        self._line: Any = None
        self._lock = _new_lock()

    def begin(self, sock: Any) -> None:
        """This connection serves the call, until `finish`."""
        with self._lock:
            self._let_go()
            self.sock = sock
            self._line = _socket.socket(fileno=os.dup(sock.fileno()))
            if self.is_stopped:
                self._hang_up()

    def stop(self) -> None:
        """Hang up. Only wakes whoever reads: what one thread reads, another must not close."""
        with self._lock:
            self.is_stopped = True
            self._hang_up()

    def finish(self) -> None:
        """The answer is there, or will not come: its connection may serve somebody else."""
        with self._lock:
            self._let_go()

    def wait_at_most(self, seconds: float) -> None:
        """How long each further read waits for the provider's next bytes."""
        if self.sock is not None:
            with suppress(OSError):  # closed meanwhile: the read will tell
                self.sock.settimeout(seconds)

    def _hang_up(self) -> None:
        if self._line is not None:
            with suppress(OSError):  # the provider may just have done so
                self._line.shutdown(_socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._line is not None:
            self._line.close()
        self.sock = self._line = None


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


class Kept:
    """Connections that have served somebody and may serve the next."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[tuple[Any, float]]] = defaultdict(list)

    def take(self, address: Address) -> Any:
        """One that is still open, and silent: what a provider says unasked must not answer anybody."""
        idle = self._idle[address]
        while idle:
            sock, since = idle.pop()
            if time.monotonic() - since < KEPT_SECONDS and not _has_news(sock):
                return sock
            sock.close()
        return None

    def keep(self, address: Address, sock: Any) -> None:
        idle = self._idle[address]
        if len(idle) < MAX_KEPT:
            idle.append((sock, time.monotonic()))
        else:
            sock.close()

    def clear(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop()[0].close()


kept = Kept()


def _has_news(sock: Any) -> bool:
    line = _poll()
    line.register(sock.fileno(), POLLIN)
    return bool(line.poll(0))


def connect(address: Address, call: Call, *, connect_seconds: float, until: float) -> Any:
    """A new connection, which serves `call`. Raises NotReachableError, and OSError for one that is not secure."""
    try:
        sock = socket.create_connection((address.host, address.port), timeout=connect_seconds)
    except (OSError, UnicodeError) as error:  # also: no such name, or none that can be
        raise NotReachableError(repr(error)) from error
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        call.begin(sock)
        if not address.is_secure:
            return sock
        sock.settimeout(max(until - time.monotonic(), 0.001))
        secure = tls().wrap_socket(sock, server_hostname=address.host)
        call.begin(secure)
    except BaseException:
        sock.close()
        raise
    return secure


class Answer:
    """A provider's answer whose headers have come. It must be closed, or released."""

    def __init__(self, head: Head, rest: bytes, address: Address, sock: Any) -> None:
        self.status, self.headers = head.status, head.headers
        self.body: Body = head.body()
        self._is_kept = head.is_kept
        self._rest = rest  # what came of the body with the headers
        self._address = address
        self.sock = sock

    def take_rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def read(self) -> bytes:
        """More of the body within the socket's time-out; empty at its end. Raises OSError, Malformed."""
        while not self.body.is_over:
            data = self.take_rest() or self.sock.recv(CHUNK_BYTES)
            if not data:
                self.body.end()
                break
            if content := self.body.feed(data):
                return content
        return b""

    def release(self) -> None:
        """Give the connection back, if the answer is over and nothing came after it."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self._is_kept and self.body.is_over and not self.body.has_more and not _has_read_on(sock):
            kept.keep(self._address, sock)
        else:
            sock.close()

    def close(self) -> None:
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()


def _has_read_on(sock: Any) -> bool:
    """Whether TLS has something that nobody has read yet, which the kernel cannot see."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def send(address: Address, request: bytes, call: Call, *, connect_seconds: float) -> Answer:
    """Ask, and read the answer's headers until `call.first_byte_by`. Raises OSError, Malformed.

    Once more, where a connection was kept and the provider had closed it (RFC 9112 §9.3.1).
    """
    sock = kept.take(address)
    if sock is not None:
        try:
            call.begin(sock)
            return _asked(address, sock, request, call)
        except ConnectionError:
            if call.is_stopped:
                raise
    left = min(connect_seconds, max(call.first_byte_by - time.monotonic(), 0.001))
    sock = connect(address, call, connect_seconds=left, until=call.first_byte_by)
    return _asked(address, sock, request, call)


def _asked(address: Address, sock: Any, request: bytes, call: Call) -> Answer:
    try:
        sock.settimeout(max(call.first_byte_by - time.monotonic(), 0.001))
        with suppress(BrokenPipeError):  # it may have answered before it hung up
            sock.sendall(request)
        return Answer(*_head(sock, call), address, sock)
    except BaseException:
        call.finish()
        sock.close()
        raise


def _head(sock: Any, call: Call) -> tuple[Head, bytes]:
    """The final headers: others may come before them (RFC 9110 §15.2). Raises ConnectionError for no answer at all."""
    data = b""
    while True:
        if (end := Head.end(data)) is not None:
            head = Head.parse(data[:end])
            data = data[end:]
            if head.is_final:
                return head, data
            continue
        sock.settimeout(max(call.first_byte_by - time.monotonic(), 0.001))
        if not (more := sock.recv(CHUNK_BYTES)):
            raise Malformed("the connection ended within the headers") if data else ConnectionResetError("no answer")
        data += more
