"""A TCP proxy to PostgreSQL on loopback whose connections break at a chosen moment.

PostgreSQL replies to a commit only when it is durable. A proxy that drops this reply makes the
commit ambiguous for the client: it took effect, and the client cannot know that.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 5


def _do_nothing() -> None:
    pass


@dataclass
class Trap:
    """A trap that springs when a client's message contains `text`, for the next `times` messages.

    It breaks the connection: with `loses="request"` before the message reaches the server, with
    "reply" after it. With "nothing" both pass, and then `then` is called.
    """

    text: bytes
    loses: str
    then: Callable[[], None] = _do_nothing
    times: int = 1
    sprung: threading.Event = field(default_factory=threading.Event)


class Wire:
    """The proxy. It listens on `port` and relays to the port that `target` returns."""

    def __init__(self, target: Callable[[], int]) -> None:
        self.target = target
        self.trap: Trap | None = None
        self.lines: set[Line] = set()
        self.refused = 0  # Clients that connected while the database was away.
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def set_trap(
        self, text: bytes, *, loses: str, then: Callable[[], None] = _do_nothing, times: int = 1
    ) -> Trap:
        self.trap = Trap(text, loses, then, times)
        return self.trap

    def cut(self) -> int:
        """Break every connection now; return how many."""
        lines = list(self.lines)
        for line in lines:
            line.close()
        return len(lines)

    def close(self) -> None:
        self.listener.close()
        self.cut()

    def spring(self, message: bytes) -> Trap | None:
        """Return the trap that this message springs, or None."""
        trap = self.trap
        if trap is None or trap.text not in message:
            return None
        trap.times -= 1
        if not trap.times:
            self.trap = None
            trap.sprung.set()
        return trap

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            target = self.target
            try:
                server = socket.create_connection(("127.0.0.1", target()), CONNECT_SECONDS)
            except OSError:
                self.refused += 1
                client.close()  # As a database that is away does.
                continue
            server.settimeout(None)
            line = Line(self, client, server)
            self.lines.add(line)
            if self.target is target:
                line.start()
            else:  # `cut` may have come before the line was there.
                line.close()


class Line:
    """One relayed connection, with a thread for each direction."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self.wire, self.client, self.server = wire, client, server
        self.waits_for_reply: Trap | None = None

    def start(self) -> None:
        for relay in (self._relay_requests, self._relay_replies):
            threading.Thread(target=self._run_relay, args=(relay,), daemon=True).start()

    def close(self) -> None:
        self.wire.lines.discard(self)
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run_relay(self, relay: Callable[[], None]) -> None:
        with suppress(OSError):
            relay()
        self.close()

    def _relay_requests(self) -> None:
        while message := self.client.recv(CHUNK_BYTES):
            if trap := self.wire.spring(message):
                if trap.loses == "request":
                    return
                self.waits_for_reply = trap
            self.server.sendall(message)

    def _relay_replies(self) -> None:
        while reply := self.server.recv(CHUNK_BYTES):
            trap, self.waits_for_reply = self.waits_for_reply, None
            if trap and trap.loses == "reply":
                return
            self.client.sendall(reply)
            if trap:
                trap.then()
