"""Connections to providers: one pool per process, and for each call a way to hang up on it, and on nothing else."""

import _socket
import os
from contextlib import suppress
from threading import local
from typing import Any

import urllib3
from gevent.monkey import get_original

_new_lock: Any = get_original("_thread", "allocate_lock")


class Call:
    """What is under way at a provider, so that it can be stopped at any moment, by any thread.

    It holds a descriptor of its own to the connection: the number of the connection's may be another one's by the time
    that somebody hangs up. The lock is the kernel's, also under gevent: `stop` is called by a real thread.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self.is_reused = False  # the connection has served another call before
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


class Sender(local):
    """The call that this thread, or greenlet, is sending."""

    call: Call | None = None


sender = Sender()


class _Noted:
    """A connection that tells the call that it serves by which socket, and sends a request at once.

    http.client sends headers and body one after the other, which wakes the provider for the first half.
    """

    sock: Any
    call: Call | None = None
    has_served = False
    _parts: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._parts = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        super().send(whole)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._parts is None or not isinstance(data, bytes):
            super().send(data)  # type: ignore[misc]
        else:
            self._parts.append(data)

    def connect(self) -> None:
        self.has_served = False
        super().connect()  # type: ignore[misc]
        self._note()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        self._note()
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def _note(self) -> None:
        self.call = sender.call
        if self.call is not None and self.sock is not None:
            self.call.is_reused = self.has_served
            self.call.begin(self.sock)


class _Connection(_Noted, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Noted, urllib3.connection.HTTPSConnection):
    pass


class _Kept:
    """A pool whose connections serve nobody any more by the time that they are free."""

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.has_served = True
            if conn.call is not None:
                conn.call.finish()
                conn.call = None
        super()._put_conn(conn)  # type: ignore[misc]


class _Pool(_Kept, urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(_Kept, urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


# As many as a worker can have callers: one that is not kept is a line in the log.
pool = urllib3.PoolManager(num_pools=50, maxsize=5000, retries=False)
pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
