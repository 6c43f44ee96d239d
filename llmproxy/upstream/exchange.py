"""Asking a provider, bounded in every direction, and what its refusals mean."""

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
from llmproxy.http1.client import Answer, Call
from llmproxy.http1.sockets import Address, NotReachableError
from llmproxy.metering.meter import text
from llmproxy.models.providers import KeyHeader
from llmproxy.upstream.targets import Target

ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 5  # for all of it


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
OUR_WORDS = re.compile(
    r"not a valid model|api key not valid|credit balance is too low", re.IGNORECASE
)
# Statuses with which a provider says that it has no such route, or model; its others may be well.
NOT_SERVED = frozenset({404, 405, 501})
# Statuses with which a provider says that it has too much to do; 529 is Anthropic's.
BUSY = frozenset({429, 503, 529})
RETRY_SECONDS = re.compile(r"[0-9]{1,20}\Z")
BUSY_SECONDS = 5  # where it does not say for how long
PORTS = {"http": (False, 80), "https": (True, 443)}


def post(
    target: Target, path: str, body: bytes, headers: Mapping[str, str], call: Call, seconds: float
) -> Answer:
    """Send a completion and wait for the answer's headers; the caller must close the answer.

    It should begin within `seconds`. Raises UpstreamFailure; a status other than 2xx is one.
    """
    call.first_byte_by = time.monotonic() + seconds
    answer = _sent(target, path, {**request_headers(target), **headers}, body, call)
    if answer.status != 200 and not 200 < answer.status < 204:
        raise _refusal(answer, target, call)
    return answer


