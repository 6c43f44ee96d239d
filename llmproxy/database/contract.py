"""What Python and the two gateway functions in llmproxy/database/sql/ say to each other, as JSON objects.

tests/llmproxy/database/test_contract.py compares these keys with those that the SQL reads and writes.
"""

from typing import Any, Literal, TypedDict, final


class AdmissionRequest(TypedDict):
    """The argument of `gateway_admit`: who calls, what is asked for, and the settings that decide.

    One of `checksum` and `user` is set, or `is_backend`. Durations are in seconds; `price` is the default in credits
    per 1,000 tokens, as a decimal text; `most` and `least` bound a hold in credits.
    """

    checksum: str
    is_key: bool
    user: int | None
    is_backend: bool
    model: str | None
    endpoint: str
    price: str | None
    longest: int
    image_tokens: int
    prompt_bytes: int
    prompt_tokens: int
    images: int
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


class RateState(TypedDict):
    """One limit per minute: what remains of it, `reset` and `retry_after` in seconds, `until` in Unix time."""

    limit: int
    remaining: float
    reset: float
    until: float
    retry_after: float


class Rates(TypedDict):
    """The limits of a user (an empty `credential`), a device or a key; None where there is no limit."""

    credential: str
    requests: RateState | None
    tokens: RateState | None


@final
class AdmissionGranted(TypedDict):
    """The answer of `gateway_admit` if the completion may run. `account` pays: None for the backend's own calls.

    `prices` are decimal texts by the name of the kind (llmproxy/metering/pricing.py).
    """

    account: int | None
    credential: str | None
    name: str | None
    model: str
    prices: dict[str, str]
    targets: list[dict[str, Any]]
    prompt_tokens: int
    certain_tokens: int
    longest: int
    affordable: int | None
    hold: int | None
    held: int | None
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
class RateExceeded(TypedDict):
    """`refused` are the limits of which one is used up; `name` is that of the device or key."""

    refusal: Literal["too_many_requests", "too_many_tokens"]
    refused: Rates
    name: str | None
    rates: list[Rates]


@final
class TooManyRunning(TypedDict):
    """The device or key has as many open holds as it may."""

    refusal: Literal["too_many_running"]
    credential: str
    name: str
    limit: int
    rates: list[Rates]


@final
class HoldRefused(TypedDict):
    """The ledger refused the hold. `spent`, `held` and `month` are those of the budget, None without one."""

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
    """The balance would have covered the hold; the monthly budget of the device or key does not."""

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
    """The Idempotency-Key was used before, and there is no answer to give again."""

    refusal: Literal["other_request", "still_running", "answered_once"]
    generation_id: str
    answer: str
    bill: tuple[int, int | None] | None
    rates: list[Rates]


@final
class Answered(TypedDict):
    """The first answer to this Idempotency-Key, encrypted. `bill` is its charge, and the balance after that."""

    refusal: Literal["answered"]
    generation_id: str
    answer: str
    bill: tuple[int, int | None]
    rates: list[Rates]


AdmissionRefused = (
    NotAllowed | RateExceeded | TooManyRunning | HoldRefused | BudgetRefused | Repeated | Answered
)


class CompletionColumns(TypedDict):
    """The columns of `completions` that Python knows, but for the counts of `Usage` and the columns of `Prices`.

    Others are written by `gateway_settle` itself.
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
    route: str
    is_stream: bool
    status: str
    error: str
    finish_reason: str
    usage_source: str
    choices: int
    max_tokens: int
    clamped_max_tokens: int | None
    attempts: list[dict[str, Any]]
    held: int
    cost: int
    first_byte_ms: int | None
    total_ms: int


class UnusedRate(TypedDict):
    """Seconds of a token rate that were counted and not used; negative where more was used. `until` is Unix time."""

    seconds: float
    until: float


class SettlementRequest(CompletionColumns):
    """The argument of `gateway_settle`, which has the counts and prices as well.

    `most` bounds the charge, `unused` is by credential, `answer` is encrypted.
    """

    most: int
    metadata: dict[str, Any]
    unused: dict[str, UnusedRate]
    key: str | None
    answer: str


class Settled(TypedDict):
    """The answer of `gateway_settle`; instead of it null if the completion had ended before. `created` is Unix time."""

    charged: int
    balance_after: int | None
    created: int
