"""A loopback line to PostgreSQL that breaks at a chosen moment.

The server answers a commit only once it is durable. Whoever swallows that answer has made the caller's commit
ambiguous: it took effect, and the caller cannot know.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 5


def _nothing() -> None:
    pass


@dataclass
class Trap:
    """Springs when a client's message contains `text`, and so many `times`: loses the `request`, the `reply`, or
    (`nothing`) lets both pass and then calls `then`."""

    text: bytes
    loses: str
    then: Callable[[], None] = _nothing
    times: int = 1
    sprung: threading.Event = field(default_factory=threading.Event)


class Wire:
    """Listens on `port` and passes bytes to and from the port that `target` names at the time."""

    def __init__(self, target: Callable[[], int]) -> None:
        self.target = target
        self.trap: Trap | None = None
        self.lines: set[Line] = set()
        self.refused = 0  # clients that came while the database was away
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def set_trap(
        self, text: bytes, *, loses: str, then: Callable[[], None] = _nothing, times: int = 1
    ) -> Trap:
        self.trap = Trap(text, loses, then, times)
        return self.trap

    def cut(self) -> int:
        """Break every connection now; how many."""
        lines = list(self.lines)
        for line in lines:
            line.close()
        return len(lines)

    def close(self) -> None:
        self.listener.close()
        self.cut()

    def spring(self, message: bytes) -> Trap | None:
        """The trap that this message springs."""
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
            try:
                server = socket.create_connection(("127.0.0.1", self.target()), CONNECT_SECONDS)
            except OSError:
                self.refused += 1
                client.close()  # as a database that is away would
                continue
            server.settimeout(None)
            Line(self, client, server).start()


class Line:
    """One connection of a client, with a thread in each direction."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self.wire, self.client, self.server = wire, client, server
        self.waits_for_reply: Trap | None = None

    def start(self) -> None:
        self.wire.lines.add(self)
        for act in (self._ask, self._answer):
            threading.Thread(target=self._until_it_breaks, args=(act,), daemon=True).start()

    def close(self) -> None:
        self.wire.lines.discard(self)
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _until_it_breaks(self, act: Callable[[], None]) -> None:
        with suppress(OSError):
            act()
        self.close()

    def _ask(self) -> None:
        while message := self.client.recv(CHUNK_BYTES):
            if trap := self.wire.spring(message):
                if trap.loses == "request":
                    return
                self.waits_for_reply = trap
            self.server.sendall(message)

    def _answer(self) -> None:
        while reply := self.server.recv(CHUNK_BYTES):
            trap, self.waits_for_reply = self.waits_for_reply, None
            if trap and trap.loses == "reply":
                return
            self.client.sendall(reply)
            if trap:
                trap.then()
