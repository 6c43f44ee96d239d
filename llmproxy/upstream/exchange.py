"""Sends a completion to a provider, with limits on time and size, and classifies its refusals."""

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import ceil
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llmproxy.http1 import client
from llmproxy.http1.client import Call, Response
from llmproxy.http1.sockets import Address, NotReachableError
from llmproxy.metering.meter import clean_text
from llmproxy.models.providers import KeyHeader
from llmproxy.upstream.targets import Target

ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 5  # for the whole body of an error

# Statuses that mean that the caller's own request is wrong.
CALLERS_FAULT = frozenset({400, 413, 415, 422})
# Codes of errors that are not the caller's fault although their status is 400: a model's name or a
# key that the operator entered, or an unpaid bill. OpenAI, Anthropic, Google, OpenRouter and Groq
# use them.
OPERATORS_CODES = frozenset(
    """
    model_not_found invalid_model model_decommissioned deploymentnotfound unknown_model
    invalid_api_key api_key_invalid insufficient_quota billing_error billing_hard_limit_reached
    authentication_error permission_error not_found_error
    """.split()  # noqa: SIM905 – a list of a dozen strings would take a dozen lines
)
OPERATORS_WORDS = re.compile(
    r"not a valid model|api key not valid|credit balance is too low", re.IGNORECASE
)
# Statuses that mean that the provider has no such route or model. Its other models may work.
NOT_SERVED = frozenset({404, 405, 501})
# Statuses that mean that the provider has too much to do. 529 is Anthropic's.
BUSY = frozenset({429, 503, 529})
RETRY_SECONDS = re.compile(r"[0-9]{1,20}\Z")
BUSY_SECONDS = 5  # to wait if there is no Retry-After
PORTS = {"http": (False, 80), "https": (True, 443)}


def post(
    target: Target, path: str, body: bytes, headers: Mapping[str, str], call: Call, seconds: float
) -> Response:
    """Send a completion and wait `seconds` for the headers; the caller must close the response.

    Raises UpstreamFailure, also for a status that is not 200 to 203.
    """
    call.first_byte_by = time.monotonic() + seconds
    response = _send(target, path, {**build_headers(target), **headers}, body, call)
    if response.status != 200 and not 200 < response.status < 204:
        raise _read_refusal(response, target, call)
    return response


