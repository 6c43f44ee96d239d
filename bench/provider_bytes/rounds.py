"""Sends changed answers through a gateway, and checks what has to hold for each.

* Nothing that a provider sends is a 500, or leaves something held.
* 0 <= charge <= what was held, and the tokens of a prompt beyond its bytes.
* Whole answers with readable usage are charged exactly.
* The caller gets every text of the answer, or an error.
"""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import urlsplit

from bench.provider_bytes.answers import ANSWERS, BODIES, PRICES, PROMPT_BYTES
from bench.provider_bytes.mutations import Sent, mutate

DEAREST_PROMPT = PRICES["cache_write_price"] / 1000
UPSTREAM_FAILURES = (502, 503, 504)
Reply = tuple[int, bytes, Any]  # status, body, and the row of the completion


def send(handler: BaseHTTPRequestHandler, sent: Sent) -> None:
    """Write the answer piece by piece, in chunked coding."""
    kind = "text/event-stream" if sent.answer.is_stream else "application/json"
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in sent.pieces:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    if sent.is_cut:
        handler.close_connection = True
    else:
        handler.wfile.write(b"0\r\n\r\n")


def play(
    random: Random, ask: Callable[[Sent, dict[str, Any]], Reply], rounds: int | None = None
) -> Iterator[tuple[Sent, list[str]]]:
    """Play rounds, or go on without end; yield what was sent, and what is wrong with it.

    `ask` makes the provider send, calls the route with this body, and returns the reply.
    """
    played = 0
    while rounds is None or played < rounds:
        played += 1
        sent = mutate(random.choice(ANSWERS), random)
        stream = {"stream": True} if sent.answer.is_stream else {}
        yield sent, list(find_faults(sent, *ask(sent, BODIES[sent.answer.path] | stream)))


def find_faults(sent: Sent, status: int, body: bytes, row: Any) -> Iterator[str]:
    """Say which invariants a reply violates."""
    if status != 200 and (status not in UPSTREAM_FAILURES or (sent.is_valid and not sent.is_cut)):
        yield f"status {status}"
    beyond = max(row.prompt_tokens - PROMPT_BYTES, 0) * DEAREST_PROMPT
    if not 0 <= row.charged <= row.held + beyond or row.charged > row.cost:
        yield f"charged {row.charged} of {row.held} held, cost {row.cost}"
    exact = (sent.answer.charged, "exact", "completed")
    if sent.is_exact and (row.charged, row.usage_source, row.status) != exact:
        yield f"{row.charged} {row.usage_source} {row.status}, not {exact}"
    has_error = status != 200 or b'"error"' in body or row.status == "failed"
    missing = [text for text in sent.texts if text not in body]
    if missing and not has_error:
        yield f"without {missing}, and without an error"


class Server(ThreadingHTTPServer):
    """A provider on loopback that sends `sent` to every request."""

    daemon_threads = True
    sent: Sent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with suppress(OSError):  # the gateway may hang up
            send(self, self.server.sent)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def run_server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def call(url: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, bytes, str]:
    """Call a route; return the status, the body and the id of the completion."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("x-generation-id") or ""
    finally:
        connection.close()
