"""Sends a completion to a provider and reads its answer, with limits on time and size."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import UpstreamFailure, UpstreamTimeout, UpstreamUnavailable
from llmproxy.http1 import client
from llmproxy.http1.client import Call, Response, Waiting
from llmproxy.models.choices import KeyHeader
from llmproxy.upstream.document import is_events, read_events
from llmproxy.upstream.failures import ProviderRequest, build_failure, build_refusal
from llmproxy.upstream.places import locate
from llmproxy.upstream.targets import Target

ERROR_BYTES = 256 * 1024  # FastAPI repeats the request in its errors
ENDS = tuple(b"data: [DONE]" + end for end in (b"\n\n", b"\r\n\r\n", b"\r\r", b""))
ERROR_SECONDS = 5  # for the whole body of an error


def post(
    request: ProviderRequest, path: str, headers: Mapping[str, str], call: Call, seconds: float
) -> Waiting[Response]:
    """Send a completion and wait `seconds` for the headers; the caller must close the response.

    Yields when a turn of `call` is due. Raises UpstreamFailure, also for a status that is not 200
    to 203.
    """
    call.first_byte_by = time.monotonic() + seconds
    target = request.target
    try:
        response = yield from _send(request, path, {**build_headers(target), **headers}, call)
    except (OSError, ValueError) as error:
        raise build_failure(error) from error
    if response.status != 200 and not 200 < response.status < 204:
        raise _read_refusal(response, request, call)
    return response


def _send(
    request: ProviderRequest, path: str, headers: Mapping[str, str], call: Call
) -> Waiting[Response]:
    """Raises OSError, ValueError."""
    target = request.target
    place = locate(target)
    fields = {"Host": place.host, **place.headers, **headers, "Content-Length": len(request.body)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    head = f"POST {place.build_target(path)} HTTP/1.1\r\n{lines}\r\n"
    message = head.encode("latin-1") + request.body
    return client.send(place.address, message, call, connect_seconds=target.connect)


def build_headers(target: Target) -> dict[str, str]:
    """The headers of every request to this provider. Raises UpstreamUnavailable for a bad key."""
    if (problem := target.key_problem) is not None:
        raise UpstreamUnavailable(_("The provider is not available."), detail=problem)
    key = target.key
    credential = (
        {"Authorization": f"Bearer {key}"}
        if target.key_header == KeyHeader.BEARER
        else {target.key_header: key}
    )
    return {
        **(credential if key else {}),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "SmartSpec",
    }


def _read_refusal(response: Response, request: ProviderRequest, call: Call) -> UpstreamFailure:
    """The failure that a status means which is no success. Closes the response."""
    until = call.first_byte_by = time.monotonic() + ERROR_SECONDS
    try:
        raw = _read_body(response, call, wait=ERROR_SECONDS, until=until, most=ERROR_BYTES)
    except (OSError, ValueError, UpstreamTimeout):
        raw = b""
    finally:
        call.finish()
        response.close()  # not released: the rest of its body must not become another response
    return build_refusal(request, raw, response.status, response.headers.get("retry-after", ""))


def read_json(
    response: Response,
    is_answer: Callable[[dict[str, Any]], bool],
    call: Call,
    request: ProviderRequest,
    most_seconds: float | None = None,
) -> dict[str, Any]:
    """Read the whole answer, a JSON object of at most LLM_MAX_ANSWER_BYTES; release the response.

    It may take `most_seconds`, or as long as an answer of this provider may take. Raises
    UpstreamFailure, also for JSON that `is_answer` does not accept.
    """
    seconds = most_seconds or request.target.completion
    until, wait = time.monotonic() + seconds, min(seconds, request.target.idle)
    try:
        raw = _read_body(response, call, wait=wait, until=until, most=settings.LLM_MAX_ANSWER_BYTES)
    except (OSError, ValueError) as error:
        raise build_failure(error) from error
    finally:
        call.finish()
        response.release()
    answer = read_events(raw, request) if is_events(raw) else lenient_json.decode(raw)
    if not isinstance(answer, dict) or answer.get("error") or not is_answer(answer):
        raise build_refusal(request, raw[:ERROR_BYTES])
    return answer


def _read_body(response: Response, call: Call, *, wait: float, until: float, most: int) -> bytes:
    """The body; empty if it has more than `most` bytes.

    `wait` limits each read, in seconds; the first read may also use what is left of the time for
    the headers. `until` limits the whole body, by the monotonic clock.
    """
    body, read_seconds = bytearray(), max(call.seconds_left, wait)
    while piece := _read_piece(response, read_seconds, until):
        read_seconds = wait
        body += piece
        if len(body) > most:
            return b""
        if body.endswith(ENDS) and is_events(body):
            break  # the provider may leave the connection open
    return bytes(body)


def _read_piece(response: Response, seconds: float, until: float) -> bytes:
    try:
        return response.read(seconds, until)
    except TimeoutError as error:
        if time.monotonic() < until:
            raise
        raise UpstreamTimeout(
            _("The answer took too long."), detail="completion deadline"
        ) from error
