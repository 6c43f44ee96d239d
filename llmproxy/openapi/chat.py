"""The chat, model and receipt routes in the OpenAPI document.

Their views are plain functions, so everything about them is described here.
"""

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
from llmproxy.openapi.receipt import GENERATION_ID, RECEIPT, describe_prices
from llmproxy.routes import kinds
from llmproxy.routes.parameters import Parameters
from llmproxy.routes.tables import chat

GATEWAY = ErrorAnswers(
    "Error",
    {
        **ENVELOPE.meanings,
        400: "Malformed, or the provider refused a parameter.",
        401: "`invalid_token`: no credentials, or they are unknown, expired or revoked.",
        403: "`insufficient_scope`, `user_not_found` or `csrf_failed`.",
        404: "`model_not_found`: it does not exist or is not in the caller's plan.",
        413: "`request_too_large`: the body is too large for this service or the provider.",
        411: "`length_required`: the body is neither chunked nor has a length.",
        415: "The provider does not accept this kind of content, or nobody its coding.",
        422: "The provider cannot process this request.",
        429: "`rate_limit_exceeded`: requests, tokens, or completions at the same time.",
        502: "`upstream_error`: the provider failed. Nothing was charged.",
        503: "`upstream_unavailable`, `server_restarting`, `maintenance`, or no database. Nothing"
        " was charged.",
        504: "`upstream_timeout`: the provider did not answer in time. Nothing was charged.",
    },
)
CHAT_STATUSES = (400, 401, 403, 404, 411, 413, 415, 422, 429, 502, 503, 504)

TRACE = build_response_headers(headers.REQUEST_ID, headers.TRACE_ID)
ADMITTED = build_response_headers(
    *headers.RATE_LIMITS,
    headers.GENERATION_ID,
    headers.CLAMPED_BY_CREDITS,
    headers.CLAMPED_BY_MODEL,
    headers.CLAMPED_THINKING,
    headers.DROPPED_PARAMETERS,
)
CHARGED = build_response_headers(headers.CREDITS_USED, headers.CREDITS_REMAINING)
CREDITS = record({"used": integer(minimum=0), "remaining": {"type": ["integer", "null"]}})
BILL = {"used": 1, "remaining": 99}


def build_request_body(parameters: Parameters, description: str, example: Node) -> Node:
    """Return the schema of a route's request body, from its table of parameters."""
    properties = {parameter.name: parameter.schema() for parameter in parameters.described}
    optional = [parameter.name for parameter in parameters.described if not parameter.is_required]
    return record(properties, optional=optional, description=description, examples=[example])


CHAT_REQUEST = build_request_body(
    chat.PARAMETERS,
    "OpenAI's parameters. Those that are not listed here are forwarded unchanged, or dropped and "
    "named in `x-dropped-parameters` (docs/parameters.md).",
    {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50},
)
COMPLETION = record(
    {
        "id": string("The provider's id of the completion."),
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
        "id": string("The name of the model in a request."),
        "object": string(enum=["model"]),
        "created": integer("Unix time."),
        "owned_by": string("The provider's slug."),
        "max_output_tokens": integer(minimum=1),
        "context_length": {"type": ["integer", "null"], "description": "Tokens; null: unknown."},
        "capabilities": record(
            {
                name: {"type": ["boolean", "null"], "description": "null: unknown."}
                for name in ("images", "audio", "tools")
            }
        ),
        **describe_prices({"type": "number", "minimum": 0}),
    }
)
MODEL_LIST = record(
    {"object": string(enum=["list"]), "data": {"type": "array", "items": ref("Model")}}
)
ANTHROPIC_MODEL = record(
    {
        "type": string(enum=["model"]),
        "id": string("The name of the model in a request."),
        "display_name": string(),
        "created_at": string(format="date-time"),
        "max_tokens": integer("The longest answer.", minimum=1),
        "lifecycle": string(enum=["active"]),
    }
)
ANTHROPIC_MODEL_LIST = record(
    {
        "data": {"type": "array", "items": ref("AnthropicModel")},
        "has_more": {"type": "boolean"},
        "first_id": {"type": ["string", "null"]},
        "last_id": {"type": ["string", "null"]},
    },
    description="The list for requests with `anthropic-version`. It has pages: `limit`, `after_id` "
    "and `before_id`, as in Anthropic's API.",
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
    "AnthropicModel": ANTHROPIC_MODEL,
    "AnthropicModelList": ANTHROPIC_MODEL_LIST,
    "Generation": RECEIPT,
    "OutOfCredits": OUT_OF_CREDITS,
}

