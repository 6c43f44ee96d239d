"""Pydantic AI, with its models for OpenAI's two APIs and Anthropic's."""

import asyncio
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from steps import (
    ANSWER,
    CLAUDE,
    KEY,
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

openai = OpenAIProvider(base_url=V1, api_key=KEY)
CHAT = OpenAIChatModel(REASONS, provider=openai)
RESPONSES = OpenAIResponsesModel(REASONS, provider=openai)
MESSAGES = AnthropicModel(CLAUDE, provider=AnthropicProvider(base_url=URL, api_key=KEY))


class Place(BaseModel):
    city: str
    people: int


def count(result: Any) -> Usages:
    usage = result.usage() if callable(result.usage) else result.usage
    return [(usage.input_tokens, usage.output_tokens)]


def ask(model: Any) -> Usages:
    result = Agent(model).run_sync("Say hello.")
    expect(result.output == ANSWER, result)
    return count(result)


def stream(model: Any) -> Usages:
    async def read() -> Usages:
        async with Agent(model).run_stream("Say hello.") as result:
            expect(await result.get_output() == ANSWER)
            return count(result)

    return asyncio.run(read())


def use_tools(model: Any) -> None:
    agent = Agent(model)

    @agent.tool_plain
    def weather(city: str) -> str:
        """Return the weather in a city."""
        return WEATHER

    first = agent.run_sync("What is the weather?")
    expect(WEATHER in first.output, first)
    second = agent.run_sync("Tell me again in words.", message_history=first.all_messages())
    expect(second.output, second)


def chat_json() -> Usages:
    return ask(CHAT)


def chat_stream() -> Usages:
    return stream(CHAT)


def chat_tools() -> None:
    use_tools(CHAT)


def chat_structured() -> None:
    expect(Agent(CHAT, output_type=Place).run_sync("Where?").output == Place(city="x", people=1))


def responses_json() -> Usages:
    return ask(RESPONSES)


def responses_stream() -> Usages:
    return stream(RESPONSES)


def responses_tools() -> None:
    use_tools(RESPONSES)


def messages_json() -> Usages:
    return ask(MESSAGES)


def messages_stream() -> Usages:
    return stream(MESSAGES)


def messages_tools() -> None:
    use_tools(MESSAGES)


def credits_error() -> None:
    poor = OpenAIChatModel(REASONS, provider=OpenAIProvider(base_url=V1, api_key=POOR_KEY))
    expect_failure(lambda: Agent(poor).run_sync("Hi"), "402", "credits")


run(
    chat_json,
    chat_stream,
    chat_tools,
    chat_structured,
    responses_json,
    responses_stream,
    responses_tools,
    messages_json,
    messages_stream,
    messages_tools,
    credits_error,
)
