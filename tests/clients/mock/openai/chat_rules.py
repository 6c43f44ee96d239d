"""What OpenAI refuses at `/v1/chat/completions`.

Source: OpenAI API reference, "Create chat completion"; answers of the API that people quote in
public issue trackers.
"""

from typing import Any

from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from tests.clients.mock import models
from tests.clients.mock.models import Model
from tests.clients.mock.openai import tools
from tests.clients.mock.openai.words import (
    refuse_empty,
    refuse_problem,
    refuse_unsupported,
    refuse_value,
)
from tests.clients.mock.refusals import refuse_openai
from tests.clients.mock.shapes import find_problems, list_members
from tests.clients.mock.usage import count_tokens

Body = dict[str, Any]
# Parameters that models which reason do not take.
SAMPLING = (
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
)
# Assistant messages are sent back as they came, with members that the types do not have.
LENIENT = ("messages",)


def check(body: Body) -> Model:
    """Return the model that is asked. Raises Refused."""
    model = find_model(body)
    _check_names(body, model)
    shape = (
        CompletionCreateParamsStreaming
        if body.get("stream")
        else CompletionCreateParamsNonStreaming
    )
    for problem in find_problems(body, shape):
        if not (problem.kind == "extra" and problem.path[0] in LENIENT):
            raise refuse_problem(problem)
    _check_dependent(body)
    if model.reasons:
        _check_reasoning(body)
    _check_limit(body, model)
    _check_tools(body)
    check_messages(body["messages"])
    _check_length(body, model)
    return model


def find_model(body: Body) -> Model:
    name = body.get("model")
    if name is None:
        raise refuse_openai("you must provide a model parameter")
    model = models.find(name, "openai")
    if model is None:
        raise refuse_openai(
            f"The model `{name}` does not exist or you do not have access to it.",
            code="model_not_found",
            status=404,
        )
    return model


def _check_names(body: Body, model: Model) -> None:
    known = set(list_members(CompletionCreateParamsNonStreaming))
    unknown = [
        name
        for name in body
        if name not in known or (name == "reasoning_effort" and not model.reasons)
    ]
    if not unknown:
        return
    if model.reasons:
        raise refuse_openai(
            f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter"
        )
    many = "s" if len(unknown) > 1 else ""
    raise refuse_openai(f"Unrecognized request argument{many} supplied: {', '.join(unknown)}")


def _check_dependent(body: Body) -> None:
    """Refuse parameters that need another one."""
    if body.get("metadata") is not None and not body.get("store"):
        raise refuse_openai(
            "The 'metadata' parameter is only allowed when 'store' is enabled.", param="metadata"
        )
    if body.get("stream_options") is not None and not body.get("stream"):
        raise refuse_openai(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            raise refuse_openai(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                param=name,
            )
    asks_for_json = (body.get("response_format") or {}).get("type") == "json_object"
    if asks_for_json and "json" not in str(body["messages"]).lower():
        raise refuse_openai(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type"
            " 'json_object'.",
            param="messages",
        )


def _check_reasoning(body: Body) -> None:
    """Refuse what models that reason do not take."""
    if body.get("max_tokens") is not None:
        raise refuse_unsupported("max_tokens", "max_completion_tokens")
    if body.get("temperature") not in (None, 1):
        raise refuse_value("temperature", body["temperature"], 1)
    if body.get("top_p") == 1:
        body = {**body, "top_p": None}
    for name in SAMPLING:
        if body.get(name):
            raise refuse_unsupported(name)
    if body.get("stop") is not None:
        raise refuse_unsupported("stop")


def _check_limit(body: Body, model: Model) -> None:
    names = [name for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if len(names) == 2:
        raise refuse_openai(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    for name in names:
        limit = body[name]
        if limit < 1:
            raise refuse_openai(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got"
                f" {limit} instead.",
                param=name,
                code="integer_below_min_value",
            )
        if limit > model.output:
            raise refuse_openai(
                f"{name} is too large: {limit}. This model supports at most {model.output}"
                f" completion tokens, whereas you provided {limit}.",
                param=name,
                code="invalid_value",
            )


def _check_tools(body: Body) -> None:
    if body.get("tools") == []:
        raise refuse_empty("tools")
    for index, tool in enumerate(body.get("tools") or ()):
        if tool["type"] == "function":
            tools.check_function(tool["function"], f"tools[{index}].function")
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        inner = form["json_schema"]
        tools.check_schema(
            inner.get("schema"),
            f"response_format '{inner['name']}'",
            "response_format",
            strict=inner.get("strict") is True,
        )


def check_messages(messages: list[Body]) -> None:
    """Refuse an empty list, and tool messages and calls of tools that do not belong together."""
    if not messages:
        raise refuse_empty("messages")
    waiting: list[str] = []
    for index, message in enumerate(messages):
        _check_content(message, index)
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise refuse_openai(
                    "Invalid parameter: messages with role 'tool' must be a response to a"
                    " preceeding message with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        _refuse_waiting(waiting, index)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    _refuse_waiting(waiting, len(messages))


def _check_content(message: Body, index: int) -> None:
    content = message.get("content")
    if content == []:
        raise refuse_empty(f"messages[{index}].content")
    can_be_empty = message["role"] == "assistant" and (
        message.get("tool_calls") or message.get("function_call") or message.get("refusal")
    )
    if content is None and not can_be_empty:
        raise refuse_openai(
            "Invalid value for 'content': expected a string, got null.",
            param=f"messages.[{index}].content",
        )


def _refuse_waiting(waiting: list[str], index: int) -> None:
    if waiting:
        raise refuse_openai(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to"
            " each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(waiting)}",
            param=f"messages.[{index}].role",
        )


def _check_length(body: Body, model: Model) -> None:
    prompt = count_tokens([body["messages"], body.get("tools")])
    if prompt > model.context:
        raise refuse_openai(
            f"This model's maximum context length is {model.context} tokens. However, your messages"
            f" resulted in {prompt} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
