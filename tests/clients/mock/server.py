"""The provider as an HTTP server on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.mock.exchange import Answer
from tests.clients.mock.provider import Provider

MAX_BODY_BYTES = 32 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: Provider

    def do_GET(self) -> None:
        self._send(self.provider.get(self.path.partition("?")[0], self._lower_headers()))

    def do_POST(self) -> None:
        size = min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES)
        path = self.path.partition("?")[0]
        self._send(self.provider.post(path, self._lower_headers(), self.rfile.read(size)))

    def log_message(self, *arguments: Any) -> None:
        """Write nothing to the terminal."""

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _send(self, answer: Answer) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the caller has gone
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.events is None:
                self._send_json(answer.body)
            else:
                self._send_events(answer.events)

    def _send_json(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events: Iterator[tuple[str, Any]]) -> None:
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for name, value in events:
            text = value if isinstance(value, str) else json.dumps(value)
            piece = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
            self._write_piece(piece.encode())
        self._write_piece(b"")

    def _write_piece(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


@dataclass(frozen=True)
class Serving:
    provider: Provider
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serve(port: int = 0) -> Iterator[Serving]:
    """Serve on loopback until the end of the block, in threads of this process."""
    provider = Provider()
    handler = type("Bound", (Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Serving(provider, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
