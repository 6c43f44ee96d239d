"""Anthropic's SDK for Python."""

from typing import Any

from anthropic import Anthropic
from steps import (
    ANSWER,
    CLAUDE,
    KEY,
    PARAMETERS,
    POOR_KEY,
    URL,
    WEATHER,
    Usages,
    expect,
    expect_failure,
    run,
)

client = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
ASKED: Any = [{"role": "user", "content": "Say hello."}]
TOOL: Any = {"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


def count(answer: Any) -> Usages:
    usage = answer.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    return [(prompt + (usage.cache_creation_input_tokens or 0), usage.output_tokens)]


def json() -> Usages:
    answer = client.messages.create(model=CLAUDE, max_tokens=500, messages=ASKED)
    expect(answer.content[0].text == ANSWER, answer)
    return count(answer)


def stream() -> Usages:
    with client.messages.stream(model=CLAUDE, max_tokens=500, messages=ASKED) as stream:
        expect("".join(stream.text_stream) == ANSWER)
        answer = stream.get_final_message()
    return count(answer)


def tools_with_thinking() -> Usages:
    """The second turn sends the thoughts back, whose signature the provider checks."""
    with client.messages.stream(
        model=CLAUDE, max_tokens=4000, messages=ASKED, tools=[TOOL], thinking=THINKING
    ) as stream:
        first = stream.get_final_message()
    [call] = [block for block in first.content if block.type == "tool_use"]
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": WEATHER}
    messages = [
        *ASKED,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(
        model=CLAUDE, max_tokens=4000, messages=messages, tools=[TOOL], thinking=THINKING
    )
    expect(WEATHER in second.content[-1].text, second)
    return count(first) + count(second)


def cache() -> Usages:
    system: Any = [
        {"type": "text", "text": "You are kind. " * 500, "cache_control": {"type": "ephemeral"}}
    ]
    answers = [
        client.messages.create(model=CLAUDE, max_tokens=500, messages=ASKED, system=system)
        for _ in range(2)
    ]
    expect(answers[1].usage.cache_read_input_tokens, answers[1])
    return count(answers[0]) + count(answers[1])


def count_tokens() -> None:
    counted = client.messages.count_tokens(model=CLAUDE, messages=ASKED)
    expect(counted.input_tokens > 0, counted)


def beta_context_management() -> Usages:
    answer = client.beta.messages.create(
        model=CLAUDE, max_tokens=500, messages=ASKED, betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )  # fmt: skip
    return count(answer)


def models_list() -> None:
    names = [model.id for model in client.models.list()]
    expect(CLAUDE in names, names)


def provider_error() -> None:
    expect_failure(
        lambda: client.messages.create(
            model=CLAUDE, max_tokens=500, messages=[{"role": "assistant", "content": "Hi"}]
        ),
        "BadRequestError", 'first message must use the "user" role',
    )  # fmt: skip
    expect_failure(
        lambda: client.messages.create(model="nothing", max_tokens=5, messages=ASKED),
        "NotFoundError", "nothing",
    )  # fmt: skip


def key_error() -> None:
    stranger = Anthropic(base_url=URL, api_key="sk-wrong", max_retries=0)
    expect_failure(
        lambda: stranger.messages.create(model=CLAUDE, max_tokens=5, messages=ASKED),
        "AuthenticationError",
    )  # fmt: skip


def credits_error() -> None:
    poor = Anthropic(base_url=URL, api_key=POOR_KEY, max_retries=0)
    expect_failure(
        lambda: poor.messages.create(model=CLAUDE, max_tokens=500, messages=ASKED), "402", "credits"
    )


run(
    json,
    stream,
    tools_with_thinking,
    cache,
    count_tokens,
    beta_context_management,
    models_list,
    provider_error,
    key_error,
    credits_error,
)
