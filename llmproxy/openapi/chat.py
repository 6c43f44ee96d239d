"""How the gateway's routes look in the OpenAPI document. They are plain views, so it is all written here."""

from accounts.toolbox import headers
from accounts.toolbox.openapi import (
    BEARER,
    ENVELOPE,
    EVENTS,
    JSON,
    SESSION,
    SESSION_WITH_CSRF,
    ErrorAnswers,
    Node,
    build_request_header,
    build_response,
    build_response_headers,
    header,
    integer,
    parameter,
    record,
    ref,
    string,
)
from llmproxy.openapi.receipt import GENERATION_ID, PRICES, RECEIPT
from llmproxy.routes import chat, kinds
from llmproxy.routes.parameters import Parameters

GATEWAY = ErrorAnswers(
    "Error",
    {
        **ENVELOPE.meanings,
        400: "Malformed, or the provider refused a parameter.",
        401: "`invalid_token`: no credentials, or they are unknown, expired or revoked.",
        403: "`insufficient_scope`, `user_not_found` or `csrf_failed`.",
        404: "`model_not_found`: it does not exist or is not in the caller's plan.",
        413: "`request_too_large`, here or at the provider.",
        415: "The provider does not take this kind of content.",
        422: "The provider cannot process this request.",
        429: "`rate_limit_exceeded`: requests, tokens, or completions at the same time.",
        502: "`upstream_error`: the provider failed. Nothing was charged.",
        503: "`upstream_unavailable`, or the database is away. Nothing was charged.",
        504: "`upstream_timeout`: the provider did not answer in time. Nothing was charged.",
    },
)
CHAT_STATUSES = (400, 401, 403, 404, 413, 415, 422, 429, 502, 503, 504)

TRACE = build_response_headers(headers.REQUEST_ID, headers.TRACE_ID)
ADMITTED = build_response_headers(
    *headers.RATE_LIMITS,
    headers.GENERATION_ID,
    headers.CLAMPED_BY_CREDITS,
    headers.CLAMPED_BY_MODEL,
    headers.CLAMPED_THINKING,
)
CHARGED = build_response_headers(headers.CREDITS_USED, headers.CREDITS_REMAINING)
CREDITS = record({"used": integer(minimum=0), "remaining": {"type": ["integer", "null"]}})
BILL = {"used": 1, "remaining": 99}


def request(parameters: Parameters, description: str, example: Node) -> Node:
    """The body of a route, from its table of parameters."""
    properties = {parameter.name: parameter.schema() for parameter in parameters.described}
    optional = [parameter.name for parameter in parameters.described if not parameter.is_required]
    return record(properties, optional=optional, description=description, examples=[example])


CHAT_REQUEST = request(
    chat.PARAMETERS,
    "OpenAI's parameters; those not named here go to the provider as they are, and others nowhere.",
    {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50},
)
COMPLETION = record(
    {
        "id": string("The provider's."),
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": record(
            {
                name: integer(minimum=0)
                for name in ("prompt_tokens", "completion_tokens", "total_tokens")
            }
        ),
        "_credits": CREDITS,
    },
    optional=["id", "choices", "usage"],
    description="The provider's answer and the bill.",
    examples=[
        {
            "id": "chatcmpl-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "Hello!"},
                }
            ],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
            "_credits": BILL,
        }
    ],
)
MODEL = record(
    {
        "id": string("What a request calls it."),
        "object": string(enum=["model"]),
        "created": integer("Unix time."),
        "owned_by": string("The provider's slug."),
        "max_output_tokens": integer(minimum=1),
        "credits_per_1k_tokens": record(
            {name: {"type": "number", "minimum": 0} for name in PRICES}
        ),
    }
)
OUT_OF_CREDITS_FACTS = record(
    {
        "error": record(
            {
                "credits_required": integer(),
                "credits_available": integer(),
                "affordable_tokens": integer(
                    "The longest answer that the balance or budget covers.", minimum=0
                ),
                "top_up_url": string("Where to buy credits, or to raise the budget.", format="uri"),
                "budget": ref("Budget"),
            },
            optional=["budget"],
        )
    }
)
OUT_OF_CREDITS = {"allOf": [ref("Error"), OUT_OF_CREDITS_FACTS]}
SCHEMAS: Node = {
    "ChatMessage": kinds.MESSAGE,
    "ChatRequest": CHAT_REQUEST,
    "ChatCompletion": COMPLETION,
    "Model": MODEL,
    "Generation": RECEIPT,
    "OutOfCredits": OUT_OF_CREDITS,
}

