"""Converts the refusals of the admitting statement into the exceptions that the caller gets."""

from datetime import date
from typing import Any, Literal

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.access.authentication import InvalidKey, InvalidToken
from credits import budgets
from credits.exceptions import BudgetUsage
from llmproxy import catalogue
from llmproxy.admission import idempotency, needs
from llmproxy.admission.callers import PresentedCaller, insufficient_scope
from llmproxy.database.contract import (
    AdmissionRefused,
    AdmissionRequest,
    Answered,
    BudgetRefused,
    HoldRefused,
    RateExceeded,
    Repeated,
    TooManyRunning,
)
from llmproxy.exceptions import (
    GatewayRefusal,
    IdempotencyConflict,
    InvalidRequest,
    OutOfCredits,
    RateLimited,
    Replayed,
    Unauthorized,
    UserNotFound,
)
from llmproxy.routes.request_body import LEAST_THINKING

RateKind = Literal["requests", "tokens"]


def build_refusal(  # noqa: C901 – one line each
    decision: AdmissionRefused,
    question: AdmissionRequest,
    caller: PresentedCaller,
    rate_headers: dict[str, str],
) -> GatewayRefusal:
    """Return the exception for the refusal `decision`, the statement's result for `question`.

    `rate_headers` are those of the caller's limits; only some refusals have them.
    """
    match decision["refusal"]:
        case "invalid_token" | "unknown_account" | "insufficient_scope":
            return refuse_caller(decision["refusal"], caller)
        case "model_not_found" | "model_without_price" | "route_not_served":
            return refuse_model(decision["refusal"], question["model"])
        case "model_lacks":
            return needs.refuse(decision)
        case "too_many_requests" | "too_many_tokens":
            return refuse_rate(decision, rate_headers)
        case "too_many_running" | "too_many_holds":
            return _refuse_running(decision, rate_headers)
        case "insufficient_credits":
            return _refuse_credits(decision, _explain_least(question))
        case "budget_used_up":
            return _refuse_budget(decision, _explain_least(question))
        case "answered":
            return _repeat_answer(decision, rate_headers)
        case "other_request" | "still_running" | "answered_once":
            return _refuse_repetition(decision["refusal"], decision, rate_headers)


def refuse_caller(refusal: str, caller: PresentedCaller) -> GatewayRefusal:
    """Return the exception for a token or key that is unknown, or lacks the scope."""
    if refusal == "insufficient_scope":
        return insufficient_scope()
    words = (InvalidKey if caller.like_a_key else InvalidToken)().description
    return UserNotFound(words) if caller.speaks_for else Unauthorized(words)


def refuse_model(refusal: str, model: str | None) -> GatewayRefusal:
    """Return the exception for a model that does not exist, or that this route does not serve."""
    if refusal != "route_not_served":
        return catalogue.build_not_found(model)
    words = _("The model %(name)s is not available on this route.") % {"name": model}
    return InvalidRequest(words, param="model")


def refuse_rate(decision: RateExceeded, rate_headers: dict[str, str]) -> RateLimited:
    """Return the exception for a limit per minute that is used up."""
    kind: RateKind = "requests" if decision["refusal"] == "too_many_requests" else "tokens"
    refused = decision["refused"]
    limit = refused[kind]
    assert limit is not None  # this limit is the reason of the refusal  # noqa: S101
    words = {
        "requests": (
            _("Too many requests: your plan allows %(limit)d per minute."),
            _("Too many requests: “%(name)s” is allowed %(limit)d per minute."),
        ),
        "tokens": (
            _("Too many tokens: your plan allows %(limit)d per minute."),
            _("Too many tokens: “%(name)s” is allowed %(limit)d per minute."),
        ),
    }[kind][bool(refused["credential"])]
    return RateLimited(
        words % {"limit": limit["limit"], "name": decision["name"]},
        retry_after=int(limit["retry_after"]),
        headers=rate_headers,
    )


