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
    COMPLETION,
    CREDITS,
    GATEWAY,
    OUT_OF_CREDITS_FACTS,
    STREAM,
    completes,
    events,
    request,
)
from llmproxy.openapi.receipt import or_null
from llmproxy.routes import embeddings, messages, responses
from llmproxy.routes import text as text_route

TEXT_REQUEST = request(
    text_route.PARAMETERS,
    "OpenAI's legacy parameters. Several prompts multiply the answers.",
    {"prompt": "Once upon a time", "max_tokens": 20},
)
EMBEDDINGS_REQUEST = request(
    embeddings.PARAMETERS, "OpenAI's parameters.", {"input": ["Hello", "world"]}
)
RESPONSES_REQUEST = request(
    responses.PARAMETERS,
    "OpenAI's parameters, without what the provider would keep: `previous_response_id`, `conversation`, "
    "`background`, `prompt`, `store`, references and ids of files are refused.",
    {"input": "Say hello.", "max_output_tokens": 50},
)
MESSAGES_REQUEST = request(
    messages.PARAMETERS,
    "Anthropic's parameters. `container`, `mcp_servers` and what Anthropic would run are refused.",
    {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50},
)


def _answered(kept: Node, example: Node) -> Node:
    return record(
        {**kept, "_credits": CREDITS},
        optional=kept,
        description="The provider's answer and the bill.",
        examples=[{**example, "_credits": BILL}],
    )


def _usage(*names: str) -> Node:
    return record({name: integer(minimum=0) for name in names}, optional=names)


VECTORS = _answered(
    {
        "data": {"type": "array", "items": {"type": "object"}},
        "usage": _usage("prompt_tokens", "total_tokens"),
    },
    {
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    },
)
RESPONSE = _answered(
    {
        "id": string(),
        "status": string(),
        "output": {"type": "array", "items": {"type": "object"}},
        "usage": _usage("input_tokens", "output_tokens", "total_tokens"),
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
MESSAGE = _answered(
    {
        "id": string(),
        "content": {"type": "array", "items": {"type": "object"}},
        "stop_reason": or_null("string"),
        "usage": _usage("input_tokens", "output_tokens"),
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
                "type": string("As Anthropic's API has it."),
                "message": string("For people, in their language (`Accept-Language`)."),
                "code": string("For programs, as on the other routes."),
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
The provider's events as they come. The bill is a comment before the last one, at which clients stop reading:

    : credits {"used": 1, "remaining": 99}

    event: %s
    data: {…}

A failure after the first byte is an event `error`, after the bill, and the last one.
"""


def _with_request_id(route: Node) -> Node:
    """Anthropic's clients look for the id of a request under this name."""
    for response in route["post"]["responses"].values():
        response["headers"] |= build_response_headers(headers.REQUEST_ID_OF_ANTHROPIC)
    return route


def _json(name: str) -> Node:
    return {JSON: {"schema": ref(name)}}


PATHS: Node = {
    "/v1/completions": completes(
        "completions",
        "Continue a text (legacy): JSON, or events when `stream` is true",
        _json("TextCompletion"),
        events(
            "message",
            example={"event": "message", "data": '{"object": "text_completion", "choices": []}'},
        ),
        said=STREAM.replace("chat.completion.chunk", "text_completion") % ": credits",
        asks="TextRequest",
    ),
    "/v1/embeddings": completes(
        "embeddings",
        "Texts as vectors; only their tokens are charged",
        _json("Embeddings"),
        asks="EmbeddingsRequest",
    ),
    "/v1/responses": completes(
        "responses",
        "OpenAI's Responses API: JSON, or events when `stream` is true",
        _json("Response"),
        events(
            example={
                "event": "response.completed",
                "data": '{"type": "response.completed", "response": {}}',
            }
        ),
        said=TYPED_STREAM % "response.completed",
        asks="ResponsesRequest",
    ),
    "/v1/messages": _with_request_id(
        completes(
            "messages",
            "Anthropic's Messages API: JSON, or events when `stream` is true",
            _json("AnthropicMessage"),
            events(example={"event": "message_stop", "data": '{"type": "message_stop"}'}),
            said=TYPED_STREAM % "message_stop",
            asks="MessagesRequest",
            errors=MESSAGES_ERRORS,
            refuses="MessagesOutOfCredits",
        )
    ),
}
