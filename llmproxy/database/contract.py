"""The JSON objects that Python and the two functions in llmproxy/database/sql/ exchange.

tests/llmproxy/database/test_contract.py compares these keys with those that the SQL reads and
writes.
"""

from typing import Any, Literal, TypedDict, final


class AdmissionRequest(TypedDict):
    """The argument of `gateway_admit`: the caller, the request, and the settings that decide.

    Exactly one of `checksum`, `user` and `is_backend` is set. Durations are in seconds. `price` is
    the default price in credits per 1,000 tokens, as decimal text. `media` is what the prompt has
    besides text (llmproxy/metering/media.py). A hold is from `least` to `most`
    credits. `needs` are what the model has to be able to do (llmproxy/admission/needs.py), and
    `certain_tokens` the tokens that the prompt has at least.
    """

    checksum: str
    is_key: bool
    user: int | None
    is_backend: bool
    model: str | None
    endpoint: str
    price: str | None
    longest: int
    prompt_bytes: int
    prompt_tokens: int
    media: list[dict[str, Any]] | None
    writes_1h: bool
    choices: int
    max_tokens: int | None
    least_tokens: int
    rpm: int | None
    tpm: int | None
    max_open: int
    least: int
    most: int
    reference: str
    seconds: int
    key: str | None
    digest: str | None
    key_seconds: int
    note_seconds: int
    first_byte_seconds: int
    completion_seconds: int
    needs: list[str] | None
    certain_tokens: int


class RateState(TypedDict):
    """The state of one limit per minute.

    `reset` and `retry_after` are in seconds from now, `until` is Unix time in seconds.
    """

    limit: int
    remaining: float
    reset: float
    until: float
    retry_after: float


class Rates(TypedDict):
    """The limits of a user (empty `credential`), a device or a key; None stands for no limit."""

    credential: str
    requests: RateState | None
    tokens: RateState | None


@final
class AdmissionGranted(TypedDict):
    """The result of `gateway_admit` if the completion may run.

    `account` is the id of the user who pays, None for the backend's own calls. `prices` maps the
    names of the price kinds that have columns (llmproxy/metering/price_kinds.py) to credits per
    1,000 tokens, as decimal text. `extras` has all others, like `completions.extras`.
    """

    account: int | None
    credential: str | None
    name: str | None
    model: str
    prices: dict[str, str]
    extras: dict[str, Any] | None
    targets: list[dict[str, Any]]
    prompt_tokens: int
    certain_tokens: int
    longest: int
    affordable: int | None
    hold: int | None
    held: int | None
    rates: list[Rates]


class FreeRequest(TypedDict):
    """The argument of `gateway_admit_free`: a part of that of `gateway_admit`."""

    checksum: str
    is_key: bool
    user: int | None
    is_backend: bool
    model: str | None
    endpoint: str
    price: str | None
    longest: int
    media: list[dict[str, Any]] | None
    prompt_tokens: int
    rpm: int | None
    tpm: int | None
    note_seconds: int


@final
class FreeGranted(TypedDict):
    """The result of `gateway_admit_free` if the request may run.

    `prompt_tokens` is a cautious estimate that includes the media.
    """

    account: int | None
    model: str
    targets: list[dict[str, Any]]
    prompt_tokens: int
    rates: list[Rates]


@final
class NotAllowed(TypedDict):
    """The caller is unknown, or may not use this model on this route."""

    refusal: Literal[
        "invalid_token",
        "insufficient_scope",
        "unknown_account",
        "model_not_found",
        "model_without_price",
        "route_not_served",
    ]


@final
class ModelLacks(TypedDict):
    """The model cannot do what the request needs, or its context is too short for it."""

    refusal: Literal["model_lacks"]
    model: str
    lack: Literal["context", "images", "audio", "tools"]
    context_tokens: int | None


@final
class RateExceeded(TypedDict):
    """A limit per minute is used up: it is in `refused`. `name` is that of the device or key."""

    refusal: Literal["too_many_requests", "too_many_tokens"]
    refused: Rates
    name: str | None
    rates: list[Rates]


