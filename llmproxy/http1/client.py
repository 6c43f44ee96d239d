"""HTTP/1.1 requests to providers, over connections that are kept. Each call can be stopped.

A function that returns `Waiting` is a generator. It yields whenever somebody else, who waits for
the same answer, should get a turn, and continues with the next step.
"""

import _socket
import os
import time
from collections.abc import Generator
from contextlib import suppress
from math import inf
from typing import Any, TypeVar

from gevent.monkey import get_original

from llmproxy.http1 import proxies, sockets
from llmproxy.http1.framing import LONGEST_HEAD, Body, Head, Malformed
from llmproxy.http1.inflation import Inflated, unwrap
from llmproxy.http1.sockets import Address, NotReachableError, Proxy, pool

_new_lock: Any = get_original("_thread", "allocate_lock")

Result = TypeVar("Result")
Waiting = Generator[None, None, Result]

# A provider that closed a kept connection before our request shows it within these seconds. If
# the connection breaks later, the provider may have read the request.
CLOSED_SECONDS = 2
READS_PER_TURN = 16  # after so many reads, other greenlets get a turn


def finish(steps: Waiting[Result]) -> Result:
    """The result of these steps, for a caller that gives nobody a turn."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


class Call:
    """One request to a provider, which any thread can stop at any moment.

    It holds a duplicate of the connection's descriptor: when somebody stops the call, the number of
    the original may belong to another connection. The lock is the kernel's, also under gevent,
    because a real thread calls `stop`.
    """

    def __init__(self, turn_seconds: float = inf, previous: "Call | None" = None) -> None:
        """`turn_seconds` pass between two turns of somebody who waits for the answer.

        `previous` is the call whose wait this one continues.
        """
        self.is_stopped = False
        self.first_byte_by = 0.0  # deadline of the first byte, by the monotonic clock
        self._turn_seconds = turn_seconds
        self._turn_at: float = previous._turn_at if previous else time.monotonic() + turn_seconds
        self._duplicate: Any = None
        self._lock = _new_lock()

    def begin(self, sock: Any) -> None:
        """Use this connection for the call, until `finish`."""
        with self._lock:
            self._close_duplicate()
            self._duplicate = _socket.socket(fileno=os.dup(sock.fileno()))
            if self.is_stopped:
                self._shut_down()

    def stop(self) -> None:
        """Shut the connection down, which wakes its reader. Only the reader may close it."""
        with self._lock:
            self.is_stopped = True
            self._shut_down()

    def finish(self) -> None:
        """Let go of the connection: from now on it may serve another call."""
        with self._lock:
            self._close_duplicate()

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline of the first byte; negative after it."""
        return self.first_byte_by - time.monotonic()

    @property
    def seconds_to_turn(self) -> float:
        """The seconds until whoever waits gets a turn; not positive if that is due."""
        return self._turn_at - time.monotonic()

    def start_turn(self) -> None:
        """Note that whoever waits had a turn."""
        self._turn_at = time.monotonic() + self._turn_seconds

    def _shut_down(self) -> None:
        if self._duplicate is not None:
            with suppress(OSError):  # the provider may have closed the connection just now
                self._duplicate.shutdown(_socket.SHUT_RDWR)

    def _close_duplicate(self) -> None:
        if self._duplicate is not None:
            self._duplicate.close()
        self._duplicate = None


def connect(address: Address, call: Call, *, connect_seconds: float) -> Any:
    """Open a connection for `call`. TCP, the proxy's tunnel and TLS have `connect_seconds` each.

    Raises NotReachableError, or another OSError if TLS fails.
    """
    sock = sockets.open_socket(address, min(connect_seconds, call.seconds_left))
    try:
        call.begin(sock)
        if not address.is_secure:
            return sock
        if address.proxy is not None:
            _open_tunnel(sock, address, address.proxy, min(connect_seconds, call.seconds_left))
        return sockets.start_tls(sock, address, min(connect_seconds, call.seconds_left))
    except BaseException:
        call.finish()
        sock.close()
        raise


def _open_tunnel(sock: Any, address: Address, proxy: Proxy, seconds: float) -> None:
    """Ask the proxy for a tunnel to the provider. Raises NotReachableError."""
    until, data = time.monotonic() + seconds, b""
    try:
        sockets.send(sock, proxies.build_connect(address.host, address.port, proxy), seconds)
        while (end := Head.find_end(data)) is None:
            if not (more := sockets.receive(sock, until - time.monotonic())):
                raise NotReachableError("the proxy hung up")
            data += more
        status = Head.parse(data[:end]).status
    except (TimeoutError, ConnectionError, Malformed) as error:
        raise NotReachableError(f"the proxy opened no tunnel: {error!r}") from error
    if not 200 <= status < 300 or len(data) > end:
        raise NotReachableError(f"the proxy opened no tunnel: status {status}")


