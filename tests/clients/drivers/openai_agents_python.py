"""OpenAI's Agents SDK, with both APIs of OpenAI."""

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from steps import ANSWER, KEY, POOR_KEY, REASONS, V1, WEATHER, Usages, expect, expect_failure, run

set_tracing_disabled(True)


class Place(BaseModel):
    city: str
    people: int


@function_tool
def weather(city: str) -> str:
    """Return the weather in a city."""
    return WEATHER


def make_model(kind: Any, key: str = KEY) -> Any:
    return kind(REASONS, AsyncOpenAI(base_url=V1, api_key=key, max_retries=0))


def ask(kind: Any) -> Usages:
    result = Runner.run_sync(Agent("a", model=make_model(kind)), "Say hello.")
    expect(result.final_output == ANSWER, result)
    return count(result)


def count(result: Any) -> Usages:
    return [(one.usage.input_tokens, one.usage.output_tokens) for one in result.raw_responses]


def stream(kind: Any) -> Usages:
    async def read() -> Usages:
        settings = ModelSettings(include_usage=True)  # chat streams have no usage otherwise
        agent = Agent("a", model=make_model(kind), model_settings=settings)
        result = Runner.run_streamed(agent, "Say hello.")
        async for _ in result.stream_events():
            pass
        expect(result.final_output == ANSWER, result)
        return count(result)

    return asyncio.run(read())


def use_tools(kind: Any) -> Usages:
    """The second run sends back all items of the first, the thoughts included."""
    agent = Agent("a", model=make_model(kind), tools=[weather])
    first = Runner.run_sync(agent, "What is the weather?")
    expect(WEATHER in first.final_output, first)
    again: Any = [*first.to_input_list(), {"role": "user", "content": "Tell me again in words."}]
    second = Runner.run_sync(agent, again)
    expect(second.final_output, second)
    return count(first) + count(second)


def responses_json() -> Usages:
    return ask(OpenAIResponsesModel)


def responses_stream() -> Usages:
    return stream(OpenAIResponsesModel)


def responses_tools() -> Usages:
    return use_tools(OpenAIResponsesModel)


def responses_structured() -> None:
    agent = Agent("a", model=make_model(OpenAIResponsesModel), output_type=Place)
    expect(Runner.run_sync(agent, "Where?").final_output == Place(city="x", people=1))


def chat_json() -> Usages:
    return ask(OpenAIChatCompletionsModel)


def chat_stream() -> Usages:
    return stream(OpenAIChatCompletionsModel)


def chat_tools() -> Usages:
    return use_tools(OpenAIChatCompletionsModel)


def credits_error() -> None:
    agent = Agent("a", model=make_model(OpenAIResponsesModel, POOR_KEY))
    expect_failure(lambda: Runner.run_sync(agent, "Hi"), "402", "credits")


run(
    responses_json,
    responses_stream,
    responses_tools,
    responses_structured,
    chat_json,
    chat_stream,
    chat_tools,
    credits_error,
)
