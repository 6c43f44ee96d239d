"""HTTP/1.1 to providers: connections are kept for the next call, and each call can be hung up on alone."""

import _socket
import os
import time
from contextlib import suppress
from typing import Any

from gevent.monkey import get_original

from llmproxy.http1 import sockets
from llmproxy.http1.framing import LONGEST_HEAD, Body, Head, Malformed
from llmproxy.http1.sockets import Address, pool

_new_lock: Any = get_original("_thread", "allocate_lock")

CLOSED_SECONDS = 2  # by then a connection that was closed before we asked has told so; later, the request had been read
FAIR_READS = 16


class Call:
    """What is under way at a provider, so that it can be stopped at any moment, by any thread.

    It holds a descriptor of its own to the connection: the number of the connection's may be another one's by the time
    that somebody hangs up. The lock is the kernel's, also under gevent: `stop` is called by a real thread.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self.first_byte_by = 0.0  # when the answer should have begun, by the monotonic clock
        self._line: Any = None
        self._lock = _new_lock()

    def begin(self, sock: Any) -> None:
        """This connection serves the call, until `finish`."""
        with self._lock:
            self._let_go()
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

    @property
    def left(self) -> float:
        """The seconds that the answer still has to begin."""
        return self.first_byte_by - time.monotonic()

    def _hang_up(self) -> None:
        if self._line is not None:
            with suppress(OSError):  # the provider may just have done so
                self._line.shutdown(_socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None


def connect(address: Address, call: Call, *, connect_seconds: float) -> Any:
    """A new connection, which serves `call`. Raises NotReachableError, and OSError for one that is not secure."""
    sock = sockets.opened(address, min(connect_seconds, call.left))
    try:
        call.begin(sock)
        return sockets.secured(sock, address, call.left) if address.is_secure else sock
    except BaseException:
        call.finish()
        sock.close()
        raise


class Answer:
    """A provider's answer whose headers have come. It must be closed, or released."""

    def __init__(self, head: Head, rest: bytes, address: Address, sock: Any) -> None:
        self.status, self.headers = head.status, head.headers
        self.body: Body = head.body()
        self._is_kept = head.is_kept and not (rest and self.body.is_over)
        self._rest = rest  # what came of the body with the headers
        self._address = address
        self._reads = 0
        self.sock = sock

    def take_rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def read(self, wait: float, until: float) -> bytes:
        """More of the body; empty at its end. Raises OSError, Malformed.

        It waits so long for each piece, and until then for all, also where a provider says much that is no content.
        """
        while not self.body.is_over:
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError("the answer took too long")
            data = self.take_rest() or self._received(min(wait, left))
            if not data:
                self.body.end()
                break
            if content := self.body.feed(data):
                return content
        return b""

    def _received(self, seconds: float) -> bytes:
        self._reads += 1
        if not self._reads % FAIR_READS:
            time.sleep(0)  # who always has more for us would never let go of the worker
        return sockets.receive(self.sock, seconds)

    def release(self) -> None:
        """Give the connection back, if the answer is over and nothing came after it."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self._is_kept and self.body.is_over and not self.body.has_more:
            pool.keep(self._address, sock)
        else:
            sock.close()

    def close(self) -> None:
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()


def send(address: Address, request: bytes, call: Call, *, connect_seconds: float) -> Answer:
    """Ask, and read the answer's headers until `call.first_byte_by`. Raises OSError, Malformed.

    Once more, where a connection was kept and the provider had closed it (RFC 9112 §9.3.1).
    """
    sock, started = pool.take(address), time.monotonic()
    if sock is not None:
        try:
            return _asked(address, sock, request, call)
        except ConnectionError:
            if call.is_stopped or time.monotonic() - started > CLOSED_SECONDS:
                raise
    return _asked(address, connect(address, call, connect_seconds=connect_seconds), request, call)


def _asked(address: Address, sock: Any, request: bytes, call: Call) -> Answer:
    """Raises ConnectionError for a connection that ends before anything of an answer has come."""
    try:
        call.begin(sock)
        with suppress(ConnectionError):  # it may have answered before it hung up
            sockets.send(sock, request, call.left)
        return Answer(*_head(sock, _begun(sock, call), call), address, sock)
    except BaseException:
        call.finish()
        sock.close()
        raise


def _begun(sock: Any, call: Call) -> bytes:
    if not (data := sockets.receive(sock, call.left)):
        raise ConnectionResetError("no answer")
    return data


def _head(sock: Any, data: bytes, call: Call) -> tuple[Head, bytes]:
    """The final headers, and what came after them: others may come before (RFC 9110 §15.2)."""
    news = 0
    while True:
        if (end := Head.end(data)) is not None:
            head, data, news = Head.parse(data[:end]), data[end:], news + end
            if head.is_final:
                return head, data
            if news > LONGEST_HEAD:
                raise Malformed("the answer does not begin")
            continue
        data += _more(sock, call)


def _more(sock: Any, call: Call) -> bytes:
    if call.left <= 0:
        raise TimeoutError("the headers do not end in time")
    try:
        more = sockets.receive(sock, call.left)
    except ConnectionError as error:  # not as if nothing had come
        raise Malformed("the connection broke within the headers") from error
    if not more:
        raise Malformed("the connection ended within the headers")
    return more
