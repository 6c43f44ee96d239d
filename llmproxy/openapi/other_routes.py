"""The routes besides chat in the OpenAPI document: text, embeddings, Responses and Messages."""

from accounts.toolbox import headers
from accounts.toolbox.openapi import (
    JSON,
    ErrorAnswers,
    Node,
    build_response_headers,
    integer,
    record,
    ref,
    string,
)
from llmproxy.openapi.chat import (
    BILL,
    BILL_AS_COMMENT,
    COMPLETION,
    CREDITS,
    GATEWAY,
    OUT_OF_CREDITS_FACTS,
    STREAM,
    build_completion_route,
    build_events,
    build_request_body,
)
from llmproxy.openapi.receipt import allow_null
from llmproxy.routes.tables import embeddings, messages, responses
from llmproxy.routes.tables import text as text_route

TEXT_REQUEST = build_request_body(
    text_route.PARAMETERS,
    "OpenAI's legacy parameters. Several prompts multiply the answers.",
    {"prompt": "Once upon a time", "max_tokens": 20},
)
EMBEDDINGS_REQUEST = build_request_body(
    embeddings.PARAMETERS, "OpenAI's parameters.", {"input": ["Hello", "world"]}
)
RESPONSES_REQUEST = build_request_body(
    responses.PARAMETERS,
    "OpenAI's parameters. What needs state at the provider is refused: `previous_response_id`, "
    "`conversation`, `background`, `prompt`, references and ids of files. `store` is always false.",
    {"input": "Say hello.", "max_output_tokens": 50},
)
MESSAGES_REQUEST = build_request_body(
    messages.PARAMETERS,
    "Anthropic's parameters. `container`, `mcp_servers` and tools that Anthropic runs are dropped, "
    "and named in `x-dropped-parameters`.",
    {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50},
)


def _build_answer(properties: Node, example: Node) -> Node:
    return record(
        {**properties, "_credits": CREDITS},
        optional=properties,
        description="The provider's answer and the bill.",
        examples=[{**example, "_credits": BILL}],
    )


def _build_usage(*names: str) -> Node:
    return record({name: integer(minimum=0) for name in names}, optional=names)


VECTORS = _build_answer(
    {
        "data": {"type": "array", "items": {"type": "object"}},
        "usage": _build_usage("prompt_tokens", "total_tokens"),
    },
    {
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    },
)
RESPONSE = _build_answer(
    {
        "id": string(),
        "status": string(),
        "output": {"type": "array", "items": {"type": "object"}},
        "usage": _build_usage("input_tokens", "output_tokens", "total_tokens"),
    },
    {
        "id": "resp_1",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello!"}],
            }
        ],
        "usage": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
    },
)
MESSAGE = _build_answer(
    {
        "id": string(),
        "content": {"type": "array", "items": {"type": "object"}},
        "stop_reason": allow_null("string"),
        "usage": _build_usage("input_tokens", "output_tokens"),
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 3},
    },
)
MESSAGES_ERROR = record(
    {
        "type": string(enum=["error"]),
        "error": record(
            {
                "type": string("A type of error of Anthropic's API."),
                "message": string("For people, in their language (`Accept-Language`)."),
                "code": string("For programs, the same as on the other routes."),
            }
        ),
    },
    description="Anthropic's error. Further keys may come with a code.",
    examples=[
        {
            "type": "error",
            "error": {
                "type": "authentication_error",
                "message": "The access token is missing, expired or revoked.",
                "code": "invalid_token",
            },
        }
    ],
)
MESSAGES_ERRORS = ErrorAnswers("MessagesError", GATEWAY.meanings)
SCHEMAS: Node = {
    "TextRequest": TEXT_REQUEST,
    "TextCompletion": COMPLETION
    | {
        "examples": [
            {
                "id": "cmpl-1",
                "choices": [{"index": 0, "text": "there was", "finish_reason": "stop"}],
                "_credits": BILL,
            }
        ]
    },
    "EmbeddingsRequest": EMBEDDINGS_REQUEST,
    "Embeddings": VECTORS,
    "ResponsesRequest": RESPONSES_REQUEST,
    "Response": RESPONSE,
    "MessagesRequest": MESSAGES_REQUEST,
    "AnthropicMessage": MESSAGE,
    "MessagesError": MESSAGES_ERROR,
    "MessagesOutOfCredits": {"allOf": [ref("MessagesError"), OUT_OF_CREDITS_FACTS]},
}
TYPED_STREAM = """\
The provider's events, unchanged. The bill is a comment in front of the last event, because clients
stop reading after that:

    : credits {"used": 1, "remaining": 99}
    event: %s
    data: {…}

A failure after the first byte is an event `error`, which is the last one. The bill is in its block.
"""


def add_request_id(route: Node) -> Node:
    """Add `request-id`, the header in which Anthropic's clients look for the id of a request."""
    for response in route["post"]["responses"].values():
        response["headers"] |= build_response_headers(headers.REQUEST_ID_OF_ANTHROPIC)
    return route


def _build_json(name: str) -> Node:
    return {JSON: {"schema": ref(name)}}


PATHS: Node = {
    "/v1/completions": build_completion_route(
        "completions",
        "Continue a text (legacy): JSON, or events when `stream` is true",
        _build_json("TextCompletion"),
        build_events(
            "message",
            example={"event": "message", "data": '{"object": "text_completion", "choices": []}'},
        ),
        description=STREAM.replace("chat.completion.chunk", "text_completion") % BILL_AS_COMMENT,
        request_schema="TextRequest",
    ),
    "/v1/embeddings": build_completion_route(
        "embeddings",
        "Texts as vectors; only their tokens are charged",
        _build_json("Embeddings"),
        request_schema="EmbeddingsRequest",
    ),
    "/v1/responses": build_completion_route(
        "responses",
        "OpenAI's Responses API: JSON, or events when `stream` is true",
        _build_json("Response"),
        build_events(
            example={
                "event": "response.completed",
                "data": '{"type": "response.completed", "response": {}}',
            }
        ),
        description=TYPED_STREAM % "response.completed",
        request_schema="ResponsesRequest",
    ),
    "/v1/messages": add_request_id(
        build_completion_route(
            "messages",
            "Anthropic's Messages API: JSON, or events when `stream` is true",
            _build_json("AnthropicMessage"),
            build_events(example={"event": "message_stop", "data": '{"type": "message_stop"}'}),
            description=TYPED_STREAM % "message_stop",
            request_schema="MessagesRequest",
            errors=MESSAGES_ERRORS,
            refusal_schema="MessagesOutOfCredits",
        )
    ),
}
