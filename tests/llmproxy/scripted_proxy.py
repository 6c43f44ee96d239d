"""A proxy for tests: a real HTTP proxy on loopback, with CONNECT and with absolute URLs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llmproxy.http1.framing import Head


@dataclass
class Proxy:
    """A running proxy. It connects everything to the place that it is asked for, or to `place`.

    `asked` has the request lines, `logins` the Proxy-Authorization of each (empty if none). With
    `login` it answers 407 without it; `refuses` is the status line for every request.
    """

    listener: socket.socket
    place: tuple[str, int] | None = None
    login: str = ""
    refuses: bytes = b""
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            data = b""
            while Head.find_end(data) is None:
                if not (more := line.recv(65536)):
                    return
                data += more
            self._answer(line, data)

    def _answer(self, line: socket.socket, data: bytes) -> None:
        head, rest = data[: Head.find_end(data)].decode(), data[Head.find_end(data) :]
        request, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in fields)}
        self.asked.append(request)
        self.logins.append(headers.get("proxy-authorization", ""))
        if self.refuses or (self.login and self.logins[-1] != self.login):
            status = self.refuses or b"HTTP/1.1 407 Proxy Authentication Required"
            line.sendall(status + b"\r\nContent-Length: 4\r\n\r\nbusy")
            return
        method, target, _version = request.split(" ")
        if method == "CONNECT":
            host, _sign, port = target.rpartition(":")
            self._join(line, (host.strip("[]"), int(port)), b"HTTP/1.1 200 Connected\r\n\r\n", rest)
            return
        parts = urlsplit(target)
        path = target.removeprefix(f"http://{parts.netloc}")
        kept = [one for one in fields if not one.lower().startswith("proxy-")]
        forwarded = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode() + rest
        self._join(line, (str(parts.hostname), parts.port or 80), b"", forwarded)

    def _join(
        self, line: socket.socket, place: tuple[str, int], greeting: bytes, first: bytes
    ) -> None:
        with socket.create_connection(self.place or place, timeout=5) as other:
            line.sendall(greeting)
            other.sendall(first)
            back = threading.Thread(target=_pump, args=(other, line), daemon=True)
            back.start()
            _pump(line, other)
            back.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxying() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        proxy = Proxy(listener)
        threading.Thread(target=proxy.serve, daemon=True).start()
        yield proxy