@final
class TooManyRunning(TypedDict):
    """The device or key has reached its limit of open holds."""

    refusal: Literal["too_many_running"]
    credential: str
    name: str
    limit: int
    rates: list[Rates]


@final
class HoldRefused(TypedDict):
    """The ledger refused the hold.

    `spent`, `held` and `month` belong to the budget, and are None without one.
    """

    refusal: Literal["insufficient_credits", "too_many_holds"]
    required: int
    available: int
    affordable_tokens: int | None
    credential: str
    name: str | None
    budget: int | None
    spent: int | None
    held: int | None
    month: str | None
    limit: int
    rates: list[Rates]


@final
class BudgetRefused(TypedDict):
    """The balance covers the hold, but the monthly budget of the device or key does not."""

    refusal: Literal["budget_used_up"]
    required: int
    available: int
    affordable_tokens: int | None
    credential: str
    name: str
    budget: int
    spent: int
    held: int
    month: str
    limit: int
    rates: list[Rates]


@final
class Repeated(TypedDict):
    """The Idempotency-Key was used before, and there is no answer to return again."""

    refusal: Literal["other_request", "still_running", "answered_once"]
    generation_id: str
    answer: str
    bill: tuple[int, int | None] | None
    rates: list[Rates]


@final
class Answered(TypedDict):
    """The Idempotency-Key has an answer, which is encrypted.

    `bill` is the charge and the balance after it, in credits.
    """

    refusal: Literal["answered"]
    generation_id: str
    answer: str
    bill: tuple[int, int | None]
    rates: list[Rates]


AdmissionRefused = (
    NotAllowed
    | ModelLacks
    | RateExceeded
    | TooManyRunning
    | HoldRefused
    | BudgetRefused
    | Repeated
    | Answered
)


FreeRefused = NotAllowed | RateExceeded


class ProviderCost(TypedDict):
    """What a completion costs at the provider: US dollars, or None if that is not known.

    `provider_cost_source` is a Completion.CostSource, None without a cost.
    """

    provider_cost: float | str | None
    provider_cost_source: str | None


class CompletionColumns(ProviderCost):
    """The columns of `completions` that Python computes, besides those of counts and prices.

    `gateway_settle` itself computes the other columns.
    """

    generation_id: str
    user_id: int | None
    credential: str
    credential_name: str
    hold_id: int | None
    provider: str
    model: str
    upstream_id: str
    trace_id: str
    request_id: str
    route: str
    is_stream: bool
    status: str
    error: str
    finish_reason: str
    usage_source: str
    choices: int
    max_tokens: int
    clamped_max_tokens: int | None
    extras: dict[str, Any] | None
    attempts: list[dict[str, Any]]
    dropped_parameters: list[str] | None
    held: int
    cost: int
    first_byte_ms: int | None
    total_ms: int


class UnusedRate(TypedDict):
    """The unused part of a token rate, in seconds; negative if more was used than counted.

    `until` is Unix time in seconds.
    """

    seconds: float
    until: float


class SettlementRequest(CompletionColumns):
    """The argument of `gateway_settle`, together with counts and prices.

    `most` is the largest charge in credits; a balance below `least` is used up. The keys of
    `unused` are credentials, and `answer` is encrypted.
    """

    most: int
    least: int
    metadata: dict[str, Any]
    unused: dict[str, UnusedRate]
    key: str | None
    answer: str


# What replaces the provider's texts in a SettlementRequest if PostgreSQL cannot store one of them.
WITHOUT_TEXTS: dict[str, Any] = {
    "upstream_id": "",
    "finish_reason": "",
    "error": "unreadable",
    "attempts": [],
    "answer": "",
}


class Settled(TypedDict):
    """The result of `gateway_settle`, which is null if the completion was settled before.

    `created` is Unix time in seconds.
    """

    charged: int
    balance_after: int | None
    created: int
