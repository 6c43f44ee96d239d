"""Asking a provider, bounded in every direction, and what its refusals mean."""

import re
import time
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import urllib3
from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from llmproxy import wire
from llmproxy.connections import Call, pool, sender
from llmproxy.exceptions import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llmproxy.models.providers import KeyHeader
from llmproxy.providers import Target

Response = urllib3.BaseHTTPResponse

CHUNK_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024


# Statuses with which a provider says that the caller's own request is at fault.
CALLERS_FAULT = frozenset({400, 413, 415, 422})
# 400s that are ours: a name of a model or a key of our configuration, or our bill there. As OpenAI, Anthropic, Google,
# OpenRouter and Groq put it.
OUR_CODES = frozenset(
    """
    model_not_found invalid_model model_decommissioned deploymentnotfound unknown_model invalid_api_key api_key_invalid
    insufficient_quota billing_error billing_hard_limit_reached authentication_error permission_error not_found_error
    """.split()  # noqa: SIM905 – a list of a dozen strings would take a dozen lines
)
OUR_WORDS = re.compile(r"not a valid model|api key not valid|credit balance is too low", re.IGNORECASE)
# Statuses with which a provider says that it has too much to do; 529 is Anthropic's.
BUSY = frozenset({429, 503, 529})
BUSY_SECONDS = 5  # where it does not say for how long


def post(target: Target, path: str, body: bytes, headers: Mapping[str, str], call: Call, seconds: float) -> Response:
    """Send a completion and wait for the answer's headers; the caller must close the answer.

    It should begin within `seconds`. Raises UpstreamFailure; a status other than 2xx is one.
    """
    call.first_byte_by = time.monotonic() + seconds
    response = _sent(target, "POST", path, {**_headers(target), **headers}, body, call)
    if not 200 <= response.status < 300:
        raise _refusal(response, target)
    return response


def get(target: Target, path: str, *, seconds: float, most: int) -> tuple[int, bytes]:
    """The status and body of what a provider says about itself, empty beyond `most` bytes. Raises UpstreamFailure."""
    call, until = Call(), time.monotonic() + seconds
    call.first_byte_by = until
    # Anthropic's does not answer without; others do not know it.
    extra = {"anthropic-version": "2023-06-01"} if target.key_header == KeyHeader.X_API_KEY else {}
    response = _sent(target, "GET", path, _headers(target) | extra, None, call)
    try:
        return response.status, _body(response, call, wait=seconds, until=until, most=most)
    except HTTPError as error:
        raise failure_of(error) from error
    finally:
        call.finish()
        response.close()


def _sent(
    target: Target, method: str, path: str, headers: Mapping[str, str], body: bytes | None, call: Call
) -> Response:
    """Send; once more, where a connection was kept and the provider had closed it (RFC 9112 §9.3.1)."""
    try:
        try:
            return _send(target, method, path, headers, body, call)
        except ProtocolError as error:
            if call.is_stopped or not (call.is_reused and isinstance(error.args[-1], ConnectionError)):
                raise
            return _send(target, method, path, headers, body, call)
    except HTTPError as error:
        raise failure_of(error) from error


def _send(
    target: Target, method: str, path: str, headers: Mapping[str, str], body: bytes | None, call: Call
) -> Response:
    left = max(call.first_byte_by - time.monotonic(), 0.001)
    sender.call = call
    try:
        return pool.request(
            method,
            target.url + path,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(target.connect, left), read=left),
            preload_content=False,
            redirect=False,
        )
    finally:
        sender.call = None


def _headers(target: Target) -> dict[str, str]:
    """Raises UpstreamUnavailable, if the key is none that can be sent."""
    if (problem := target.problem) is not None:
        raise UpstreamUnavailable(_("The provider is not available."), detail=problem)
    key = target.key
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
    said = _error(text)
    if response.status in CALLERS_FAULT and not _is_ours(said):
        return _rejected(response.status, said, target)
    if response.status in BUSY:
        wait = _retry_after(response)
        message = _("The provider is busy. Try again in a moment.")
        return UpstreamUnavailable(message, detail=detail, retry_after=wait or BUSY_SECONDS, cool_seconds=wait)
    return UpstreamError(_("The provider failed. Nothing was charged, try again."), detail=detail)


def _retry_after(response: Response) -> int | None:
    """The seconds that Retry-After says (RFC 9110 §10.2.3), at most LLM_COOL_MAX_SECONDS; None for nothing it says."""
    said = response.headers.get("Retry-After")
    try:
        seconds = urllib3.Retry().parse_retry_after(said) if said else 0
    except (InvalidHeader, ValueError, OverflowError):
        return None
    return min(ceil(seconds), settings.LLM_COOL_MAX_SECONDS) or None


def _error(text: bytes) -> dict[str, Any]:
    """The error object of OpenAI's envelope, or what there is instead."""
    body = wire.decode(text)
    error = body.get("error", body) if isinstance(body, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _is_ours(said: dict[str, Any]) -> bool:
    """Whether an error is about what the caller has no part in: which model we name, with which key, and who pays."""
    codes = {str(said.get(name)).lower() for name in ("code", "type", "status")}
    words = _string(said, "message") or ""
    return said.get("param") == "model" or bool(codes & OUR_CODES) or OUR_WORDS.search(words) is not None


def _rejected(status: int, said: dict[str, Any], target: Target) -> UpstreamRejected:
    return UpstreamRejected(
        target.without_key(_string(said, "message") or _("The provider refused this request."))[:2000],
        status=status,
        code=(_string(said, "code", "type") or InvalidRequest.code)[:100],
        param=_string(said, "param"),
    )


def _string(said: dict[str, Any], *names: str) -> str | None:
    return next((said[name] for name in names if isinstance(said.get(name), str)), None)


def read_json(
    response: Response, is_answer: Callable[[dict[str, Any]], bool], call: Call, idle_seconds: float
) -> dict[str, Any]:
    """The whole answer as one JSON object, at most LLM_MAX_ANSWER_BYTES. Closes it. Raises UpstreamFailure."""
    until = time.monotonic() + settings.LLM_COMPLETION_SECONDS
    try:
        raw = _body(response, call, wait=idle_seconds, until=until, most=settings.LLM_MAX_ANSWER_BYTES)
    except HTTPError as error:
        raise failure_of(error) from error
    finally:
        call.finish()
        response.close()  # an answer read to its end has gone back to the pool already
    answer = wire.decode(raw)
    if not isinstance(answer, dict) or answer.get("error") or not is_answer(answer):
        raise UpstreamError(_("The provider failed. Nothing was charged, try again."), detail=repr(raw[:2000]))
    return answer


def _body(response: Response, call: Call, *, wait: float, until: float, most: int) -> bytes:
    """The body, bounded in bytes and in time; empty if it is too large. Its first byte has the time of the headers."""
    body = bytearray()
    call.wait_at_most(max(call.first_byte_by - time.monotonic(), wait))
    while chunk := response.read1(CHUNK_BYTES):
        call.wait_at_most(wait)
        body += chunk
        if len(body) > most:
            return b""
        if time.monotonic() > until:
            raise UpstreamTimeout(_("The answer took too long."), detail="completion deadline")
    return bytes(body)