def _send(
    target: Target, path: str, headers: Mapping[str, str], body: bytes, call: Call
) -> Response:
    try:
        address, prefix, host = locate(target.url)
        fields = {"Host": host, **headers, "Content-Length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"POST {prefix}{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
        return client.send(address, request, call, connect_seconds=target.connect)
    except (OSError, ValueError) as error:
        raise build_failure(error) from error


@lru_cache(maxsize=1000)
def locate(url: str) -> tuple[Address, str, str]:
    """The address to connect to, the path and the Host header of a base URL.

    Raises NotReachableError, which does not repeat the URL: it may contain a password.
    """
    try:
        parts = urlsplit(url)
        is_secure, port = PORTS[parts.scheme]
        host = str(parts.hostname)
        host = host if host.isascii() else host.encode("idna").decode()
        address = Address(host, port if parts.port is None else parts.port, is_secure)
    except (ValueError, KeyError) as error:  # KeyError: the scheme is neither http nor https
        raise NotReachableError("the base URL is not an address") from error
    if not parts.hostname:
        raise NotReachableError("the base URL names no host")
    name = f"[{host}]" if ":" in host else host
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return address, path, name if parts.port is None else f"{name}:{parts.port}"


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


def build_failure(error: Exception) -> UpstreamFailure:
    """The failure to report for an error of the connection or of the body's coding."""
    detail = repr(error)
    if isinstance(error, NotReachableError):
        return UpstreamUnavailable(
            _("The provider cannot be reached. Try again."), detail=detail, retry_after=5
        )
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(
            _("The provider did not answer in time. Nothing was charged."), detail=detail
        )
    return UpstreamError(_("The connection to the provider was lost. Try again."), detail=detail)


def _read_refusal(response: Response, target: Target, call: Call) -> UpstreamFailure:
    """The failure that this status means. Closes the response.

    The provider's message reaches the caller only if their request is wrong, not if our account is.
    """
    until = call.first_byte_by = time.monotonic() + ERROR_SECONDS
    try:
        raw = _read_body(response, call, wait=ERROR_SECONDS, until=until, most=ERROR_BYTES)
    except (OSError, ValueError, UpstreamTimeout):
        raw = b""
    finally:
        call.finish()
        response.close()  # not released: the rest of its body must not become another response
    detail = f"{response.status} {raw[:2000]!r}"
    error = _parse_error(raw)
    if response.status in CALLERS_FAULT and not _is_operators_fault(error):
        return _build_rejection(response.status, error, target)
    if response.status in BUSY:
        wait = _parse_retry_after(response)
        message = _("The provider is busy. Try again in a moment.")
        failure: UpstreamFailure = UpstreamUnavailable(
            message, detail=detail, retry_after=wait or BUSY_SECONDS, cool_seconds=wait
        )
    else:
        failure = UpstreamError(
            _("The provider failed. Nothing was charged. Try again."), detail=detail
        )
        failure.counts_for_health = response.status not in NOT_SERVED
    failure.provider_status = response.status
    return failure


def _parse_retry_after(response: Response) -> int | None:
    """Retry-After in seconds (RFC 9110 §10.2.3), at most LLM_COOL_MAX_SECONDS.

    None if the header is missing, malformed or in the past.
    """
    value = response.headers.get("retry-after", "")
    try:
        seconds = (
            float(value)
            if RETRY_SECONDS.match(value)
            else parsedate_to_datetime(value).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(ceil(seconds), 0), settings.LLM_COOL_MAX_SECONDS) or None


def _parse_error(raw: bytes) -> dict[str, Any]:
    """The error object of OpenAI's envelope, or the whole body if it has none."""
    body = lenient_json.decode(raw)
    error = body.get("error", body) if isinstance(body, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _is_operators_fault(error: dict[str, Any]) -> bool:
    """Whether an error is about the operator's model name, key or bill, not about the request."""
    codes = {str(error.get(name)).lower() for name in ("code", "type", "status")}
    message = _first_string(error, "message") or ""
    return (
        error.get("param") == "model"
        or bool(codes & OPERATORS_CODES)
        or OPERATORS_WORDS.search(message) is not None
    )


def _build_rejection(status: int, error: dict[str, Any], target: Target) -> UpstreamRejected:
    message, code, param = (
        clean_text(target.hide_key(_first_string(error, *names) or ""), most)
        for names, most in ((("message",), 2000), (("code", "type"), 100), (("param",), 200))
    )
    return UpstreamRejected(
        message or _("The provider refused this request."),
        status=status,
        code=code or InvalidRequest.code,
        param=param or None,
    )


def _first_string(error: dict[str, Any], *names: str) -> str | None:
    return next((error[name] for name in names if isinstance(error.get(name), str)), None)


def read_json(
    response: Response,
    is_answer: Callable[[dict[str, Any]], bool],
    call: Call,
    idle_seconds: float,
    most_seconds: float | None = None,
) -> dict[str, Any]:
    """Read the whole answer, a JSON object of at most LLM_MAX_ANSWER_BYTES; release the response.

    It may take `most_seconds`, or LLM_COMPLETION_SECONDS. Raises UpstreamFailure, also for JSON
    that `is_answer` does not accept.
    """
    until = time.monotonic() + (most_seconds or settings.LLM_COMPLETION_SECONDS)
    try:
        raw = _read_body(
            response, call, wait=idle_seconds, until=until, most=settings.LLM_MAX_ANSWER_BYTES
        )
    except (OSError, ValueError) as error:
        raise build_failure(error) from error
    finally:
        call.finish()
        response.release()
    answer = lenient_json.decode(raw)
    if not isinstance(answer, dict) or answer.get("error") or not is_answer(answer):
        raise UpstreamError(
            _("The provider failed. Nothing was charged. Try again."), detail=repr(raw[:2000])
        )
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
