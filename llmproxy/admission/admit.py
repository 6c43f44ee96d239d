"""Admits a completion: one statement checks it and holds its credits, before a provider is asked.

The statement is in llmproxy/database/sql/1_admission.sql. Here are its argument and its result.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import Error, connection

from accounts.database.faults import find_fault
from accounts.operation import current as operation
from accounts.toolbox import headers
from accounts.toolbox.diagnosis import request_ids
from credits import ledger
from llmproxy import catalogue
from llmproxy.admission import callers, needs, refusals
from llmproxy.admission.callers import PresentedCaller
from llmproxy.admission.idempotency import Repeatable
from llmproxy.admission.refusals import RateKind
from llmproxy.admission.statement_batches import Batches
from llmproxy.database.contract import AdmissionGranted, AdmissionRefused, AdmissionRequest, Rates
from llmproxy.metering.media import MEDIA
from llmproxy.metering.price_rows import read_granted_prices
from llmproxy.metering.pricing import Prices
from llmproxy.models.choices import is_model_name
from llmproxy.routes.base import Route
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.upstream.targets import Target

T = TypeVar("T")

_admissions = Batches("gateway_admit")
RATE_KINDS: tuple[RateKind, ...] = ("requests", "tokens")
RATE_HEADERS = {
    kind: [headers.rate_limit(fact, kind) for fact in ("limit", "remaining", "reset")]
    for kind in RATE_KINDS
}
RETRY_SECONDS = (
    1  # after one broken connection, the other connections of the pool may be broken too
)


@dataclass(slots=True)
class Admission:
    """A completion that may run: its hold, its prices as of now, and the limit of its answer.

    `certain_tokens` is the most tokens that the prompt can have. `counted_tokens` were counted
    against the rate limits of the caller, whose state is in `rates`.
    """

    route: Route
    path: str
    request: CompletionRequest
    trace_id: str
    request_id: str
    generation_id: str
    repeatable: Repeatable | None
    user: int | None
    credential: str
    credential_name: str
    model: str
    prices: Prices
    targets: list[Target]
    certain_tokens: int
    counted_tokens: int
    max_tokens: int
    clamped: bool  # True if the balance or a budget, not the caller, limits the answer
    model_limit: int | None  # the model's limit of the answer, if the caller asked for more
    hold: int | None
    held: int
    rates: list[Rates]
    passed_headers: dict[str, str]
    started: float = field(default_factory=time.monotonic)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response, whether the completion succeeds or fails."""
        sent = rate_headers(self.rates) | {headers.GENERATION_ID: self.generation_id}
        if self.clamped:
            sent[headers.CLAMPED_BY_CREDITS] = str(self.max_tokens)
        if self.model_limit:
            sent[headers.CLAMPED_BY_MODEL] = str(self.model_limit)
        if (thinking := self.request.thinking_within(self.max_tokens)) < self.request.thinking:
            sent[headers.CLAMPED_THINKING] = str(thinking)
        return sent


def rate_headers(rates: Sequence[Rates]) -> dict[str, str]:
    """The `x-ratelimit-*` headers of OpenAI's API: for each kind the limit that leaves least."""
    sent: dict[str, str] = {}
    for kind, names in RATE_HEADERS.items():
        limits = [limit for scope in rates if (limit := scope[kind])]
        if limits:
            tightest = min(limits, key=lambda limit: limit["remaining"])
            values = (
                str(tightest["limit"]),
                str(int(tightest["remaining"])),
                f"{tightest['reset']:.3f}s",
            )
            sent.update(zip(names, values, strict=True))
    return sent


def admit(
    caller: PresentedCaller,
    request: CompletionRequest,
    *,
    route: Route,
    path: str,
    trace_id: str,
    repeatable: Repeatable | None = None,
    passed_headers: dict[str, str] | None = None,
) -> Admission:
    """Check caller, model and limits, and hold the most that the completion may cost.

    If the balance or budget covers only a shorter answer, the answer is limited: `clamped`.
    Raises GatewayRefusal.
    """
    started, generation_id = time.monotonic(), f"gen_{secrets.token_urlsafe(18)}"
    question = _build_question(caller, request, route, generation_id, repeatable)
    granted = _ask_until_granted(question, caller)
    if granted["account"] is not None:
        callers.remember(caller, granted["account"])
    longest = (
        min(granted["longest"], granted["affordable"])
        if granted["affordable"] is not None
        else granted["longest"]
    )
    return Admission(
        route=route,
        path=path,
        request=request,
        trace_id=trace_id,
        request_id=request_ids.get_request_id(),
        generation_id=generation_id,
        repeatable=repeatable,
        user=granted["account"],
        credential=granted["credential"] or "",
        credential_name=granted["name"] or "",
        model=granted["model"],
        prices=read_granted_prices(granted["prices"], granted["extras"]),
        targets=[Target(**target) for target in granted["targets"]],
        certain_tokens=granted["certain_tokens"],
        counted_tokens=granted["prompt_tokens"] + granted["longest"] * request.choices,
        max_tokens=max(longest, min(granted["longest"], 1)),
        clamped=longest < granted["longest"],
        model_limit=granted["longest"] if granted["longest"] < (request.max_tokens or 0) else None,
        hold=granted["hold"],
        held=granted["held"] or 0,
        rates=granted["rates"],
        passed_headers=passed_headers or {},
        started=started,
    )


