"""Asks a provider about itself, through requests. Completions go through exchange.py instead."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from requests import PreparedRequest, Request, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from llmproxy.http1 import client
from llmproxy.http1.client import Call
from llmproxy.http1.framing import Malformed, Sized
from llmproxy.http1.inflation import unwrap
from llmproxy.models.choices import KeyHeader
from llmproxy.upstream.exchange import build_headers
from llmproxy.upstream.failures import build_failure
from llmproxy.upstream.places import Place, locate
from llmproxy.upstream.targets import Target

READ_BYTES = 64 * 1024


def get(target: Target, path: str, *, seconds: float, most: int) -> tuple[int, bytes]:
    """The status and the body of a GET; the body is empty if it has more than `most` bytes.

    `seconds` limit the whole call, from the look-up of the name to the last byte. requests can
    limit only each read, so a thread makes the call (a greenlet under gevent). When the time is
    over, the thread's connection is shut down, which ends the thread. Raises UpstreamFailure.
    """
    call = Call()
    call.first_byte_by = time.monotonic() + seconds
    executor = ThreadPoolExecutor(max_workers=1)
    try:
        place, request = _prepare(target, path)
        future = executor.submit(
            _send, place, request, call, connect_seconds=target.connect, most=most
        )
        return future.result(seconds)
    except (OSError, ValueError, HTTPError) as error:
        raise build_failure(error) from error
    finally:
        call.stop()
        executor.shutdown(wait=False)


def _prepare(target: Target, path: str) -> tuple[Place, PreparedRequest]:
    """Raises OSError, ValueError, UpstreamUnavailable."""
    place = locate(target)
    scheme = "https" if place.address.is_secure else "http"
    # Anthropic's API requires this header; other providers ignore it.
    extra = {"anthropic-version": "2023-06-01"} if target.key_header == KeyHeader.X_API_KEY else {}
    headers = {**build_headers(target), **extra, **place.headers}
    # HTTP ignores spaces around a value. requests refuses them, and its error repeats the value,
    # which may be the key.
    stripped = {name: value.strip() for name, value in headers.items()}
    url = f"{scheme}://{place.host}{place.prefix}{path}{place.query}"
    return place, Request("GET", url, headers=stripped).prepare()


def _send(
    place: Place, request: PreparedRequest, call: Call, *, connect_seconds: float, most: int
) -> tuple[int, bytes]:
    sock = client.connect(place.address, call, connect_seconds=connect_seconds)
    try:
        adapter = _OpenConnectionAdapter(sock, is_forwarded=place.is_forwarded)
        with adapter.send(request, stream=True) as response:
            return response.status_code, _read(response, most)
    finally:
        call.finish()
        sock.close()


def _read(response: Response, most: int) -> bytes:
    """The body; empty if it has more than `most` bytes or cannot be inflated."""
    coding = response.headers.get("Content-Encoding", "") if response.status_code == 200 else ""
    body = bytearray()
    try:
        content = unwrap(Sized(None), coding)
        while piece := response.raw.read(READ_BYTES, decode_content=False):
            body += content.feed(piece)
            if len(body) > most:
                return b""
    except Malformed:
        return b""
    return bytes(body)


class _OpenConnection(HTTPConnection):
    """A connection that is open already, with TLS if the provider uses it."""

    def __init__(self, *args: Any, opened: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._opened = opened

    def connect(self) -> None:
        self.sock = self._opened


class _OpenConnectionPool(HTTPConnectionPool):
    ConnectionCls = _OpenConnection


class _OpenConnectionAdapter(HTTPAdapter):
    """Sends one request over one connection, which the caller opens and closes.

    With it a test of a provider trusts the same certificates as completions do, and can be stopped
    at any moment. It is used without a session of requests, for four reasons. A session reads the
    body of a redirect without a limit, even if it does not follow the redirect. It sends the key to
    the address of a redirect that it follows. It replaces the key by an entry in ~/.netrc. It
    chooses a proxy itself, by other rules than completions.
    """

    def __init__(self, opened: Any, *, is_forwarded: bool) -> None:
        super().__init__()
        self._opened = opened
        self._is_forwarded = is_forwarded

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """The target of the request: the whole URL if a proxy forwards it."""
        return str(request.url) if self._is_forwarded else request.path_url

    def get_connection_with_tls_context(self, *_args: Any, **_named: Any) -> HTTPConnectionPool:
        return _OpenConnectionPool("provider", opened=self._opened)
