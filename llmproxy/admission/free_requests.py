"""Admits a request that generates nothing and is not charged: it only counts as a request.

The statement is in llmproxy/database/sql/4_free_requests.sql.
"""

from dataclasses import dataclass

import orjson
from django.conf import settings

from accounts.operation import current as operation
from llmproxy import catalogue
from llmproxy.admission import callers, refusals
from llmproxy.admission.admit import (
    choose_model_name,
    describe_media,
    rate_headers,
    repeat_if_broken,
)
from llmproxy.admission.callers import PresentedCaller
from llmproxy.admission.statement_batches import Batches
from llmproxy.database.contract import FreeGranted, FreeRefused, FreeRequest, Rates
from llmproxy.exceptions import GatewayRefusal
from llmproxy.models import Endpoint
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.upstream.targets import Target

_admissions = Batches("gateway_admit_free")


@dataclass(frozen=True, slots=True)
class FreeAdmission:
    """A request that may run. `prompt_tokens` is an estimate of its prompt, with its media."""

    model: str
    targets: list[Target]
    prompt_tokens: int
    rates: list[Rates]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return rate_headers(self.rates)


def admit_free(
    caller: PresentedCaller, request: CompletionRequest, *, endpoint: Endpoint
) -> FreeAdmission:
    """Check the caller, the model and the limit of requests a minute, which counts this request.

    Raises GatewayRefusal.
    """
    question = _build_question(caller, request, endpoint)
    decision = _decide(question, caller)
    if (
        "refusal" in decision
        and decision["refusal"] == "model_not_found"
        and question["model"] in settings.LLM_UPSTREAM_MODELS
    ):
        catalogue.adopt_environment()
        decision = _decide(question, caller)
    if "refusal" in decision:
        raise _build_refusal(decision, question["model"], caller)
    if decision["account"] is not None:
        callers.remember(caller, decision["account"])
    return FreeAdmission(
        decision["model"],
        [Target(**target) for target in decision["targets"]],
        decision["prompt_tokens"],
        decision["rates"],
    )


def _build_question(
    caller: PresentedCaller, request: CompletionRequest, endpoint: Endpoint
) -> FreeRequest:
    price = operation.read_default_price()
    return {
        "checksum": caller.checksum,
        "is_key": caller.is_key,
        "user": caller.user,
        "is_backend": caller.is_backend,
        "model": choose_model_name(request.model),
        "endpoint": endpoint.value,
        "price": None if price is None else str(price),
        "longest": settings.LLM_DEFAULT_MAX_TOKENS,
        "media": describe_media(request),
        "prompt_tokens": request.prompt_tokens,
        "rpm": operation.read_requests_per_minute(),
        "tpm": operation.read_tokens_per_minute(),
        "note_seconds": settings.LAST_USE_SECONDS,
    }


def _decide(question: FreeRequest, caller: PresentedCaller) -> FreeGranted | FreeRefused:
    """Run the statement, again if the connection breaks: then it may count the request twice."""
    argument = orjson.dumps(question).decode()
    decision: FreeGranted | FreeRefused = repeat_if_broken(
        lambda: _admissions.ask(argument, user=caller.account)
    )
    return decision


def _build_refusal(
    decision: FreeRefused, model: str | None, caller: PresentedCaller
) -> GatewayRefusal:
    match decision["refusal"]:
        case "too_many_requests" | "too_many_tokens":
            return refusals.refuse_rate(decision, rate_headers(decision["rates"]))
        case "model_not_found" | "model_without_price" | "route_not_served":
            return refusals.refuse_model(decision["refusal"], model)
        case _:
            return refusals.refuse_caller(decision["refusal"], caller)
