"""What Anthropic refuses at `/v1/messages` and `/v1/messages/count_tokens`.

Source: Anthropic API reference, "Messages", "Extended thinking", "Beta headers" and "Errors";
answers of the API that people quote in public issue trackers.
"""

import re
from typing import Any

from anthropic.types import message_count_tokens_params as counted
from anthropic.types import message_create_params as usual
from anthropic.types.beta import message_count_tokens_params as beta_counted
from anthropic.types.beta import message_create_params as beta

from tests.clients.mock import models
from tests.clients.mock.anthropic import betas, blocks
from tests.clients.mock.anthropic.words import refuse_problem
from tests.clients.mock.models import Model
from tests.clients.mock.refusals import refuse_anthropic
from tests.clients.mock.shapes import Problem, find_problems
from tests.clients.mock.usage import count_tokens

Body = dict[str, Any]
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
LEAST_THINKING = 1024
MAX_CACHED_BLOCKS = 4
# Parameters that older models take, although the types no longer have them.
SAMPLING = ("temperature", "top_p", "top_k")
IN_HEADERS = ("betas", "user_profile_id", "workspace_id")  # the SDK sends these as headers


def check(body: Body, headers: dict[str, str]) -> Model:
    """Return the model that is asked. Raises Refused."""
    asked = _check_headers(headers)
    streams = bool(body.get("stream"))
    _check_shape(
        body,
        usual.MessageCreateParamsStreaming if streams else usual.MessageCreateParamsNonStreaming,
        beta.MessageCreateParamsStreaming if streams else beta.MessageCreateParamsNonStreaming,
        asked,
    )
    model = _find_model(body)
    _check_limit(body, model)
    _check_thinking(body, model)
    _check_tools(body)
    blocks.check(body)
    _check_caches(body)
    prompt = count_tokens([body.get("system"), body["messages"], body.get("tools")])
    if prompt > model.context:
        raise refuse_anthropic(f"prompt is too long: {prompt} tokens > {model.context} maximum")
    return model


def check_count(body: Body, headers: dict[str, str]) -> None:
    """Raise Refused for a request that Anthropic refuses to count."""
    asked = _check_headers(headers)
    _check_shape(
        body, counted.MessageCountTokensParams, beta_counted.MessageCountTokensParams, asked
    )
    _find_model(body)
    blocks.check(body)


def caches(body: Body) -> bool:
    """True if the request asks for a cache."""
    return bool(body.get("cache_control")) or _count_cached(body) > 0


def _check_headers(headers: dict[str, str]) -> list[str]:
    if "anthropic-version" not in headers:
        raise refuse_anthropic("anthropic-version: header is required")
    return betas.read(headers)


def _check_shape(body: Body, kind: Any, beta_kind: Any, asked: list[str]) -> None:
    for name in IN_HEADERS:
        if name in body:
            raise refuse_problem(Problem((name,), "extra"))
    allowed = {problem.path for problem in find_problems(body, beta_kind)}
    for problem in find_problems(body, kind):
        if problem.path[-1] in SAMPLING and len(problem.path) == 1:
            continue
        if "input_schema" in problem.path[:-1] and problem.kind == "extra":
            continue  # the types describe only a part of JSON schema
        if problem.path in allowed or not betas.allows(problem.path, asked):
            raise refuse_problem(problem)


def _find_model(body: Body) -> Model:
    model = models.find(body["model"], "anthropic")
    if model is None:
        raise refuse_anthropic(f"model: {body['model']}", status=404, kind="not_found_error")
    return model


def _check_limit(body: Body, model: Model) -> None:
    limit = body["max_tokens"]
    if limit < 1:
        raise refuse_anthropic("max_tokens: Input should be greater than or equal to 1")
    if limit > model.output:
        raise refuse_anthropic(
            f"max_tokens: {limit} > {model.output}, which is the maximum allowed number of output"
            f" tokens for {model.name}"
        )
    for name in SAMPLING:
        if body.get(name) not in (None, 1) and not model.samples:
            raise refuse_anthropic(f"`{name}` is deprecated for this model.")
    if body.get("temperature") is not None and body.get("top_p") is not None:
        raise refuse_anthropic(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only"
            " one."
        )


def _check_thinking(body: Body, model: Model) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "adaptive" and not model.reasons:
        raise refuse_anthropic("adaptive thinking is not supported on this model")
    if thinking["type"] not in ("enabled", "adaptive"):
        return
    budget = thinking.get("budget_tokens")
    if budget is not None and budget < LEAST_THINKING:
        raise refuse_anthropic(
            f"thinking.enabled.budget_tokens: Input should be greater than or equal to"
            f" {LEAST_THINKING}"
        )
    if budget is not None and budget >= body["max_tokens"]:
        raise refuse_anthropic("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        raise refuse_anthropic("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise refuse_anthropic("`top_k` must be unset when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise refuse_anthropic("Thinking may not be enabled when tool_choice forces tool use.")


def _check_tools(body: Body) -> None:
    names = []
    for index, tool in enumerate(body.get("tools") or ()):
        if not NAME.match(tool.get("name", "")):
            raise refuse_anthropic(
                f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )
        names.append(tool["name"])
    if len(set(names)) < len(names):
        raise refuse_anthropic("tools: Tool names must be unique.")
    choice = body.get("tool_choice") or {}
    if choice and not names:
        raise refuse_anthropic("tool_choice may only be specified while providing tools")
    if choice.get("type") == "tool" and choice["name"] not in names:
        raise refuse_anthropic(f"Tool '{choice['name']}' not found in provided tools")
    loaded = [tool for tool in body.get("tools") or () if not tool.get("defer_loading")]
    if names and not loaded:
        raise refuse_anthropic("At least one tool must have defer_loading=false")


def _check_caches(body: Body) -> None:
    count = _count_cached(body)
    if count > MAX_CACHED_BLOCKS:
        raise refuse_anthropic(
            f"A maximum of {MAX_CACHED_BLOCKS} blocks with cache_control may be provided. Found"
            f" {count}."
        )


def _count_cached(value: Any) -> int:
    """Return how many blocks below the top of the body have a cache_control."""
    if isinstance(value, list):
        return sum(
            _count_cached(one) + bool(isinstance(one, dict) and one.get("cache_control"))
            for one in value
        )
    if isinstance(value, dict):
        return sum(_count_cached(one) for name, one in value.items() if name != "input_schema")
    return 0
