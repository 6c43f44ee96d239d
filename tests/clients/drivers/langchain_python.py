"""LangChain for Python, with the models of OpenAI and Anthropic."""

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
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


@tool
def weather(city: str) -> str:
    """Return the weather in a city."""
    return WEATHER


class Place(BaseModel):
    """A place."""

    city: str
    people: int


def make_openai(**more: Any) -> ChatOpenAI:
    options: dict[str, Any] = {"model": REASONS, "base_url": V1, "api_key": KEY, "max_retries": 0}
    return ChatOpenAI(**(options | more))


def make_anthropic(**more: Any) -> ChatAnthropic:
    options: dict[str, Any] = {"model": CLAUDE, "base_url": URL, "api_key": KEY, "max_retries": 0}
    return ChatAnthropic(**(options | more))


def count(message: Any) -> Usages:
    usage = message.usage_metadata
    return [(usage["input_tokens"], usage["output_tokens"])]


def use_tools(model: Any) -> Usages:
    bound = model.bind_tools([weather])
    messages: list[Any] = [HumanMessage("What is the weather?")]
    first = bound.invoke(messages)
    [call] = first.tool_calls
    messages += [first, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])]
    second = bound.invoke(messages)
    expect(WEATHER in second.text, second)
    return count(first) + count(second)


def stream_text(model: Any) -> Usages:
    whole: Any = None
    for chunk in model.stream("Say hello."):
        whole = chunk if whole is None else whole + chunk
    expect(whole.text == ANSWER, whole)
    return count(whole)


def openai_json() -> Usages:
    answer = make_openai(max_tokens=500).invoke("Say hello.")
    expect(answer.text == ANSWER, answer)
    return count(answer)


def openai_stream() -> Usages:
    return stream_text(make_openai(stream_usage=True))


def openai_tools() -> Usages:
    return use_tools(make_openai())


def openai_structured() -> None:
    expect(
        make_openai().with_structured_output(Place).invoke("Where?") == Place(city="x", people=1)
    )


def responses_json() -> Usages:
    answer = make_openai(use_responses_api=True).invoke("Say hello.")
    expect(answer.text == ANSWER, answer)
    return count(answer)


def responses_stream() -> Usages:
    return stream_text(make_openai(use_responses_api=True))


def responses_tools() -> Usages:
    return use_tools(make_openai(use_responses_api=True))


def anthropic_json() -> Usages:
    answer = make_anthropic(max_tokens=500).invoke("Say hello.")
    expect(answer.text == ANSWER, answer)
    return count(answer)


def anthropic_stream() -> Usages:
    return stream_text(make_anthropic())


def anthropic_tools_with_thinking() -> Usages:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    return use_tools(make_anthropic(max_tokens=4000, thinking=thinking))


def embeddings_json() -> None:
    key: Any = KEY
    model = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=V1, api_key=key, check_embedding_ctx_length=False
    )
    expect(len(model.embed_documents(["one", "two"])) == 2)


def provider_error() -> None:
    expect_failure(
        lambda: make_openai(frequency_penalty=0.5).invoke("Hi"),
        "'frequency_penalty' is not supported with this model",
    )


def credits_error() -> None:
    expect_failure(lambda: make_openai(api_key=POOR_KEY).invoke("Hi"), "402", "credits")
    expect_failure(lambda: make_anthropic(api_key=POOR_KEY).invoke("Hi"), "402", "credits")


run(
    openai_json,
    openai_stream,
    openai_tools,
    openai_structured,
    responses_json,
    responses_stream,
    responses_tools,
    anthropic_json,
    anthropic_stream,
    anthropic_tools_with_thinking,
    embeddings_json,
    provider_error,
    credits_error,
)
