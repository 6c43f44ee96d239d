"""A provider on loopback, with JSON and SSE, that pauses where the drill wants to act."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1500, "completion_tokens": 400, "total_tokens": 1900}
COST = 2  # Credits for USAGE at one credit per 1,000 tokens.
WAIT_SECONDS = 60
CALLED, MID_STREAM, ALL_SENT = "called", "mid-stream", "all sent"


@dataclass
class Pause:
    """A pause of the provider at the point `at`. It sets `reached` and then waits for `over`."""

    at: str
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


class Provider(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.calls = 0
        self.pause: Pause | None = None

    @contextmanager
    def pause_at(self, at: str) -> Iterator[Pause]:
        """Pause the next response at this point until the end of the block."""
        self.pause = pause = Pause(at)
        try:
            yield pause
        finally:
            self.pause = None
            pause.over.set()

    def pause_if_wanted(self, point: str) -> None:
        pause = self.pause
        if pause and pause.at == point:
            pause.reached.set()
            pause.over.wait(WAIT_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections of killed workers, which are expected here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        request_body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls += 1
        self.server.pause_if_wanted(CALLED)
        self._stream() if request_body.get("stream") else self._answer()

    def _answer(self) -> None:
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello"},
        }
        body = json.dumps(
            {"id": "drill", "object": "chat.completion", "choices": [choice], "usage": USAGE}
        ).encode()
        self.server.pause_if_wanted(ALL_SENT)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event({"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]})
        self.server.pause_if_wanted(MID_STREAM)
        self._event(
            {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]}
        )
        self._event({"choices": [], "usage": USAGE})
        self.server.pause_if_wanted(ALL_SENT)
        self._write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, chunk: dict[str, Any]) -> None:
        self._write(
            b"data: "
            + json.dumps({"id": "drill", "object": "chat.completion.chunk", **chunk}).encode()
            + b"\n\n"
        )

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def run_provider() -> Iterator[Provider]:
    with Provider() as provider:
        threading.Thread(target=provider.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield provider
        finally:
            provider.shutdown()