def _sent(target: Target, path: str, headers: Mapping[str, str], body: bytes, call: Call) -> Answer:
    try:
        address, where, host = locate(target.url)
        fields = {"Host": host, **headers, "Content-Length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"POST {where}{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
        return client.send(address, request, call, connect_seconds=target.connect)
    except (OSError, ValueError) as error:
        raise failure_of(error) from error


@lru_cache(maxsize=1000)
def locate(url: str) -> tuple[Address, str, str]:
    """Where to connect for a base URL, the path before ours there, and the Host header. Raises NotReachableError."""
    try:
        parts = urlsplit(url)
        is_secure, port = PORTS[parts.scheme]
        host = str(parts.hostname)
        host = host if host.isascii() else host.encode("idna").decode()
        address = Address(host, port if parts.port is None else parts.port, is_secure)
    except (ValueError, KeyError) as error:  # KeyError: of a scheme that is none of ours
        raise NotReachableError(
            "the base URL is not an address"
        ) from error  # which may hold a password
    if not parts.hostname:
        raise NotReachableError("the base URL names no host")
    named = f"[{host}]" if ":" in host else host
    where = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return address, where, named if parts.port is None else f"{named}:{parts.port}"


def request_headers(target: Target) -> dict[str, str]:
    """Raises UpstreamUnavailable, if the key is none that can be sent."""
    if (problem := target.problem) is not None:
        raise UpstreamUnavailable(_("The provider is not available."), detail=problem)
    key = target.key
    named = (
        {"Authorization": f"Bearer {key}"}
        if target.key_header == KeyHeader.BEARER
        else {target.key_header: key}
    )
    return {
        **(named if key else {}),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "SmartSpec",
    }


def failure_of(error: Exception) -> UpstreamFailure:
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


def _refusal(answer: Answer, target: Target, call: Call) -> UpstreamFailure:
    """A status that brings no answer: the caller's fault passes through, our account's troubles do not."""
    until = call.first_byte_by = time.monotonic() + ERROR_SECONDS
    try:
        raw = _body(answer, call, wait=ERROR_SECONDS, until=until, most=ERROR_BYTES)
    except (OSError, ValueError, UpstreamTimeout):
        raw = b""
    finally:
        call.finish()
        answer.close()  # whatever its body does, nobody else is answered with it
    detail = f"{answer.status} {raw[:2000]!r}"
    said = _error(raw)
    if answer.status in CALLERS_FAULT and not _is_ours(said):
        return _rejected(answer.status, said, target)
    if answer.status in BUSY:
        wait = _retry_after(answer)
        message = _("The provider is busy. Try again in a moment.")
        failure: UpstreamFailure = UpstreamUnavailable(
            message, detail=detail, retry_after=wait or BUSY_SECONDS, cool_seconds=wait
        )
    else:
        failure = UpstreamError(
            _("The provider failed. Nothing was charged. Try again."), detail=detail
        )
        failure.tells_of_health = answer.status not in NOT_SERVED
    failure.answered = answer.status
    return failure


def _retry_after(answer: Answer) -> int | None:
    """The seconds that Retry-After says (RFC 9110 §10.2.3), at most LLM_COOL_MAX_SECONDS; None for nothing it says."""
    said = answer.headers.get("retry-after", "")
    try:
        seconds = (
            float(said)
            if RETRY_SECONDS.match(said)
            else parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(ceil(seconds), 0), settings.LLM_COOL_MAX_SECONDS) or None


def _error(raw: bytes) -> dict[str, Any]:
    """The error object of OpenAI's envelope, or what there is instead."""
    body = lenient_json.decode(raw)
    error = body.get("error", body) if isinstance(body, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _is_ours(said: dict[str, Any]) -> bool:
    """Whether an error is about what the caller has no part in: which model we name, with which key, and who pays."""
    codes = {str(said.get(name)).lower() for name in ("code", "type", "status")}
    words = _string(said, "message") or ""
    return (
        said.get("param") == "model"
        or bool(codes & OUR_CODES)
        or OUR_WORDS.search(words) is not None
    )


def _rejected(status: int, said: dict[str, Any], target: Target) -> UpstreamRejected:
    message, code, param = (
        text(target.without_key(_string(said, *names) or ""), most)
        for names, most in ((("message",), 2000), (("code", "type"), 100), (("param",), 200))
    )
    return UpstreamRejected(
        message or _("The provider refused this request."),
        status=status,
        code=code or InvalidRequest.code,
        param=param or None,
    )


def _string(said: dict[str, Any], *names: str) -> str | None:
    return next((said[name] for name in names if isinstance(said.get(name), str)), None)


def read_json(
    answer: Answer, is_answer: Callable[[dict[str, Any]], bool], call: Call, idle_seconds: float
) -> dict[str, Any]:
    """The whole answer as one JSON object, at most LLM_MAX_ANSWER_BYTES. Closes it. Raises UpstreamFailure."""
    until = time.monotonic() + settings.LLM_COMPLETION_SECONDS
    try:
        raw = _body(
            answer, call, wait=idle_seconds, until=until, most=settings.LLM_MAX_ANSWER_BYTES
        )
    except (OSError, ValueError) as error:
        raise failure_of(error) from error
    finally:
        call.finish()
        answer.release()
    said = lenient_json.decode(raw)
    if not isinstance(said, dict) or said.get("error") or not is_answer(said):
        raise UpstreamError(
            _("The provider failed. Nothing was charged. Try again."), detail=repr(raw[:2000])
        )
    return said


def _body(answer: Answer, call: Call, *, wait: float, until: float, most: int) -> bytes:
    """The body, bounded in bytes and in time; empty if it is too large. Its first byte has the time of the headers."""
    body, patience = bytearray(), max(call.left, wait)
    while chunk := _piece(answer, patience, until):
        patience = wait
        body += chunk
        if len(body) > most:
            return b""
    return bytes(body)


def _piece(answer: Answer, patience: float, until: float) -> bytes:
    try:
        return answer.read(patience, until)
    except TimeoutError as error:
        if time.monotonic() < until:
            raise
        raise UpstreamTimeout(
            _("The answer took too long."), detail="completion deadline"
        ) from error
