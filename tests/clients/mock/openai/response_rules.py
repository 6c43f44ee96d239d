"""What OpenAI refuses at `/v1/responses` and the addresses below it.

Source: OpenAI API reference, "Create a model response"; answers of the API that people quote in
public issue trackers.
"""

from typing import Any

from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.response_compact_params import ResponseCompactParams
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from tests.clients.mock import models
from tests.clients.mock.models import Model
from tests.clients.mock.openai import response_items, tools
from tests.clients.mock.openai.response_items import SEAL
from tests.clients.mock.openai.words import refuse_problem, refuse_unsupported
from tests.clients.mock.refusals import refuse_openai
from tests.clients.mock.shapes import Problem, find_problems
from tests.clients.mock.usage import count_tokens

__all__ = ["SEAL", "check", "check_compaction", "check_count"]
Body = dict[str, Any]
LEAST_TOKENS = 16
MAX_KEY_LENGTH = 64
MOVED = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"} | {
    "messages": "input", "response_format": "text.format", "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}  # fmt: skip
# What OpenAI takes from Codex, its own agent, although its published types do not have it.
UNDOCUMENTED = ("client_metadata", "search_content_types", "encrypted")


def check(body: Body, stored: dict[str, Body]) -> Model:
    """Return the model that is asked. `stored` has the items that are stored. Raises Refused."""
    model = _find_model(body)
    _check_moved(body)
    _check_shape(
        body,
        ResponseCreateParamsStreaming if body.get("stream") else ResponseCreateParamsNonStreaming,
    )
    if not body.get("input") and not body.get("prompt"):
        raise refuse_openai(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be"
            " provided.",
            param="input",
            code="missing_required_parameter",
        )
    _check_values(body)
    _check_parameters_of(model, body)
    for index, tool in enumerate(body.get("tools") or ()):
        _check_tool(tool, f"tools[{index}]")
    if isinstance(body["input"], list):
        response_items.check(body["input"], stored, thinks=model.reasons)
    if count_tokens([body["input"], body.get("instructions"), body.get("tools")]) > model.context:
        raise refuse_openai(
            "Your input exceeds the context window of this model. Please adjust your input and try"
            " again.",
            param="input",
            code="context_length_exceeded",
        )
    return model


def check_compaction(body: Body, stored: dict[str, Body]) -> None:
    """Raise Refused for a request that OpenAI refuses at `/v1/responses/compact`."""
    model = _find_model(body)
    _check_shape(body, ResponseCompactParams)
    if isinstance(body.get("input"), list):
        response_items.check(body["input"], stored, thinks=model.reasons)


def check_count(body: Body) -> None:
    """Raise Refused for a request that OpenAI refuses at `/v1/responses/input_tokens`."""
    _find_model(body)
    _check_shape(body, InputTokenCountParams)


def _find_model(body: Body) -> Model:
    name = body.get("model")
    if name is None:
        raise refuse_openai(
            "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
        )
    model = models.find(name, "openai")
    if model is None or not model.output:
        raise refuse_openai(
            f"The requested model '{name}' does not exist.", param="model", code="model_not_found"
        )
    return model


def _check_moved(body: Body) -> None:
    """Refuse parameters of chat completions that have another name here."""
    for name, moved in MOVED.items():
        if name in body:
            raise refuse_openai(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved"
                f" to '{moved}'. Try again with the new parameter. See the API documentation for"
                " more information: https://platform.openai.com/docs/api-reference/responses/create.",
                code="unsupported_parameter",
            )


def _check_shape(body: Body, shape: Any) -> None:
    if isinstance(body.get("input"), list):
        body = {**body, "input": list(map(response_items.complete, body["input"]))}
    for problem in find_problems(body, shape):
        if not _is_tolerated(problem):
            raise refuse_problem(problem)


def _is_tolerated(problem: Problem) -> bool:
    """True for what the API takes although the types do not have it."""
    if problem.kind == "extra" and problem.path[-1] in UNDOCUMENTED:
        return True
    if problem.kind == "missing" and problem.path[-1] == "strict":
        return True  # the description of the member says what happens without it
    if len(problem.path) == 1 and problem.got is None and problem.kind == "type":
        return True  # null is the same as nothing
    in_item = len(problem.path) == 3 and problem.path[0] == "input"
    if in_item and problem.path[2] in ("id", "status"):
        return True  # every item that the API returned can be sent back as it came
    # Items come back as they were: with null where a member was empty.
    return problem.path[0] == "input" and problem.got is None and problem.kind != "missing"


def _check_values(body: Body) -> None:
    limit = body.get("max_output_tokens")
    if limit is not None and limit < LEAST_TOKENS:
        raise refuse_openai(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >="
            f" {LEAST_TOKENS}, but got {limit} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    for name in ("prompt_cache_key", "safety_identifier"):
        if len(body.get(name) or "") > MAX_KEY_LENGTH:
            raise refuse_openai(
                f"Invalid '{name}': string too long. Expected a string with maximum length"
                f" {MAX_KEY_LENGTH}, but got a string with length {len(body[name])} instead.",
                param=name,
                code="string_above_max_length",
            )
    if previous := body.get("previous_response_id"):
        raise refuse_openai(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        tools.check_schema(
            form.get("schema"),
            f"response_format '{form['name']}'",
            "text.format.schema",
            strict=form.get("strict") is True,
        )


def _check_parameters_of(model: Model, body: Body) -> None:
    """Refuse what this model does not take."""
    if (body.get("max_output_tokens") or 0) > model.output:
        raise refuse_openai(
            f"Invalid 'max_output_tokens': integer above maximum value. Expected a value <="
            f" {model.output}, but got {body['max_output_tokens']} instead.",
            param="max_output_tokens",
            code="integer_above_max_value",
        )
    if model.reasons:
        for name in ("temperature", "top_p"):
            if body.get(name) not in (None, 1):
                raise refuse_unsupported(name)
        return
    reasoning = {name: value for name, value in (body.get("reasoning") or {}).items() if value}
    for name in reasoning:
        raise refuse_unsupported(f"reasoning.{name}")
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        raise refuse_openai("Encrypted content is not supported with this model.", param="include")


def _check_tool(tool: Body, param: str) -> None:
    if tool["type"] == "function":
        tools.check_function(tool, param)
    for index, inner in enumerate(tool["tools"] if tool["type"] == "namespace" else ()):
        _check_tool(inner, f"{param}.tools[{index}]")
