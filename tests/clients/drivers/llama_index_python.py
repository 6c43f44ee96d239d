"""LlamaIndex, with its models for OpenAI and for what is like OpenAI."""

from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from steps import (
    ANSWER,
    KEY,
    PLAIN,
    POOR_KEY,
    REASONS,
    V1,
    WEATHER,
    Usages,
    expect,
    expect_failure,
    run,
)

ASKED = [ChatMessage(role="user", content="Say hello.")]
SETTINGS: dict[str, Any] = {"api_base": V1, "api_key": KEY, "max_retries": 0}


def weather(city: str) -> str:
    """Return the weather in a city."""
    return WEATHER


TOOL = FunctionTool.from_defaults(weather)
LIKE = OpenAILike(
    model=PLAIN,
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=100_000,
    **SETTINGS,
)
OPENAI = OpenAI(model=REASONS, **SETTINGS)
RESPONSES = OpenAIResponses(model=REASONS, **SETTINGS)


def count(answer: Any) -> Usages:
    usage = answer.raw.usage
    if hasattr(usage, "input_tokens"):
        return [(usage.input_tokens, usage.output_tokens)]
    return [(usage.prompt_tokens, usage.completion_tokens)]


def ask(model: Any) -> Usages:
    answer = model.chat(ASKED)
    expect(answer.message.content == ANSWER, answer)
    return count(answer)


def stream(model: Any) -> None:
    text = "".join(part.delta or "" for part in model.stream_chat(ASKED))
    expect(text == ANSWER, text)


def use_tools(model: Any) -> None:
    answer = model.predict_and_call([TOOL], "What is the weather?")
    expect(WEATHER in str(answer), answer)


def like_json() -> Usages:
    return ask(LIKE)


def like_stream() -> None:
    stream(LIKE)


def like_tools() -> None:
    use_tools(LIKE)


def openai_json() -> Usages:
    return ask(OPENAI)


def openai_stream() -> None:
    stream(OPENAI)


def openai_tools() -> None:
    use_tools(OPENAI)


def responses_json() -> Usages:
    return ask(RESPONSES)


def responses_stream() -> None:
    stream(RESPONSES)


def responses_tools() -> None:
    use_tools(RESPONSES)


def credits_error() -> None:
    poor = OpenAI(model=REASONS, **(SETTINGS | {"api_key": POOR_KEY}))
    expect_failure(lambda: poor.chat(ASKED), "402", "credits")


run(
    like_json,
    like_stream,
    like_tools,
    openai_json,
    openai_stream,
    openai_tools,
    responses_json,
    responses_stream,
    responses_tools,
    credits_error,
)
