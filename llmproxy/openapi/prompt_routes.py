"""The routes that count the tokens of a prompt or compact it, in the OpenAPI document."""

from accounts.toolbox import headers
from accounts.toolbox.openapi import (
    JSON,
    Node,
    build_response_headers,
    integer,
    record,
    ref,
    string,
)
from llmproxy.openapi.chat import BILL, CREDITS, GATEWAY, build_completion_route, build_request_body
from llmproxy.openapi.other_routes import MESSAGES_ERRORS, add_request_id
from llmproxy.routes.parameters import Parameters
from llmproxy.routes.tables import messages, responses
from llmproxy.routes.token_counts import MESSAGE_TOKEN_COUNT, RESPONSE_TOKEN_COUNT, TokenCount

# A count is free, and estimated where no provider answers.
NEVER_ANSWERED = ("402", "502", "504")
COUNTED = build_response_headers(*headers.RATE_LIMITS, headers.TOKEN_COUNT)


def _describe_prompt(route: TokenCount, parameters: Parameters, example: Node) -> Node:
    body = build_request_body(parameters, "What a completion of this prompt is sent.", example)
    names = {"model", *route.counted}
    properties = {name: node for name, node in body["properties"].items() if name in names}
    required = [name for name in body.get("required", []) if name in names - route.filled_in.keys()]
    return body | {"properties": properties, "required": required}


def _build_count_route(route: Node) -> Node:
    answers = route["post"]["responses"]
    for status in NEVER_ANSWERED:
        del answers[status]
    trace = build_response_headers(headers.REQUEST_ID, headers.TRACE_ID)
    answers["200"]["headers"] = COUNTED | trace
    return route


SCHEMAS: Node = {
    "MessagesTokenCountRequest": _describe_prompt(
        MESSAGE_TOKEN_COUNT,
        messages.PARAMETERS,
        {"messages": [{"role": "user", "content": "Say hello."}]},
    ),
    "MessagesTokenCount": record(
        {"input_tokens": integer(minimum=1)}, examples=[{"input_tokens": 12}]
    ),
    "ResponsesTokenCountRequest": _describe_prompt(
        RESPONSE_TOKEN_COUNT, responses.PARAMETERS, {"input": "Say hello."}
    ),
    "ResponsesTokenCount": record(
        {
            "object": string(enum=["response.input_tokens"]),
            "input_tokens": integer(minimum=1),
        },
        examples=[{"object": "response.input_tokens", "input_tokens": 12}],
    ),
    "CompactedResponse": record(
        {
            "id": string(),
            "object": string(),
            "output": {"type": "array", "items": {"type": "object"}},
            "usage": record(
                {
                    name: integer(minimum=0)
                    for name in ("input_tokens", "output_tokens", "total_tokens")
                }
            ),
            "_credits": CREDITS,
        },
        optional=["id", "object", "output", "usage"],
        description="The provider's answer and the bill.",
        examples=[
            {
                "id": "resp_1",
                "object": "response.compaction",
                "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}],
                "usage": {"input_tokens": 1200, "output_tokens": 80, "total_tokens": 1280},
                "_credits": BILL,
            }
        ],
    ),
}
PATHS: Node = {
    "/v1/messages/count_tokens": add_request_id(
        _build_count_route(
            build_completion_route(
                "count_message_tokens",
                "The tokens of a prompt of /v1/messages; free",
                {JSON: {"schema": ref("MessagesTokenCount")}},
                request_schema="MessagesTokenCountRequest",
                errors=MESSAGES_ERRORS,
            )
        )
    ),
    "/v1/responses/input_tokens": _build_count_route(
        build_completion_route(
            "count_response_tokens",
            "The tokens of a prompt of /v1/responses; free",
            {JSON: {"schema": ref("ResponsesTokenCount")}},
            request_schema="ResponsesTokenCountRequest",
            errors=GATEWAY,
        )
    ),
    "/v1/responses/compact": build_completion_route(
        "compact_response",
        "Compact a conversation, where a provider of the model can; charged like any completion",
        {JSON: {"schema": ref("CompactedResponse")}},
        request_schema="ResponsesRequest",
    ),
}
