"""The live connection to a provider: one pooled HTTP client per process, bounded in every direction."""

import _socket
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import urllib3
from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from llmproxy import wire
from llmproxy.exceptions import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llmproxy.keys import KeyUnreadable
from llmproxy.models.providers import KeyHeader
from llmproxy.providers import Target

Response = urllib3.BaseHTTPResponse

CHUNK_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024


class Call:
    """What is under way at a provider, so that it can be stopped at any moment, by any thread."""

    def __init__(self) -> None:
        self.is_left = False  # by the caller: nobody wants the answer any more
        self.sock: Any = None  # while the answer is under way

    def leave(self) -> None:
        """The caller has gone: hang up, now and after whatever comes next."""
        self.is_left = True
        self.hang_up()

    def hang_up(self) -> None:
        """Only wakes whoever reads: what one thread reads, another must not close."""
        with suppress(OSError, ValueError, AttributeError):  # the last byte may just have arrived
            # Of the descriptor, not by gevent's object: that belongs to the thread of its hub.
            line = _socket.socket(fileno=os.dup(self.sock.fileno()))
            line.shutdown(_socket.SHUT_RDWR)
            line.close()

    def finish(self) -> None:
        """The answer is there, or will not come: its connection may serve somebody else."""
        self.sock = None


class _Sender(threading.local):
    call: Call | None = None


_sender = _Sender()


class _Noted:
    """A connection that tells the call that it serves by which socket, and sends a request at once.

    http.client sends headers and body one after the other, which wakes the provider for the first half.
    """

    sock: Any
    _parts: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._parts = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        super().send(whole)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self._parts is None or not isinstance(data, bytes):
            super().send(data)  # type: ignore[misc]
        else:
            self._parts.append(data)

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._note()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        self._note()
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def _note(self) -> None:
        if _sender.call is not None:
            _sender.call.sock = self.sock


class _Connection(_Noted, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Noted, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


# As many as a worker can have callers: one that is not kept is a line in the log.
_pool = urllib3.PoolManager(num_pools=50, maxsize=5000, retries=False)
_pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

# Statuses with which a provider says that the caller's own request is at fault.
CALLERS_FAULT = frozenset({400, 413, 415, 422})
BUSY = frozenset({429, 503, 529})  # 529 is Anthropic's


def post(target: Target, path: str, body: bytes, headers: Mapping[str, str], call: Call) -> Response:
    """Send a completion and wait for the answer's headers; the caller must close the answer.

    Raises UpstreamFailure; a status other than 2xx is one.
    """
    timeout = urllib3.Timeout(
        connect=target.connect_seconds or settings.LLM_CONNECT_SECONDS,
        read=target.first_byte_seconds or settings.LLM_FIRST_BYTE_SECONDS,
    )
    _sender.call = call
    try:
        response = _pool.request(
            "POST",
            target.url + path,
            body=body,
            headers={**_headers(target), **headers},
            timeout=timeout,
            preload_content=False,
            redirect=False,
        )
    except HTTPError as error:
        raise failure_of(error) from error
    finally:
        _sender.call = None
    if call.is_left:
        call.hang_up()
    if not 200 <= response.status < 300:
        raise _refusal(response, target)
    return response


def _headers(target: Target) -> dict[str, str]:
    try:
        key = target.key
    except KeyUnreadable as unreadable:
        raise UpstreamUnavailable(_("The provider is not available."), detail=str(unreadable)) from None
    if not (key.isascii() and key.isprintable()):
        raise UpstreamUnavailable(_("The provider is not available."), detail="its key is not printable ASCII")
    named = {"Authorization": f"Bearer {key}"} if target.key_header == KeyHeader.BEARER else {target.key_header: key}
    return {
        **(named if key else {}),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "SmartSpec",
    }


def failure_of(error: Exception) -> UpstreamFailure:
    detail = repr(error)
    if isinstance(error, ConnectTimeoutError | NewConnectionError):
        return UpstreamUnavailable(_("The provider is not reachable. Try again."), detail=detail, retry_after=5)
    if isinstance(error, ReadTimeoutError):
        return UpstreamTimeout(_("The provider did not answer in time. Nothing was charged."), detail=detail)
    return UpstreamError(_("The connection to the provider broke. Try again."), detail=detail)


def _refusal(response: Response, target: Target) -> UpstreamFailure:
    """A status that is not 2xx: the caller's fault passes through, our account's troubles do not."""
    try:
        text = response.read(ERROR_BYTES)
    except HTTPError:
        text = b""
    finally:
        response.close()
    detail = f"{response.status} {text[:2000]!r}"
    if response.status in CALLERS_FAULT:
        return _rejected(response.status, text, target)
    if response.status in BUSY:
        return UpstreamUnavailable(_("The provider is busy. Try again in a moment."), detail=detail, retry_after=5)
    return UpstreamError(_("The provider failed. Nothing was charged, try again."), detail=detail)


def _rejected(status: int, text: bytes, target: Target) -> UpstreamRejected:
    try:
        error = orjson.loads(text)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        error = {}
    said = error if isinstance(error, dict) else {"message": error}
    return UpstreamRejected(
        target.without_key(_string(said, "message") or _("The provider refused this request."))[:2000],
        status=status,
        code=(_string(said, "code", "type") or InvalidRequest.code)[:100],
        param=_string(said, "param"),
    )


def _string(said: dict[str, Any], *names: str) -> str | None:
    return next((said[name] for name in names if isinstance(said.get(name), str)), None)


def read_json(response: Response, is_answer: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The whole answer as one JSON object, at most LLM_MAX_ANSWER_BYTES. Closes it. Raises UpstreamFailure."""
    try:
        raw = _read(response)
    except HTTPError as error:
        raise failure_of(error) from error
    finally:
        response.close()  # an answer read to its end has gone back to the pool already
    answer = wire.decode(raw)
    if not isinstance(answer, dict) or answer.get("error") or not is_answer(answer):
        raise UpstreamError(_("The provider failed. Nothing was charged, try again."), detail=repr(raw[:2000]))
    return answer


def _read(response: Response) -> bytes:
    """The body, bounded in bytes and in time; empty if it is too large."""
    deadline, body = time.monotonic() + settings.LLM_COMPLETION_SECONDS, bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > settings.LLM_MAX_ANSWER_BYTES:
            return b""
        if time.monotonic() > deadline:
            raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
    return bytes(body)