def identify_caller(caller: PresentedCaller) -> None:
    """Identify a caller that is not known. Raises Unauthorized, InsufficientScope, UserNotFound."""
    if caller.is_known:
        return
    user, refusal = _look_up(caller)
    if refusal:
        raise refusals.refuse_caller(refusal, caller)
    callers.remember(caller, user)


def _look_up(caller: PresentedCaller) -> tuple[int, str | None]:
    parameters: list[str | int] = [caller.checksum, caller.is_key, settings.LAST_USE_SECONDS]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, refusal FROM gateway_identify(%s, %s, %s)", parameters)
            user, refusal = cursor.fetchone()
            return user, refusal
    finally:
        if not connection.in_atomic_block:
            connection.close()  # a request that waits for a batch must not occupy a connection


def _ask_until_granted(question: AdmissionRequest, caller: PresentedCaller) -> AdmissionGranted:
    """Return what the statement grants. Raises GatewayRefusal.

    A model of LLM_UPSTREAM_MODELS that has no row yet gets one, and the statement runs again.
    """
    decision = _decide(question, caller)
    if (
        "refusal" in decision
        and decision["refusal"] == "model_not_found"
        and question["model"] in settings.LLM_UPSTREAM_MODELS
    ):
        catalogue.adopt_environment()
        decision = _decide(question, caller)
    if "refusal" in decision:
        rates = decision["rates"] if "rates" in decision else []  # noqa: SIM401 – `get` loses the type
        raise refusals.build_refusal(decision, question, caller, rate_headers(rates))
    return decision


def _build_question(
    caller: PresentedCaller,
    request: CompletionRequest,
    route: Route,
    generation_id: str,
    repeatable: Repeatable | None,
) -> AdmissionRequest:
    price = operation.read_default_price()
    return {
        "checksum": caller.checksum,
        "is_key": caller.is_key,
        "user": caller.user,
        "is_backend": caller.is_backend,
        "model": choose_model_name(request.model),
        "endpoint": route.endpoint.value,
        "price": None if price is None else str(price),
        "longest": settings.LLM_DEFAULT_MAX_TOKENS,
        "prompt_bytes": request.most_prompt_tokens,
        "prompt_tokens": request.prompt_tokens,
        "media": describe_media(request),
        "writes_1h": request.writes_1h,
        "choices": request.choices,
        "max_tokens": request.max_tokens,
        "least_tokens": request.least_tokens,
        "rpm": operation.read_requests_per_minute(),
        "tpm": operation.read_tokens_per_minute(),
        "max_open": ledger.MAX_OPEN_HOLDS,
        "least": settings.WEB_LLM_MIN_CREDITS,
        "most": ledger.MAX_AMOUNT,
        "reference": generation_id,
        "seconds": settings.HOLD_SECONDS,
        "key": repeatable.key if repeatable else None,
        "digest": repeatable.digest if repeatable else None,
        "key_seconds": settings.IDEMPOTENCY_SECONDS,
        "note_seconds": settings.LAST_USE_SECONDS,
        "first_byte_seconds": settings.LLM_FIRST_BYTE_SECONDS,
        "completion_seconds": settings.LLM_COMPLETION_SECONDS,
        "needs": needs.list_needs(request),
        "certain_tokens": needs.count_certain_tokens(request, route.endpoint),
    }


def describe_media(request: CompletionRequest) -> list[dict[str, Any]] | None:
    """The media of a request as the statements read them; None if it has none."""
    if request.media is None:
        return None
    return request.media.describe(
        {medium.name: getattr(settings, f"LLM_{medium.name.upper()}_TOKENS") for medium in MEDIA}
    )


def choose_model_name(requested: str | None) -> str | None:
    """The requested model, or the first of LLM_UPSTREAM_MODELS; None stands for the oldest model.

    Raises ModelNotFound for what cannot be the name of a model, without asking the database.
    """
    if requested is None:
        return settings.LLM_UPSTREAM_MODELS[0] if settings.LLM_UPSTREAM_MODELS else None
    if not is_model_name(requested):
        raise catalogue.build_not_found(requested)
    return requested


def _decide(
    question: AdmissionRequest, caller: PresentedCaller
) -> AdmissionGranted | AdmissionRefused:
    """Run the statement, again if the connection breaks: the reference ensures a single hold."""
    argument = orjson.dumps(question).decode()
    return repeat_if_broken(lambda: _ask(argument, caller))


def repeat_if_broken(ask: Callable[[], T]) -> T:
    """Call `ask`, and again if its connection breaks, before or after the commit.

    A fault that a repetition at once does not cure is raised: after a timeout of a lock or of the
    pool, the request has waited long enough.
    """
    until, pause = 0.0, 0.01
    while True:
        try:
            return ask()
        except Error as error:
            fault = find_fault(error)
            until = until or time.monotonic() + RETRY_SECONDS
            if (
                fault is None
                or not fault.repeats
                or time.monotonic() > until
                or connection.in_atomic_block
            ):
                raise
            time.sleep(pause)
            pause *= 2


def _ask(argument: str, caller: PresentedCaller) -> AdmissionGranted | AdmissionRefused:
    decision: AdmissionGranted | AdmissionRefused = _admissions.ask(argument, user=caller.account)
    return decision
