"""A provider for tests: a real HTTP server on loopback that follows a script."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[["Handler"], None]


def answer(text: str = "Hello", *, usage: Any = (20, 5), status: int = 200, **extra: Any) -> Script:
    """A JSON completion. `usage` is (prompt, completion) tokens, the whole object, or None."""
    message = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [message],
        **extra,
    }
    if usage is not None:
        body["usage"] = build_usage(usage)
    return raw(json.dumps(body).encode(), status=status)


def error(status: int, message: str = "No", **fields: Any) -> Script:
    return raw(json.dumps({"error": {"message": message, **fields}}).encode(), status=status)


def listing(*names: Any) -> Script:
    """The list of models that a provider offers."""
    return raw(
        json.dumps(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
        ).encode()
    )


def raw(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Script:
    def script(handler: "Handler") -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return script


def events(*pieces: bytes | threading.Event, cut: bool = False) -> Script:
    """An SSE answer, written piece by piece.

    For an Event it waits until that is set. `cut` ends the connection without the last chunk.
    """

    def script(handler: "Handler") -> None:
        start_events(handler)
        for piece in pieces:
            if isinstance(piece, threading.Event):
                piece.wait(10)
            else:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if cut:
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return script


def chunk(text: str | None = None, *, finish: str | None = None, **extra: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
        **extra,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage_chunk(prompt: int = 20, completion: int = 5) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": build_usage((prompt, completion)),
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streamed(*texts: str) -> Script:
    """A complete stream with usage and [DONE]."""
    return events(*(chunk(text) for text in texts), chunk(finish="stop"), usage_chunk(), DONE)


def as_asked(text: str) -> Script:
    """A JSON answer or a stream, as the request has `stream`."""

    def script(handler: "Handler") -> None:
        (streamed(text) if handler.upstream.sent["stream"] else answer(text))(handler)

    return script


def until_hung_up(*pieces: bytes) -> Script:
    """An SSE answer that stops after these pieces and waits until the other side hangs up."""

    def script(handler: "Handler") -> None:
        handler.close_connection = True
        start_events(handler, *pieces)
        handler.connection.settimeout(10)
        if handler.connection.recv(1) == b"":
            handler.upstream.hung_up.set()

    return script


def until_hung_up_without_a_word(handler: "Handler") -> None:
    """Send no answer and wait until the other side hangs up."""
    handler.close_connection = True
    handler.connection.settimeout(10)
    if handler.connection.recv(1) == b"":
        handler.upstream.hung_up.set()


def begun_until_hung_up(body: bytes) -> Script:
    """The headers and a part of a JSON answer; then wait until the other side hangs up."""

    def script(handler: "Handler") -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) + 1))
        handler.end_headers()
        handler.wfile.write(body)
        until_hung_up_without_a_word(handler)

    return script


def start_events(handler: "Handler", *pieces: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def silence_of(seconds: float) -> Script:
    """Accept the request and send nothing for so many seconds."""
    return lambda handler: time.sleep(seconds)


def after(seconds: float, then: Script) -> Script:
    def script(handler: "Handler") -> None:
        time.sleep(seconds)
        then(handler)

    return script


def pausing(seconds: float, *pieces: bytes) -> Script:
    """An SSE answer with a pause after each piece."""

    def script(handler: "Handler") -> None:
        start_events(handler)
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(seconds)
        handler.wfile.write(b"0\r\n\r\n")

    return script


def begun(body: bytes, *, cut: bool = False) -> Script:
    """A part of a JSON answer; then nothing for five seconds, or the end of the connection."""

    def script(handler: "Handler") -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body) + 1))
        handler.end_headers()
        handler.wfile.write(body)
        if not cut:
            handler.upstream.hung_up.wait(5)

    return script


def hang_up(handler: "Handler") -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def once(first: Script, then: Script) -> Script:
    scripts = iter([first])
    return lambda handler: next(scripts, then)(handler)


def silence(handler: "Handler") -> None:
    """Accept the request and send nothing for a second."""
    handler.upstream.hung_up.wait(1)


def build_usage(usage: Any) -> Any:
    if not isinstance(usage, tuple):
        return usage
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}


@dataclass
class Upstream:
    """A running provider: `script` answers POST requests, `offers` answers GET requests.

    `requests` has the bodies and headers of the POST requests, `gets` the paths and headers of the
    GET requests, `ports` the client port of each POST request.
    """

    url: str
    script: Script = field(default_factory=answer)
    offers: Script = field(default_factory=lambda: listing("small", "large"))
    gets: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def sent(self) -> dict[str, Any]:
        """The body of the last request."""
        return self.requests[-1][0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: Upstream

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.upstream.requests.append((body, dict(self.headers)))
        self.upstream.paths.append(self.path)
        self.upstream.ports.append(self.client_address[1])
        try:
            self.upstream.script(self)
        except OSError:
            self.upstream.hung_up.set()
            self.close_connection = True

    def do_GET(self) -> None:
        self.upstream.gets.append((self.path, dict(self.headers)))
        with suppress(OSError):
            self.upstream.offers(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


SHUTDOWN_POLL_SECONDS = 0.002  # the loop looks for a shutdown that often

TLS: ssl.SSLContext | None = None  # set by tests that need a provider with TLS


@contextmanager
def serving() -> Iterator[Upstream]:
    class BoundHandler(Handler):
        pass

    server = Server(("127.0.0.1", 0), BoundHandler)
    if TLS is not None:
        server.socket = TLS.wrap_socket(server.socket, server_side=True)
    scheme = "http" if TLS is None else "https"
    BoundHandler.upstream = upstream = Upstream(f"{scheme}://127.0.0.1:{server.server_port}/v1")
    threading.Thread(
        target=server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), daemon=True
    ).start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
