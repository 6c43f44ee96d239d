"""The live connection to a provider: one pooled HTTP client per process, bounded in every direction."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Any

import orjson
import urllib3
from django.conf import settings
from django.utils.translation import gettext as _
from sseclient import Event, SSEClient
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from llmproxy import sse
from llmproxy.exceptions import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llmproxy.keys import KeyUnreadable
from llmproxy.models import Provider

Response = urllib3.BaseHTTPResponse

CHUNK_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024
DONE = "[DONE]"
DRAIN_SECONDS = 1
MAX_DEPTH = 100  # of an answer
BUFFERED_EVENTS = 64  # a reader slower than the provider stops the provider, not our memory

_pool = urllib3.PoolManager(num_pools=20, maxsize=1000, retries=False)

# Statuses with which a provider says that the caller's own request is at fault.
CALLERS_FAULT = frozenset({400, 413, 415, 422})


def post(provider: Provider, path: str, body: bytes, trace_id: str) -> Response:
    """Send a completion and wait for the answer's headers; the caller must close the answer.

    Raises UpstreamFailure; a status other than 2xx is one.
    """
    timeout = urllib3.Timeout(connect=settings.LLM_CONNECT_SECONDS, read=settings.LLM_FIRST_BYTE_SECONDS)
    try:
        response = _pool.request(
            "POST",
            provider.url + path,
            body=body,
            headers=_headers(provider, trace_id),
            timeout=timeout,
            preload_content=False,
            redirect=False,
        )
    except HTTPError as error:
        raise _failure(error) from error
    if not 200 <= response.status < 300:
        raise _refusal(response, provider)
    return response


def _headers(provider: Provider, trace_id: str) -> dict[str, str]:
    try:
        key = provider.key
    except KeyUnreadable as unreadable:
        raise UpstreamUnavailable(_("The provider is not available."), detail=str(unreadable)) from None
    if not (key.isascii() and key.isprintable()):
        raise UpstreamUnavailable(_("The provider is not available."), detail="its key is not printable ASCII")
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    return {
        **authorization,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "SmartSpec",
        "x-trace-id": trace_id,
    }


def _failure(error: Exception) -> UpstreamFailure:
    detail = repr(error)
    if isinstance(error, ConnectTimeoutError | NewConnectionError):
        return UpstreamUnavailable(_("The provider is not reachable. Try again."), detail=detail, retry_after=5)
    if isinstance(error, ReadTimeoutError):
        return UpstreamTimeout(_("The provider did not answer in time. Nothing was charged."), detail=detail)
    return UpstreamError(_("The connection to the provider broke. Try again."), detail=detail)


def _refusal(response: Response, provider: Provider) -> UpstreamFailure:
    """A status that is not 2xx: the caller's fault passes through, our account's troubles do not."""
    try:
        text = response.read(ERROR_BYTES)
    except HTTPError:
        text = b""
    finally:
        response.close()
    detail = f"{response.status} {text[:2000]!r}"
    if response.status in CALLERS_FAULT:
        return _rejected(response.status, text, provider)
    if response.status == 429 or response.status == 503:
        return UpstreamUnavailable(_("The provider is busy. Try again in a moment."), detail=detail, retry_after=5)
    return UpstreamError(_("The provider failed. Nothing was charged, try again."), detail=detail)


def _rejected(status: int, text: bytes, provider: Provider) -> UpstreamRejected:
    try:
        error = orjson.loads(text)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        error = {}
    said = error if isinstance(error, dict) else {"message": error}
    return UpstreamRejected(
        provider.without_key(_string(said, "message") or _("The provider refused this request."))[:2000],
        status=status,
        code=(_string(said, "code", "type") or InvalidRequest.code)[:100],
        param=_string(said, "param"),
    )


def _string(said: dict[str, Any], *names: str) -> str | None:
    return next((said[name] for name in names if isinstance(said.get(name), str)), None)


def read_json(response: Response) -> dict[str, Any]:
    """The whole answer as one JSON object, at most LLM_MAX_ANSWER_BYTES. Closes it. Raises UpstreamFailure."""
    try:
        raw = _read(response)
    except HTTPError as error:
        raise _failure(error) from error
    finally:
        response.close()  # an answer read to its end has gone back to the pool already
    answer = decode(raw)
    if not isinstance(answer, dict) or answer.get("error") or not isinstance(answer.get("choices"), list):
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


def decode(text: bytes | str) -> Any:
    """JSON as providers write it, half characters included; None if it is none, or nested beyond reason."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(text)  # orjson refuses a lone surrogate, which a token that splits an emoji is
        except (ValueError, RecursionError):
            return None
    return None if _is_deeper(value, MAX_DEPTH) else value


def _is_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_is_deeper(one, depth - 1) for one in inner if isinstance(one, dict | list))


class EventStream:
    """The events of a streamed answer, read in the background, so that waiting can be interrupted.

    Iterating yields each Event until [DONE] or the end, and None after every LLM_KEEP_ALIVE_SECONDS without
    one. A failure of the provider is raised as UpstreamFailure. `close` at any time makes the provider stop.
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        self._events: Queue[Event | UpstreamFailure | None] = Queue(BUFFERED_EVENTS)
        self._closed = threading.Event()
        self._deadline = time.monotonic() + settings.LLM_COMPLETION_SECONDS
        self._ended = False
        self.done = False  # the provider has said [DONE]
        threading.Thread(target=self._read, name="llm-upstream", daemon=True).start()

    def __iter__(self) -> Iterator[Event | None]:
        waited = 0
        while True:
            try:
                item = self._events.get(timeout=settings.LLM_KEEP_ALIVE_SECONDS)
            except Empty:
                waited += settings.LLM_KEEP_ALIVE_SECONDS
                if waited >= settings.LLM_IDLE_SECONDS:
                    raise UpstreamTimeout(_("The provider stopped answering."), detail="idle") from None
                yield None
                continue
            if isinstance(item, Event) and item.data != DONE:
                waited = 0
                yield item
                continue
            self._ended = True
            if isinstance(item, UpstreamFailure):
                raise item
            self.done = item is not None
            return

    def close(self) -> None:
        self._closed.set()
        if not self._ended:
            with suppress(OSError, ValueError, RuntimeError):  # the last byte may just have arrived
                self._response.shutdown()  # only wakes the reader: what one thread reads, another must not close

    def _read(self) -> None:
        try:
            for event in SSEClient(sse.whole_events(self._chunks())).events():
                if not self._put(event):
                    return
                if event.data == DONE:
                    self._drain()
                    return
            self._put(None)
        except UpstreamFailure as failure:
            self._put(failure)
        except (HTTPError, OSError, ValueError, AttributeError) as error:  # also: not UTF-8, read after shutdown
            self._put(_failure(error))
        finally:
            self._response.close()  # an answer read to its end has gone back to the pool already

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._response.read1(CHUNK_BYTES):
            yield chunk

    def _drain(self) -> None:
        """Read the end of the answer, so that the connection can be used again, if it comes at once."""
        sock = getattr(self._response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(DRAIN_SECONDS)
            self._response.read1(CHUNK_BYTES)

    def _put(self, item: Event | UpstreamFailure | None) -> bool:
        """Wait for room; False once the relay has gone, or no completion would take so long."""
        while not self._closed.is_set() and time.monotonic() < self._deadline:
            with suppress(Full):
                self._events.put(item, timeout=1)
                return True
        return False