def _refuse_running(
    decision: TooManyRunning | HoldRefused, rate_headers: dict[str, str]
) -> RateLimited:
    words = (
        _("“%(name)s” is allowed %(limit)d completions at the same time.")
        if decision["refusal"] == "too_many_running"
        else _("Your plan allows %(limit)d completions at the same time.")
    )
    return RateLimited(
        words % {"name": decision["name"], "limit": decision["limit"]},
        retry_after=1,
        headers=rate_headers,
    )


def _explain_least(question: AdmissionRequest) -> str:
    """Return the sentence that says why an answer cannot be shorter; empty if it can."""
    least = question["least_tokens"]
    if least <= 1:
        return ""
    words = (
        _("The provider does not accept a limit below %(tokens)d tokens.")
        if least <= LEAST_THINKING
        else _(
            "An answer with thinking needs at least %(tokens)d tokens. Switch thinking off to "
            "get a shorter answer."
        )
    )
    return " " + words % {"tokens": least}


def _build_facts(decision: HoldRefused | BudgetRefused, page: str) -> dict[str, Any]:
    """Return the facts of the refusal for programs; `page` is the URL that a person opens."""
    return {
        "credits_required": decision["required"],
        "credits_available": decision["available"],
        "affordable_tokens": decision["affordable_tokens"] or 0,
        "top_up_url": page,
    }


def _refuse_credits(decision: HoldRefused, why: str) -> OutOfCredits:
    words = _(
        "Not enough credits: this request needs at least %(required)d, and %(available)d "
        "are available."
    ) % {
        "required": decision["required"],
        "available": decision["available"],
    }
    page = f"{settings.PUBLIC_ORIGIN}/account/credits"
    return OutOfCredits(
        words + why + " " + _("Get more credits: %(page)s") % {"page": page},
        **_build_facts(decision, page),
    )


def _refuse_budget(decision: BudgetRefused, why: str) -> OutOfCredits:
    """Refuse with a link to the budget's page, because buying credits would not help."""
    kind = decision["credential"].partition(":")[0]
    page = f"{settings.PUBLIC_ORIGIN}/account/{kind}s"
    usage = BudgetUsage(
        decision["budget"],
        decision["held"],
        decision["spent"],
        date.fromisoformat(decision["month"]),
    )
    used_up = (
        _(
            "The monthly budget of your API key “%(name)s” is used up. Credits left: %(left)d of "
            "%(limit)d."
        )
        if kind == "key"
        else _(
            "The monthly budget of your device “%(name)s” is used up. Credits left: %(left)d of "
            "%(limit)d."
        )
    ) % {"name": decision["name"], "left": usage.left, "limit": usage.limit}
    return OutOfCredits(
        used_up + why + " " + _("Raise the budget at %(page)s.") % {"page": page},
        **_build_facts(decision, page),
        budget=budgets.render_budget(usage),
    )


def _repeat_answer(decision: Answered, rate_headers: dict[str, str]) -> GatewayRefusal:
    """Return the first answer again; a conflict if it can no longer be decrypted."""
    answer = idempotency.opened(decision["answer"])
    if answer is None:
        return _refuse_repetition("answered_once", decision, rate_headers)
    return Replayed(answer, decision["generation_id"], *decision["bill"], headers=rate_headers)


def _refuse_repetition(
    refusal: str, decision: Repeated | Answered, rate_headers: dict[str, str]
) -> IdempotencyConflict:
    """Return the conflict that says why this Idempotency-Key has no answer to repeat."""
    words = {
        "other_request": _("This Idempotency-Key has already been used with another request."),
        "still_running": _("The first request with this Idempotency-Key is still running."),
    }.get(
        refusal,
        _("This request has already been answered, and the answer is not stored. See its receipt."),
    )
    return IdempotencyConflict(
        words,
        retry_after=1 if refusal == "still_running" else None,
        headers=rate_headers,
        generation_id=decision["generation_id"],
    )
