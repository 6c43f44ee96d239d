"""The names of our own request and response headers, which no other module repeats.

Views, the CORS settings and the OpenAPI document read the names here. SENT and RECEIVED contain the
meaning of each header, for the OpenAPI document.
"""

API_KEY = "x-api-key"
CLAMPED_BY_CREDITS = "x-credits-clamped-max-tokens"
CLAMPED_BY_MODEL = "x-model-clamped-max-tokens"
CLAMPED_THINKING = "x-credits-clamped-budget-tokens"
CREDITS_REMAINING = "x-credits-remaining"
CREDITS_USED = "x-credits-used"
DROPPED_PARAMETERS = "x-dropped-parameters"
GENERATION_ID = "x-generation-id"
IDEMPOTENCY_KEY = "idempotency-key"
IDEMPOTENCY_REPLAYED = "idempotency-replayed"
REQUEST_ID = "x-request-id"
REQUEST_ID_OF_ANTHROPIC = "request-id"
SHOULD_RETRY = "x-should-retry"
TOKEN_COUNT = "x-token-count"  # noqa: S105 – a name
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
TRACE_ID = "x-trace-id"
TRPC_ACCEPT = "trpc-accept"
USER_TOKEN = "x-user-token"  # noqa: S105 – a name

# Between this service and the proxies in front of it.
ACCEL_BUFFERING = "x-accel-buffering"
FORWARDED_FOR = "x-forwarded-for"
FORWARDED_PROTO = "x-forwarded-proto"


def rate_limit(fact: str, kind: str) -> str:
    """Return a header name; `fact` is limit, remaining or reset, `kind` is requests or tokens.

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
# Response headers. Pages of other origins can read all of them (CORS).
SENT = {
    **RATE_LIMITS,
    REQUEST_ID: "The id of this request, for questions to the operator: it is in the log.",
    REQUEST_ID_OF_ANTHROPIC: "The same as `x-request-id`.",
    TRACE_ID: "The `x-trace-id` of the request, else that of `traceparent`, else a new one.",
    GENERATION_ID: "The id of the completion, for `GET /v1/generation`.",
    CLAMPED_BY_CREDITS: "The limit of the answer in tokens, if the balance or a budget reduced it.",
    CLAMPED_BY_MODEL: "The model's limit of the answer in tokens, if more was requested.",
    CLAMPED_THINKING: "The thinking budget in tokens, if a shorter answer reduced it.",
    DROPPED_PARAMETERS: "What of the request no provider got, separated by commas.",
    CREDITS_USED: "Credits charged.",
    CREDITS_REMAINING: "The balance after the charge. Absent if nobody is charged.",
    IDEMPOTENCY_REPLAYED: "`true` if this is the stored first answer to the same key.",
    TOKEN_COUNT: "`estimated` if no provider has counted the tokens of this prompt.",
    SHOULD_RETRY: "Whether OpenAI's and Anthropic's clients repeat the request: `true` or `false`.",
}
RECEIVED = {
    API_KEY: "A token or API key, as Anthropic's clients send it.",
    IDEMPOTENCY_KEY: "The same key and body again get the first answer, without a charge.",
    TRACEPARENT: "Passed on to the provider with a new parent-id (W3C Trace Context).",
    TRACESTATE: "Passed on to the provider together with `traceparent`.",
    TRACE_ID: "Returned in the response, and forwarded to the provider.",
    TRPC_ACCEPT: "`application/jsonl` asks for httpBatchStreamLink's format.",
    USER_TOKEN: "With the backend's own token: the token of the user who pays.",
}


def wsgi_name(header: str) -> str:
    """Return the key of a request header in `request.META`."""
    return "HTTP_" + header.upper().replace("-", "_")
