"""Our own request and response headers: the only place that spells them.

Views, the CORS settings and the OpenAPI document read the names here. SENT and RECEIVED say what
each means.
"""

API_KEY = "x-api-key"
CLAMPED_BY_CREDITS = "x-credits-clamped-max-tokens"
CLAMPED_BY_MODEL = "x-model-clamped-max-tokens"
CLAMPED_THINKING = "x-credits-clamped-budget-tokens"
CREDITS_REMAINING = "x-credits-remaining"
CREDITS_USED = "x-credits-used"
GENERATION_ID = "x-generation-id"
IDEMPOTENCY_KEY = "idempotency-key"
IDEMPOTENCY_REPLAYED = "idempotency-replayed"
REQUEST_ID = "x-request-id"
REQUEST_ID_OF_ANTHROPIC = "request-id"
SHOULD_RETRY = "x-should-retry"
TRACE_ID = "x-trace-id"
TRPC_ACCEPT = "trpc-accept"
USER_TOKEN = "x-user-token"  # noqa: S105 – a name

# Between us and the proxies in front of us.
ACCEL_BUFFERING = "x-accel-buffering"
FORWARDED_FOR = "x-forwarded-for"
FORWARDED_PROTO = "x-forwarded-proto"


def rate_limit(fact: str, kind: str) -> str:
    """`fact` is limit, remaining or reset, `kind` is requests or tokens.

    Source: OpenAI API reference, "Rate limits".
    """
    return f"x-ratelimit-{fact}-{kind}"


RATE_LIMITS = {
    rate_limit(fact, kind): meaning.format(kind)
    for kind in ("requests", "tokens")
    for fact, meaning in (
        ("limit", "{} a minute"),
        ("remaining", "{} left now"),
        ("reset", "Until all {} are free again, as `1.500s`"),
    )
}
# Every one of these is visible to pages of other origins (CORS).
SENT = {
    **RATE_LIMITS,
    REQUEST_ID: "Of this request; for questions to us.",
    REQUEST_ID_OF_ANTHROPIC: "The same as `x-request-id`.",
    TRACE_ID: "The caller's, or a new one.",
    GENERATION_ID: "Of the completion; `GET /v1/generation` takes it.",
    CLAMPED_BY_CREDITS: "Only if the balance or a budget limits the answer: to so many tokens.",
    CLAMPED_BY_MODEL: "Only if more was asked for than the model gives: it gives so many tokens.",
    CLAMPED_THINKING: "Only if that leaves less for thinking: so many tokens.",
    CREDITS_USED: "Credits charged.",
    CREDITS_REMAINING: "The balance after that. Absent where nobody is charged.",
    IDEMPOTENCY_REPLAYED: "`true` if this is the first answer to the same key, given again.",
    SHOULD_RETRY: "`false` if OpenAI's and Anthropic's clients are not to repeat the request.",
}
RECEIVED = {
    API_KEY: "A token or API key, as Anthropic's clients send it.",
    IDEMPOTENCY_KEY: "The same key and body again get the first answer, without a charge.",
    TRACE_ID: "Echoed, and passed on to the provider.",
    TRPC_ACCEPT: "`application/jsonl` asks for httpBatchStreamLink's format.",
    USER_TOKEN: "With the backend's own token: that of the user who pays.",
}


def wsgi_name(header: str) -> str:
    """The key of a request header in `request.META`."""
    return "HTTP_" + header.upper().replace("-", "_")