STREAM = """\
Events, of which the schema describes each one:

    data: {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hello!"}}]}

    %s {"used": 1, "remaining": 99}

    data: [DONE]

With `stream_options.include_usage` the bill is in the usage chunk instead, as `_credits`. A failure after the
first byte is an event with `error` in its data, and `[DONE]` comes after it.
"""
CHUNK = {"event": "message", "data": '{"object": "chat.completion.chunk", "choices": []}'}
TRACE_ID, USER_TOKEN = (
    build_request_header(headers.TRACE_ID),
    build_request_header(headers.USER_TOKEN),
)


def completes(
    operation: str,
    summary: str,
    *media: Node,
    said: str = "The answer.",
    asks: str = "ChatRequest",
    errors: ErrorAnswers = GATEWAY,
    refuses: str = "OutOfCredits",
) -> Node:
    """A route that completes; `media` are the contents of its 200, `said` is its description.

    `asks` is the schema of the request, `refuses` that of the 402.
    """
    content = {name: node for kind in media for name, node in kind.items()}
    described = ADMITTED | (CHARGED if JSON in content else {})
    refused = errors.answers(*CHAT_STATUSES)
    refused["402"] = build_response(
        "`insufficient_credits`. Nothing was sent to the provider.", ref(refuses)
    )
    return {
        "post": {
            "operationId": operation,
            "tags": ["gateway"],
            "summary": summary,
            "parameters": [TRACE_ID, USER_TOKEN],
            "requestBody": {"required": True, "content": {JSON: {"schema": ref(asks)}}},
            "security": [BEARER, SESSION_WITH_CSRF],
            "responses": _traced(
                {"200": {"description": said, "content": content, "headers": described}, **refused}
            ),
        }
    }


def _question(operation: str, summary: str, schema: Node, refused: Node, *parameters: Node) -> Node:
    return {
        "get": {
            "operationId": operation,
            "tags": ["gateway"],
            "summary": summary,
            "parameters": [*parameters, TRACE_ID, USER_TOKEN],
            "security": [BEARER, SESSION],
            "responses": _traced({"200": build_response("The answer.", schema), **refused}),
        }
    }


SCOPE = {
    "WWW-Authenticate": header("With `insufficient_scope`: which scope it takes (RFC 6750 §3.1).")
}


def _traced(responses: Node) -> Node:
    return {
        status: response
        | {"headers": response.get("headers", {}) | TRACE | (SCOPE if status == "403" else {})}
        for status, response in sorted(responses.items())
    }


_JSON: Node = {JSON: {"schema": ref("ChatCompletion")}}


def events(*names: str, example: Node = CHUNK) -> Node:
    """A stream of events with these names; `message` is that of an event without one."""
    name = string(enum=list(names)) if names else string("As in `data`.")
    event = record({"event": name, "data": string("JSON, or `[DONE]`.")}, optional=["event"])
    return {EVENTS: {"schema": event, "example": example}}


PATHS: Node = {
    "/v1/chat/completions": completes(
        "chat_completions",
        "Complete a chat: JSON, or events when `stream` is true",
        _JSON,
        events("message"),
        said=STREAM % ": credits",
    ),
    "/api/llm/chat": completes("llm_chat", "Complete a chat: always JSON", _JSON),
    "/api/llm/stream": completes(
        "llm_stream",
        "Complete a chat: always events",
        events("message", "credits", "error"),
        said=STREAM % "event: credits\\n    data:",
    ),
    "/v1/models": _question(
        "models",
        "The models that the caller may use",
        record({"object": string(enum=["list"]), "data": {"type": "array", "items": ref("Model")}}),
        GATEWAY.answers(400, 401, 403, 503),
    ),
    "/v1/models/{name}": _question(
        "model",
        "One of them",
        ref("Model"),
        GATEWAY.answers(400, 401, 403, 404, 503),
        parameter(
            "name",
            "path",
            "Its name, which may hold slashes.",
            string(examples=["smollm2"]),
            required=True,
        ),
    ),
    "/v1/generation": _question(
        "generation",
        "The receipt of one completion of the caller's",
        ref("Generation"),
        GATEWAY.answers(
            400,
            401,
            403,
            503,
            s404="`generation_not_found`: no completion of the caller's has this id.",
        ),
        parameter(
            "id", "query", "An `x-generation-id`.", string(examples=[GENERATION_ID]), required=True
        ),
    ),
}