class Response:
    """A provider's response whose headers have arrived. The caller must close or release it."""

    def __init__(self, head: Head, rest: bytes, address: Address, sock: Any) -> None:
        self.status, self.headers = head.status, head.headers
        self.body: Body | Inflated = head.body()
        if coding := head.headers.get("content-encoding"):
            self.body = unwrap(self.body, coding)
        self._is_reusable = head.is_reusable and not (rest and self.body.is_over)
        self._rest = rest  # the bytes of the body that arrived together with the headers
        self._address = address
        self._reads = 0
        self.sock = sock

    def take_rest(self) -> bytes:
        """The bytes of the body that arrived with the headers; empty the second time."""
        rest, self._rest = self._rest, b""
        return rest

    def read(self, wait: float, until: float) -> bytes:
        """The next bytes of the body; empty at its end. Raises OSError, Malformed.

        `wait` limits each read, in seconds. `until` limits the whole body, by the monotonic clock,
        also when a provider sends only bytes that are no content.
        """
        while not self.body.is_over:
            if (seconds_left := until - time.monotonic()) <= 0:
                raise TimeoutError("the answer took too long")
            data = self.take_rest() or self._receive(min(wait, seconds_left))
            if not data:
                self.body.end()
                break
            if content := self.body.feed(data):
                return content
        return b""

    def _receive(self, seconds: float) -> bytes:
        self._reads += 1
        if not self._reads % READS_PER_TURN:
            time.sleep(0)  # a provider that always has more to read would keep the worker
        return sockets.receive(self.sock, seconds)

    def release(self) -> None:
        """Keep the connection if the response is over and nothing came after it; else close it."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self._is_reusable and self.body.is_over and not self.body.has_extra_bytes:
            pool.keep(self._address, sock)
        else:
            sock.close()

    def close(self) -> None:
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()


def send(
    address: Address, request: bytes, call: Call, *, connect_seconds: float
) -> Waiting[Response]:
    """Send a request and read the headers of its response until `call.first_byte_by`.

    Yields when a turn of `call` is due. If the provider had closed a kept connection, the request
    is sent again on a new one (RFC 9112 §9.3.1). Raises OSError, Malformed.
    """
    sock, started = pool.take(address), time.monotonic()
    if sock is not None:
        try:
            return (yield from _send_over(sock, address, request, call))
        except ConnectionError:
            if call.is_stopped or time.monotonic() - started > CLOSED_SECONDS:
                raise
    sock = connect(address, call, connect_seconds=connect_seconds)
    return (yield from _send_over(sock, address, request, call))


def _send_over(sock: Any, address: Address, request: bytes, call: Call) -> Waiting[Response]:
    """Raises ConnectionError if the connection ends before the first byte of a response."""
    try:
        call.begin(sock)
        with suppress(ConnectionError):  # the provider may have responded before it hung up
            sockets.send(sock, request, call.seconds_left)
        first = yield from _receive_first(sock, call)
        return Response(*_read_head(sock, first, call), address, sock)
    except BaseException:
        call.finish()
        sock.close()
        raise


def _receive_first(sock: Any, call: Call) -> Waiting[bytes]:
    while True:
        try:
            data = sockets.receive(sock, min(call.seconds_left, call.seconds_to_turn))
        except TimeoutError:
            if call.seconds_left <= 0:
                raise
            if call.seconds_to_turn <= 0:
                yield
                call.start_turn()
            continue
        if not data:
            raise ConnectionResetError("no answer")
        return data


def _read_head(sock: Any, data: bytes, call: Call) -> tuple[Head, bytes]:
    """The final headers, and the bytes after them.

    Interim responses (1xx), which may come before the final one, are skipped (RFC 9110 §15.2).
    """
    skipped = 0
    while True:
        if (end := Head.find_end(data)) is not None:
            head, data, skipped = Head.parse(data[:end]), data[end:], skipped + end
            if head.is_final:
                return head, data
            if skipped > LONGEST_HEAD:
                raise Malformed("the answer does not begin")
            continue
        data += _receive_more(sock, call)


def _receive_more(sock: Any, call: Call) -> bytes:
    if call.seconds_left <= 0:
        raise TimeoutError("the headers do not end in time")
    try:
        data = sockets.receive(sock, call.seconds_left)
    except ConnectionError as error:  # `send` repeats a request only if no byte has come
        raise Malformed("the connection broke within the headers") from error
    if not data:
        raise Malformed("the connection ended within the headers")
    return data
