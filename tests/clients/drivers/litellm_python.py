"""LiteLLM as a client, with its providers for OpenAI and Anthropic."""

from typing import Any

import litellm
from steps import (
    ANSWER,
    CLAUDE,
    KEY,
    PARAMETERS,
    POOR_KEY,
    REASONS,
    URL,
    V1,
    WEATHER,
    Usages,
    expect,
    expect_failure,
    run,
)

litellm.telemetry = False
ASKED: Any = [{"role": "user", "content": "Say hello."}]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
OPENAI: Any = {"model": f"openai/{REASONS}", "api_base": V1, "api_key": KEY}
ANTHROPIC: Any = {"model": f"anthropic/{CLAUDE}", "api_base": URL, "api_key": KEY}


def count(answer: Any) -> Usages:
    return [(answer.usage.prompt_tokens, answer.usage.completion_tokens)]


def ask(**options: Any) -> Usages:
    answer: Any = litellm.completion(messages=ASKED, **options)
    expect(answer.choices[0].message.content == ANSWER, answer)
    return count(answer)


def stream(**options: Any) -> Usages:
    chunks = list(
        litellm.completion(
            messages=ASKED, stream=True, stream_options={"include_usage": True}, **options
        )
    )
    whole: Any = litellm.stream_chunk_builder(chunks)
    expect(whole.choices[0].message.content == ANSWER, whole)
    return count(whole)


def use_tools(**options: Any) -> Usages:
    messages = list(ASKED)
    first: Any = litellm.completion(messages=messages, tools=[TOOL], **options)
    [call] = first.choices[0].message.tool_calls
    messages += [
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": WEATHER},
    ]
    second: Any = litellm.completion(messages=messages, tools=[TOOL], **options)
    expect(WEATHER in second.choices[0].message.content, second)
    return count(first) + count(second)


def openai_json() -> Usages:
    return ask(**OPENAI, max_tokens=500)


def openai_stream() -> Usages:
    return stream(**OPENAI)


def openai_tools() -> Usages:
    return use_tools(**OPENAI)


def responses_json() -> Usages:
    answer: Any = litellm.responses(input="Say hello.", **OPENAI)
    expect(ANSWER in str(answer.output), answer)
    return [(answer.usage.input_tokens, answer.usage.output_tokens)]


def anthropic_json() -> Usages:
    return ask(**ANTHROPIC)


def anthropic_stream() -> Usages:
    return stream(**ANTHROPIC)


def anthropic_tools() -> Usages:
    return use_tools(**ANTHROPIC)


def anthropic_tools_with_thinking() -> Usages:
    return use_tools(**ANTHROPIC, thinking={"type": "enabled", "budget_tokens": 1024})


def credits_error() -> None:
    expect_failure(
        lambda: litellm.completion(messages=ASKED, **(OPENAI | {"api_key": POOR_KEY})), "credits"
    )
    expect_failure(
        lambda: litellm.completion(messages=ASKED, **(ANTHROPIC | {"api_key": POOR_KEY})), "credits"
    )


run(
    openai_json,
    openai_stream,
    openai_tools,
    responses_json,
    anthropic_json,
    anthropic_stream,
    anthropic_tools,
    anthropic_tools_with_thinking,
    credits_error,
)