STREAM = """\
Server-sent events. The schema describes one event:

    data: {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}

    %s
    data: [DONE]

With `stream_options.include_usage` the bill is in the usage chunk instead, as `_credits`. A failure
after the first byte is an event with only `error` in its data. A chunk whose finish reason is
`error`, and `[DONE]`, follow it.
"""
BILL_AS_COMMENT = ': credits {"used": 1, "remaining": 99}'
BILL_AS_EVENT = 'event: credits\n    data: {"used": 1, "remaining": 99}\n'
CHUNK = {"event": "message", "data": '{"object": "chat.completion.chunk", "choices": []}'}
TRACE_ID, USER_TOKEN = (
    build_request_header(headers.TRACE_ID),
    build_request_header(headers.USER_TOKEN),
)


def build_completion_route(
    operation: str,
    summary: str,
    *media: Node,
    description: str = "The answer.",
    request_schema: str = "ChatRequest",
    errors: ErrorAnswers = GATEWAY,
    refusal_schema: str = "OutOfCredits",
) -> Node:
    """Return the path item of a completion route.

    `media` and `description` belong to the response 200; `refusal_schema` is the name of the schema
    of the response 402.
    """
    content = {name: node for kind in media for name, node in kind.items()}
    described = ADMITTED | (CHARGED if JSON in content else {})
    refused = errors.answers(*CHAT_STATUSES)
    refused["402"] = build_response(
        "`insufficient_credits`. Nothing was sent to the provider.", ref(refusal_schema)
    )
    return {
        "post": {
            "operationId": operation,
            "tags": ["gateway"],
            "summary": summary,
            "parameters": [TRACE_ID, USER_TOKEN],
            "requestBody": {"required": True, "content": {JSON: {"schema": ref(request_schema)}}},
            "security": [BEARER, SESSION_WITH_CSRF],
            "responses": _add_trace_headers(
                {
                    "200": {"description": description, "content": content, "headers": described},
                    **refused,
                }
            ),
        }
    }


def _build_get_route(
    operation: str, summary: str, schema: Node, refused: Node, *parameters: Node
) -> Node:
    return {
        "get": {
            "operationId": operation,
            "tags": ["gateway"],
            "summary": summary,
            "parameters": [*parameters, TRACE_ID, USER_TOKEN],
            "security": [BEARER, SESSION],
            "responses": _add_trace_headers(
                {"200": build_response("The answer.", schema), **refused}
            ),
        }
    }


SCOPE = {
    "WWW-Authenticate": header("With `insufficient_scope`: the required scope (RFC 6750 §3.1).")
}


def _add_trace_headers(responses: Node) -> Node:
    return {
        status: response
        | {"headers": response.get("headers", {}) | TRACE | (SCOPE if status == "403" else {})}
        for status, response in sorted(responses.items())
    }


_JSON: Node = {JSON: {"schema": ref("ChatCompletion")}}


def build_events(*names: str, example: Node = CHUNK) -> Node:
    """Return the content of a stream of events with these names.

    `message` is the name of an event that has no `event` field.
    """
    name = string(enum=list(names)) if names else string("The same as `type` in `data`.")
    event = record({"event": name, "data": string("JSON, or `[DONE]`.")}, optional=["event"])
    return {EVENTS: {"schema": event, "example": example}}


PATHS: Node = {
    "/v1/chat/completions": build_completion_route(
        "chat_completions",
        "Complete a chat: JSON, or events when `stream` is true",
        _JSON,
        build_events("message"),
        description=STREAM % BILL_AS_COMMENT,
    ),
    "/api/llm/chat": build_completion_route("llm_chat", "Complete a chat: always JSON", _JSON),
    "/api/llm/stream": build_completion_route(
        "llm_stream",
        "Complete a chat: always events",
        build_events("message", "credits", "error"),
        description=STREAM % BILL_AS_EVENT,
    ),
    "/v1/models": _build_get_route(
        "models",
        "The models that the caller may use",
        {"anyOf": [MODEL_LIST, ref("AnthropicModelList")]},
        GATEWAY.answers(400, 401, 403, 503),
    ),
    "/v1/models/{name}": _build_get_route(
        "model",
        "One model",
        {"anyOf": [ref("Model"), ref("AnthropicModel")]},
        GATEWAY.answers(400, 401, 403, 404, 503),
        parameter(
            "name",
            "path",
            "The name of the model, which may contain slashes.",
            string(examples=["smollm2"]),
            required=True,
        ),
    ),
    "/v1/generation": _build_get_route(
        "generation",
        "The receipt of one of the caller's completions",
        ref("Generation"),
        GATEWAY.answers(
            400,
            401,
            403,
            503,
            s404="`generation_not_found`: the caller has no completion with this id.",
        ),
        parameter(
            "id", "query", "An `x-generation-id`.", string(examples=[GENERATION_ID]), required=True
        ),
    ),
}
