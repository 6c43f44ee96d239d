"""The HTTP server: the API, the hosted pages and the controls on one port of this machine."""

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from smartspec.local.fake_stripe import api, clockwork, controls
from smartspec.local.fake_stripe.api import Answer, Dropped, Request
from smartspec.local.fake_stripe.memory import webhooks
from smartspec.local.fake_stripe.memory.state import State
from smartspec.local.fake_stripe.objects.endpoints import make_endpoint
from smartspec.local.fake_stripe.pages.router import answer_page

MAX_BODY_BYTES = 1024 * 1024
CONNECTION_SECONDS = 60
TICK_SECONDS = 0.2
POLL_SECONDS = 0.002  # How long a shutdown may take to be seen.


class Server(ThreadingHTTPServer):
    """A server that owns a state. A client that disconnects is no error."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, *, file: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.state = State(origin=origin, file=file)
        self.ended = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what is an error of ours only."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def work(self) -> None:
        """Do what is due and send webhooks, until the server ends."""
        while not self.ended.wait(TICK_SECONDS):
            with self.state.lock:
                clockwork.catch_up(self.state)
                self.state.save()
                hold = self.state.webhook_faults.hold
            if not hold:
                webhooks.deliver_waiting(self.state, only_due=True)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = CONNECTION_SECONDS
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        request = self._read()
        if request is None:
            return
        try:
            answer = self._choose(request)
        except Dropped:
            self.close_connection = True
            return
        except Exception:  # noqa: BLE001 - A mistake of the fake is seen in its log and in the answer.
            answer = api.describe_mistake(traceback.format_exc())
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self.send_error(413)
            return None
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, path, query, headers, self.rfile.read(int(length)))

    def _choose(self, request: Request) -> Answer:
        state = self.server.state
        if request.path.startswith("/v1/"):
            return api.answer_request(state, request)
        if request.path.startswith("/_fake/"):
            return controls.answer_control(state, request)
        return answer_page(state, request)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write no line for each request."""


@contextmanager
def run_server(
    port: int = 0,
    *,
    webhook: str | None = None,
    secret: str | None = None,
    file: Path | None = None,
) -> Iterator[Server]:
    """Serve in threads of this process until the block ends. Port 0: any that is free."""
    server = Server(port, file=file)
    if webhook:
        register_webhook(server.state, webhook, secret)
    threads = [
        threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True),
        threading.Thread(target=server.work, daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        threads[1].join(webhooks.TIMEOUT_SECONDS)


def register_webhook(state: State, url: str, secret: str | None) -> None:
    """Let all events go to this address, signed with this secret."""
    with state.lock:
        for livemode in (False, True):
            for known in state.select("webhook_endpoint", url=url, livemode=livemode):
                state.remove(known)
            make_endpoint(state, url=url, enabled_events=["*"], livemode=livemode, secret=secret)
        state.save()
