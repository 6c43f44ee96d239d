"""One request to the API: who asks, whether it was asked before, what it may say, its answer."""

import base64
import binascii
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import stripe

from smartspec.local.fake_stripe import clockwork, routes
from smartspec.local.fake_stripe.memory import answers, idempotency
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.faults import Fault
from smartspec.local.fake_stripe.memory.idempotency import Kept
from smartspec.local.fake_stripe.memory.state import Asked, State
from smartspec.local.fake_stripe.wire import shapes, versions
from smartspec.local.fake_stripe.wire.forms import parse_form
from smartspec.local.fake_stripe.wire.refusals import (
    Broken,
    InvalidRequest,
    Refusal,
    TooManyRequests,
    Unauthorized,
)

Json = dict[str, Any]
SECRET = re.compile(r"(?:sk|rk)_(test|live)_[A-Za-z0-9_]{4,250}")


class Dropped(Exception):
    """The connection ends without an answer."""


@dataclass(frozen=True)
class Request:
    """An HTTP request; the names of `headers` are lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Job:
    """A request whose key, address and form are right; `name` is that of its idempotency key."""

    state: State
    route: routes.Route
    ids: tuple[str, ...]
    params: Json
    livemode: bool
    asked: Asked
    fault: Fault
    name: str | None
    digest: str


def answer_request(state: State, request: Request) -> Answer:
    """Answer an API request as Stripe does. Raises Dropped if a fault wants no answer."""
    with state.lock:
        asked = Asked(state.make_id("req", 14), request.headers.get("idempotency-key"))
        fault = state.faults.take(request.method, request.path)
    if fault.kind == "drop_before":
        raise Dropped
    try:
        kept, was_kept = _answer(_read_job(state, request, asked, fault))
    except Refusal as refusal:
        kept, was_kept = _describe(refusal, asked), False
    if fault.kind == "drop_after":
        raise Dropped
    return _build_answer(request, kept, asked, was_kept=was_kept)


def _read_job(state: State, request: Request, asked: Asked, fault: Fault) -> Job:
    livemode = read_key(state, request.headers)
    if fault.kind == "rate_limit":
        raise TooManyRequests("Request rate limit exceeded.", code="rate_limit")
    route, ids = routes.find_route(request.method, request.path)
    params = versions.update_names(
        parse_form(_read_parameters(request)),
        route.params,
        version=request.headers.get("stripe-version"),
    )
    key = asked.idempotency_key if request.method == "POST" else None
    name = f"{'live' if livemode else 'test'}:{key}" if key else None
    digest = idempotency.digest_parameters(request.method, request.path, params)
    return Job(state, route, ids, params, livemode, asked, fault, name, digest)


def _answer(job: Job) -> tuple[Kept, bool]:
    """Return the answer, and whether it was given before under the same key."""
    if job.name is None:
        return _execute(job), False
    with job.state.lock:
        if before := idempotency.open_key(job.state, job.name, job.digest):
            return before, True
    try:
        return _execute(job), False
    finally:
        with job.state.lock:
            job.state.busy_keys.discard(job.name)


def _execute(job: Job) -> Kept:
    """Check the parameters, do what is asked, and return the answer as it goes out.

    What changed and the answer under the key are saved together, so a kill leaves both or neither.
    """
    call = Call(
        job.state,
        shapes.convert(job.params, job.route.params),
        job.ids,
        livemode=job.livemode,
    )
    if job.fault.kind == "delay":
        time.sleep(job.fault.seconds)
    with job.state.lock:
        clockwork.catch_up(job.state)
        kept, is_kept = _act(job, call)
        if job.name and is_kept:
            idempotency.keep_answer(job.state, job.name, job.digest, kept)
        job.state.save()
    if job.fault.kind == "delay_after":
        time.sleep(job.fault.seconds)
    return kept


def _act(job: Job, call: Call) -> tuple[Kept, bool]:
    """Do what is asked; return the answer, and whether a key gives it again."""
    job.state.asked = job.asked
    try:
        if job.fault.kind == "error_before":
            raise Broken("An unknown error occurred.")
        shown = answers.show(call, job.route.act(call))
        if job.fault.kind == "error_after":
            raise Broken("An unknown error occurred.")
        return Kept(200, json.dumps(shown, indent=2), job.asked.id or ""), True
    except Refusal as refusal:
        return _describe(refusal, job.asked), refusal.kept
    finally:
        job.state.asked = Asked()


def read_key(state: State, headers: dict[str, str]) -> bool:
    """Return True for a live key, False for a test key. Raises Unauthorized for any other."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            secret = base64.b64decode(secret).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            secret = ""
    if not secret:
        raise Unauthorized(
            "You did not provide an API key. You need to provide your API key in the"
            " Authorization header, using Bearer auth (e.g. 'Authorization: Bearer"
            " YOUR_SECRET_KEY')."
        )
    match = SECRET.fullmatch(secret.strip())
    if match is None or secret in state.revoked_keys:
        raise Unauthorized(f"Invalid API Key provided: {secret[:8]}{'*' * 8}{secret[-4:]}")
    return match[1] == "live"


def _read_parameters(request: Request) -> str:
    if request.method == "POST":
        try:
            return request.body.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest("Invalid request: the body is not UTF-8.") from error
    return request.query


def _describe(refusal: Refusal, asked: Asked) -> Kept:
    body = json.dumps(refusal.describe(asked.id or ""), indent=2)
    return Kept(refusal.status, body, asked.id or "")


def _build_answer(request: Request, kept: Kept, asked: Asked, *, was_kept: bool) -> Answer:
    headers = {
        "Content-Type": "application/json",
        "Request-Id": asked.id or "",
        "Stripe-Version": request.headers.get("stripe-version", stripe.api_version),
    }
    if asked.idempotency_key and request.method == "POST":
        headers["Idempotency-Key"] = asked.idempotency_key
    if was_kept:
        headers |= {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
    return Answer(kept.status, kept.body.encode(), headers)


def describe_mistake(text: str) -> Answer:
    """Return the answer for a mistake of the fake itself, which is also written to its log."""
    sys.stderr.write(text)
    message = f"The fake Stripe made a mistake: {text.strip().splitlines()[-1]}"
    body = {"error": {"message": message, "type": "api_error"}}
    return Answer(500, json.dumps(body).encode(), {"Content-Type": "application/json"})
