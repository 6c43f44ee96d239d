"""Asks a provider about itself, through requests; completions are asked for by `upstream`."""

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
from llmproxy.http1.sockets import Address
from llmproxy.models.providers import KeyHeader
from llmproxy.upstream.exchange import failure_of, locate, request_headers
from llmproxy.upstream.targets import Target

READ_BYTES = 64 * 1024


def get(target: Target, path: str, *, seconds: float, most: int) -> tuple[int, bytes]:
    """The status and the body that a provider answers with; no body beyond `most` bytes. Raises UpstreamFailure.

    `seconds` bound the whole call, from the look-up of the name to the last byte. requests can bound only each read, so
    a thread asks (a greenlet under gevent). At the end of the time its connection is shut down, which ends it too.
    """
    call = Call()
    call.first_byte_by = time.monotonic() + seconds
    asker = ThreadPoolExecutor(max_workers=1)
    try:
        address, request = _prepare(target, path)
        asked = asker.submit(
            _ask, address, request, call, connect_seconds=target.connect, most=most
        )
        return asked.result(seconds)
    except (OSError, ValueError, HTTPError) as error:
        raise failure_of(error) from error
    finally:
        call.stop()
        asker.shutdown(wait=False)


def _prepare(target: Target, path: str) -> tuple[Address, PreparedRequest]:
    """Raises OSError, ValueError, UpstreamUnavailable."""
    address, where, host = locate(target.url)
    scheme = "https" if address.is_secure else "http"
    # Anthropic's does not answer without; others do not know it.
    extra = {"anthropic-version": "2023-06-01"} if target.key_header == KeyHeader.X_API_KEY else {}
    headers = request_headers(target) | extra
    # HTTP ignores spaces around a value; requests refuses them, in an error that repeats the value.
    stripped = {name: value.strip() for name, value in headers.items()}
    return address, Request("GET", f"{scheme}://{host}{where}{path}", headers=stripped).prepare()


def _ask(
    address: Address, request: PreparedRequest, call: Call, *, connect_seconds: float, most: int
) -> tuple[int, bytes]:
    sock = client.connect(address, call, connect_seconds=connect_seconds)
    try:
        with _OpenConnectionAdapter(sock).send(request, stream=True) as response:
            return response.status_code, _read(response, most)
    finally:
        call.finish()
        sock.close()


def _read(response: Response, most: int) -> bytes:
    """The body as it comes: nothing is decompressed, because `Accept-Encoding: identity` was asked for."""
    body = bytearray()
    while piece := response.raw.read(READ_BYTES, decode_content=False):
        body += piece
        if len(body) > most:
            return b""
    return bytes(body)


class _OpenConnection(HTTPConnection):
    """A connection that was opened before, with TLS where the provider has it."""

    def __init__(self, *args: Any, opened: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._opened = opened

    def connect(self) -> None:
        self.sock = self._opened


class _OpenConnectionPool(HTTPConnectionPool):
    ConnectionCls = _OpenConnection


class _OpenConnectionAdapter(HTTPAdapter):
    """Sends one request over one connection, which the caller has opened and closes.

    So a test of a provider trusts the same certificates as completions do, and can be hung up on at any moment. There
    is no session around it, for four reasons: it would read the body of a redirect, without a bound, even where it does
    not follow it; it would send the key along with one that it follows; it would replace the key by what ~/.netrc says;
    and it would use the environment's proxies, which completions do not, so the test would tell of another way.
    """

    def __init__(self, opened: Any) -> None:
        super().__init__()
        self._opened = opened

    def get_connection_with_tls_context(self, *_args: Any, **_named: Any) -> HTTPConnectionPool:
        return _OpenConnectionPool("provider", opened=self._opened)
