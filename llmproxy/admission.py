"""May this completion run, and what may it cost? Decided before the provider hears of it."""

import time
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils.translation import gettext as _
from psycopg.errors import LockNotAvailable

from accounts import limits
from accounts.failpoints import failpoint
from accounts.models import Plan, User
from credits import ledger
from credits.exceptions import BudgetUsedUp, InsufficientCredits, TooManyHolds, UnknownAccount
from credits.models import Hold
from llmproxy import catalogue, credentials
from llmproxy.callers import GatewayCaller
from llmproxy.chat_request import ChatRequest
from llmproxy.credentials import Credential
from llmproxy.exceptions import OutOfCredits, RateLimited, Unauthorized
from llmproxy.models import LanguageModel, new_generation_id
from llmproxy.pricing import Prices, Usage


@dataclass(slots=True)
class Admission:
    """A completion that may run: its hold, its prices as of now, and the tokens its answer may have."""

    user: User | None
    credential: Credential
    request: ChatRequest
    model: LanguageModel
    prices: Prices
    max_tokens: int
    hold: Hold | None
    clamped: bool  # the balance or a budget, not the caller, limits the answer
    trace_id: str
    route: str
    headers: dict[str, str]  # of the answer, whatever it will be
    generation_id: str
    started: float = field(default_factory=time.monotonic)


def admit(caller: GatewayCaller, request: ChatRequest, *, trace_id: str, route: str) -> Admission:
    """Check model and rates, hold what the completion may cost.

    A balance or budget that covers a shorter answer gets the shorter answer: `clamped`. Raises ModelNotFound,
    RateLimited, OutOfCredits, Unauthorized.
    """
    model = catalogue.find(request.model, caller.user, caller.only_models)
    prices = model.prices
    max_tokens = min(request.max_tokens or model.output_limit, model.output_limit)
    headers = _take_rates(caller.user, request, max_tokens)
    generation_id = new_generation_id()
    credential = credentials.of(caller.caller) if caller.caller else credentials.NONE
    hold, affordable = None, max_tokens
    if caller.user is not None and caller.charged:
        hold = _hold(caller.user, credential, request, prices, max_tokens, generation_id)
        affordable = prices.affordable_tokens(hold.amount, request.prompt_tokens) // request.choices
    clamped = affordable < max_tokens
    max_tokens = max(min(max_tokens, affordable), 1)
    headers["x-generation-id"] = generation_id
    if clamped:
        headers["x-credits-clamped-max-tokens"] = str(max_tokens)
    return Admission(
        user=caller.user,
        credential=credential,
        request=request,
        model=model,
        prices=prices,
        max_tokens=max_tokens,
        hold=hold,
        clamped=clamped,
        trace_id=trace_id,
        route=route,
        headers=headers,
        generation_id=generation_id,
    )


def _hold(
    user: User, credential: Credential, request: ChatRequest, prices: Prices, max_tokens: int, generation_id: str
) -> Hold:
    floor = 0 if prices.free else max(settings.WEB_LLM_MIN_CREDITS, _cost(prices, request, 1))
    # No text has more tokens than bytes: where the balance allows, the hold is certain to cover the cost.
    certain = prices.cost(Usage(request.prompt_bytes, max_tokens * request.choices))
    wanted = min(max(certain, floor), ledger.MAX_AMOUNT)
    try:
        return _hold_surely(
            user=user,
            amount=wanted,
            at_least=min(floor, wanted),
            reference_id=generation_id,
            seconds=settings.HOLD_SECONDS,
            max_open=user.plan.max_concurrent or ledger.MAX_OPEN_HOLDS,
            credential=credential.id,
            budget=credential.budget,
        )
    except BudgetUsedUp as refusal:
        raise _out_of_budget(refusal, credential, prices, request) from None
    except InsufficientCredits as refusal:
        raise _out_of_credits(refusal, prices, request) from None
    except TooManyHolds as refusal:
        raise RateLimited(refusal.message, retry_after=1) from None
    except UnknownAccount as refusal:
        raise Unauthorized(refusal.message) from None


def _hold_surely(**asked: Any) -> Hold:
    """Hold, also when the connection breaks: whether that was before or after the commit, the reference holds once."""
    failpoint("before-hold")
    try:
        return ledger.hold(**asked)
    except (OperationalError, InterfaceError) as error:
        if connection.in_atomic_block or isinstance(error.__cause__, LockNotAvailable):
            raise  # who has waited for a lock in vain has waited long enough
        connection.close()
        return ledger.hold(**asked)


def _cost(prices: Prices, request: ChatRequest, max_tokens: int) -> int:
    return prices.cost(Usage(request.prompt_tokens, max_tokens * request.choices))


def _out_of_credits(refusal: InsufficientCredits, prices: Prices, request: ChatRequest) -> OutOfCredits:
    return OutOfCredits(
        _("Not enough credits: this needs at least %(required)d, available: %(available)d.")
        % {"required": refusal.required, "available": refusal.available},
        credits_required=refusal.required,
        credits_available=refusal.available,
        affordable_tokens=prices.affordable_tokens(refusal.available, request.prompt_tokens),
        top_up_url=f"{settings.PUBLIC_ORIGIN}/#packages",
    )


def _out_of_budget(refusal: BudgetUsedUp, credential: Credential, prices: Prices, request: ChatRequest) -> OutOfCredits:
    """Buying credits would not help, so what leads on is the page of the budget."""
    usage, page = refusal.usage, f"{settings.PUBLIC_ORIGIN}{credential.page}"
    used_up = (
        _("The monthly budget of your API key “%(name)s” is used up: %(left)d of %(limit)d credits are left.")
        if credential.kind == "key"
        else _("The monthly budget of your device “%(name)s” is used up: %(left)d of %(limit)d credits are left.")
    ) % {"name": credential.name, "left": usage.left, "limit": usage.limit}
    return OutOfCredits(
        used_up + " " + _("Raise it at %(page)s.") % {"page": page},
        credits_required=refusal.required,
        credits_available=refusal.available,
        affordable_tokens=prices.affordable_tokens(refusal.available, request.prompt_tokens),
        top_up_url=page,
        budget={
            "limit": usage.limit,
            "spent": usage.spent,
            "held": usage.held,
            "resets_at": usage.resets_at.isoformat().replace("+00:00", "Z"),
        },
    )


def _take_rates(user: User | None, request: ChatRequest, max_tokens: int) -> dict[str, str]:
    """Count this request; the x-ratelimit headers of its answer. Raises RateLimited."""
    if user is None:
        return {}
    plan: Plan = user.plan
    requests = limits.take(f"llm:{user.pk}:requests", limit=plan.rpm)
    if not requests.allowed:
        raise RateLimited(
            _("Too many requests: your plan allows %(limit)d a minute.") % {"limit": requests.limit},
            retry_after=requests.retry_after,
            headers=limits.headers("requests", requests),
        )
    tokens = limits.take(
        f"llm:{user.pk}:tokens", limit=plan.tpm, cost=request.prompt_tokens + max_tokens * request.choices
    )
    if not tokens.allowed:
        raise RateLimited(
            _("Too many tokens: your plan allows %(limit)d a minute.") % {"limit": tokens.limit},
            retry_after=tokens.retry_after,
            headers=limits.headers("requests", requests) | limits.headers("tokens", tokens),
        )
    return limits.headers("requests", requests) | limits.headers("tokens", tokens)
