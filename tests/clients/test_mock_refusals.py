"""The mock refuses what OpenAI and Anthropic refuse, in their words."""

import json
from typing import Any

import pytest

from tests.clients.mock.provider import KEY, Provider

Body = dict[str, Any]
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED = {**REASONING, "encrypted_content": "gAAAAABkThoughtsOfTheMock"}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
OBJECT: Body = {"type": "object", "properties": {"a": {"type": "string"}}}
VALID: dict[str, Body] = {
    CHAT: {"model": "gpt-5-mini", "messages": [USER]},
    RESPONSES: {"model": "gpt-5-mini", "input": [USER]},
    MESSAGES: {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [USER]},
}


def make_function(**more: Any) -> Body:
    return {"type": "function", "function": {"name": "f", "parameters": OBJECT, **more}}


def make_thought(signature: str) -> Body:
    block = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    return {"role": "assistant", "content": [block]}


REFUSED: list[tuple[str, Body, str]] = [
    (
        CHAT,
        {"max_tokens": 5},
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use",
    ),
    (
        CHAT,
        {"temperature": 0.2},
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the",
    ),
    (CHAT, {"top_p": 0.5}, "Unsupported parameter: 'top_p' is not supported with this model."),
    (CHAT, {"stop": ["x"]}, "Unsupported parameter: 'stop' is not supported with this model."),
    (
        CHAT,
        {"metadata": {"a": "b"}},
        "The 'metadata' parameter is only allowed when 'store' is enabled.",
    ),
    (CHAT, {"enable_thinking": False}, "Unknown parameter: 'enable_thinking'."),
    (
        CHAT,
        {"model": "gpt-4.1", "top_k": 1, "min_p": 0},
        "Unrecognized request arguments supplied: top_k, min_p",
    ),
    (
        CHAT,
        {"model": "gpt-4.1", "reasoning_effort": "low"},
        "Unrecognized request argument supplied: reasoning_effort",
    ),
    (
        CHAT,
        {"model": "gpt-4o-mini", "max_tokens": 99_999},
        "max_tokens is too large: 99999. This model supports at most 16384 completion",
    ),
    (
        CHAT,
        {"stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    (
        CHAT,
        {"parallel_tool_calls": True},
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when",
    ),
    (
        CHAT,
        {"tools": []},
        "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an",
    ),
    (
        CHAT,
        {"tools": [make_function(name="a b")]},
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string",
    ),
    (
        CHAT,
        {"tools": [make_function(parameters={})]},
        "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"',",
    ),
    (
        CHAT,
        {"tools": [make_function(strict=True)]},
        "Invalid schema for function 'f': In context=(), 'additionalProperties' is required",
    ),
    (
        CHAT,
        {"messages": [USER, {"role": "tool", "tool_call_id": "x", "content": "y"}]},
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding",
    ),
    (
        CHAT,
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]},
        "An assistant message with 'tool_calls' must be followed by tool messages responding",
    ),
    (CHAT, {"messages": [{"role": "robot", "content": "Hi"}]}, "Invalid value: 'robot'."),
    (
        CHAT,
        {"response_format": {"type": "json_object"}},
        "'messages' must contain the word 'json' in some form, to use 'response_format' of",
    ),
    (
        CHAT,
        {"model": "nothing"},
        "The model `nothing` does not exist or you do not have access to it.",
    ),
    (
        CHAT,
        {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "word " * 200_000}]},
        "This model's maximum context length is 128000 tokens.",
    ),
    (RESPONSES, {"enable_thinking": False}, "Unknown parameter: 'enable_thinking'."),
    (
        RESPONSES,
        {"max_tokens": 5},
        "Unsupported parameter: 'max_tokens'. In the Responses API, this parameter has moved",
    ),
    (
        RESPONSES,
        {"max_output_tokens": 5},
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16,",
    ),
    (
        RESPONSES,
        {"temperature": 0.2},
        "Unsupported parameter: 'temperature' is not supported with this model.",
    ),
    (
        RESPONSES,
        {"include": ["everything"]},
        "Invalid value: 'everything'. Supported values are: 'file_search_call.results'",
    ),
    (
        RESPONSES,
        {"model": "gpt-4.1", "include": ["reasoning.encrypted_content"]},
        "Encrypted content is not supported with this model.",
    ),
    (
        RESPONSES,
        {"model": "gpt-4.1", "reasoning": {"effort": "low"}},
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    ),
    (
        RESPONSES,
        {"input": [USER, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
    ),
    (
        RESPONSES,
        {"previous_response_id": "resp_1"},
        "Previous response with id 'resp_1' not found.",
    ),
    (RESPONSES, {"tools": [make_function()]}, "Missing required parameter: 'tools[0].name'."),
    (
        RESPONSES,
        {"input": [{**USER, "reasoning_content": "x"}]},
        "Unknown parameter: 'input[0].reasoning_content'.",
    ),
    (
        RESPONSES,
        {"input": [USER, REASONING, FUNCTION_CALL, OUTPUT]},
        "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
    ),
    (
        RESPONSES,
        {"input": [USER, {"type": "item_reference", "id": "msg_1"}]},
        "Item with id 'msg_1' not found.",
    ),
    (
        RESPONSES,
        {"input": [USER, SEALED, USER]},
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    (
        RESPONSES,
        {"input": [USER, SEALED | {"encrypted_content": "gAAAx"}, FUNCTION_CALL, OUTPUT]},
        "The encrypted content gAAAx... could not be verified.",
    ),
    (RESPONSES, {"input": [USER, FUNCTION_CALL]}, "No tool output found for function call call_1."),
    (
        RESPONSES,
        {"input": [USER, OUTPUT]},
        "No tool call found for function call output with call_id call_1.",
    ),
    (
        RESPONSES,
        {"input": [USER, FUNCTION_CALL | {"id": "x1"}, OUTPUT]},
        "Invalid 'input[1].id': 'x1'. Expected an ID that begins with 'fc'.",
    ),
    (
        f"{RESPONSES}/input_tokens",
        {"input": "Hi", "model": "gpt-5-mini", "include": []},
        "Unknown parameter: 'include'.",
    ),
    (
        f"{RESPONSES}/compact",
        {"input": "Hi", "model": "gpt-5-mini", "stream": True},
        "Unknown parameter: 'stream'.",
    ),
    (MESSAGES, {"max_tokens": None}, "max_tokens: Field required"),
    (
        MESSAGES,
        {"max_tokens": 99_999},
        "max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens for",
    ),
    (MESSAGES, {"enable_thinking": False}, "enable_thinking: Extra inputs are not permitted"),
    (
        MESSAGES,
        {"context_management": {"edits": []}},
        "context_management: Extra inputs are not permitted",
    ),
    (
        MESSAGES,
        {"temperature": 1, "top_p": 1},
        "`temperature` and `top_p` cannot both be specified for this model.",
    ),
    (
        MESSAGES,
        {"messages": [{"role": "assistant", "content": "Hi"}]},
        'messages: first message must use the "user" role',
    ),
    (
        MESSAGES,
        {"messages": [{"role": "user", "content": ""}]},
        "messages.0: all messages must have non-empty content except for the optional final",
    ),
    (
        MESSAGES,
        {"messages": [USER, USE, USER]},
        "messages.2: `tool_use` ids were found without `tool_result` blocks immediately",
    ),
    (
        MESSAGES,
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]}]},
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1.",
    ),
    (
        MESSAGES,
        {"messages": [USER, make_thought("x"), USER]},
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        MESSAGES,
        {"messages": [{"role": "user", "content": [{"type": "picture"}]}]},
        "messages.0.content.0: Input tag 'picture' found using 'type' does not match any of",
    ),
    (
        MESSAGES,
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        MESSAGES,
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    (
        MESSAGES,
        {"thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    (MESSAGES, {"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
    (
        MESSAGES,
        {"tools": [{"name": "f", "input_schema": OBJECT, "cost": 1}]},
        "tools.0.custom.cost: Extra inputs are not permitted",
    ),
    (MESSAGES, {"model": "nothing"}, "model: nothing"),
    (
        MESSAGES,
        {"messages": [{"role": "user", "content": "word " * 200_000}]},
        "prompt is too long:",
    ),
]


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


def ask(provider: Provider, path: str, body: Body, **headers: str) -> Any:
    sent = {"authorization": f"Bearer {KEY}", **headers}
    if path.startswith(MESSAGES):
        sent.setdefault("anthropic-version", "2023-06-01")
    return provider.post(path, sent, json.dumps(body).encode())


@pytest.mark.parametrize("path", VALID)
def test_a_valid_request_is_answered(provider: Provider, path: str) -> None:
    assert ask(provider, path, VALID[path]).status == 200


@pytest.mark.parametrize(("path", "change", "words"), REFUSED, ids=[row[2][:60] for row in REFUSED])
def test_what_the_makers_refuse(provider: Provider, path: str, change: Body, words: str) -> None:
    body = {
        name: value for name, value in (VALID.get(path, {}) | change).items() if value is not None
    }
    answer = ask(provider, path, body)
    error = answer.body["error"]
    assert answer.status in (400, 404)
    assert error["message"].startswith(words)
    if path.startswith(MESSAGES):
        assert answer.body["type"] == "error"
        assert error["type"] in ("invalid_request_error", "not_found_error")
    else:
        assert set(error) == {"message", "type", "param", "code"}


def test_a_beta_feature_needs_its_header(provider: Provider) -> None:
    body = VALID[MESSAGES] | {"context_management": {"edits": []}}
    allowed = {"anthropic-beta": "context-management-2025-06-27"}
    assert ask(provider, MESSAGES, body, **allowed).status == 200
    refused = ask(provider, MESSAGES, body, **{"anthropic-beta": "time-travel-2030-01-01"})
    assert "Unexpected value(s) `time-travel-2030-01-01` for the `anthropic-beta` header" in str(
        refused.body
    )


def test_thoughts_have_to_come_back_first(provider: Provider) -> None:
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]}
    body = VALID[MESSAGES] | {
        "messages": [USER, USE, result],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    message = ask(provider, MESSAGES, body).body["error"]["message"]
    assert message.startswith("messages.1.content.0.type: Expected `thinking`")


def test_what_the_model_said_can_come_back_as_parts(provider: Provider) -> None:
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    body = VALID[RESPONSES] | {"input": [USER, said, USER]}
    assert ask(provider, RESPONSES, body).status == 200


def test_what_was_stored_can_be_named(provider: Provider) -> None:
    first = ask(provider, RESPONSES, VALID[RESPONSES]).body["output"]
    named = [{"type": "item_reference", "id": item["id"]} for item in first]
    assert (
        ask(provider, RESPONSES, VALID[RESPONSES] | {"input": [USER, *named, USER]}).status == 200
    )
    second = ask(provider, RESPONSES, VALID[RESPONSES] | {"store": False}).body["output"]
    named = [{"type": "item_reference", "id": item["id"]} for item in second]
    assert ask(provider, RESPONSES, VALID[RESPONSES] | {"input": [USER, *named]}).status == 404
