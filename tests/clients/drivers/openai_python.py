"""OpenAI's SDK for Python."""

from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel
from steps import (
    ANSWER,
    KEY,
    PARAMETERS,
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

client = OpenAI(base_url=V1, api_key=KEY, max_retries=0)
ASKED: Any = [{"role": "user", "content": "Say hello."}]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
FLAT: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}


class Place(BaseModel):
    city: str
    people: int


def count(answer: Any) -> Usages:
    usage = answer.usage
    if hasattr(usage, "input_tokens"):
        return [(usage.input_tokens, usage.output_tokens)]
    return [(usage.prompt_tokens, usage.completion_tokens)]


def chat_json() -> Usages:
    answer = client.chat.completions.create(model=REASONS, messages=ASKED)
    expect(answer.choices[0].message.content == ANSWER, answer)
    return count(answer)


def chat_json_with_limit() -> Usages:
    answer = client.chat.completions.create(model=REASONS, messages=ASKED, max_tokens=500)
    expect(answer.choices[0].message.content == ANSWER, answer)
    plain = client.chat.completions.create(
        model=PLAIN, messages=ASKED, max_tokens=500, temperature=0
    )
    return count(answer) + count(plain)


def chat_stream() -> Usages:
    text, usages = "", []
    with client.chat.completions.create(
        model=REASONS, messages=ASKED, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        for chunk in chunks:
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            usages += count(chunk) if chunk.usage else []
    expect(text == ANSWER, text)
    return usages


def chat_tools() -> Usages:
    messages = list(ASKED)
    first = client.chat.completions.create(model=REASONS, messages=messages, tools=[TOOL])
    [call] = first.choices[0].message.tool_calls or []
    messages += [
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": WEATHER},
    ]
    second = client.chat.completions.create(model=REASONS, messages=messages, tools=[TOOL])
    expect(WEATHER in (second.choices[0].message.content or ""), second)
    return count(first) + count(second)


def chat_stream_tools() -> Usages:
    with client.chat.completions.stream(
        model=REASONS,
        messages=ASKED,
        tools=[openai.pydantic_function_tool(Place)],
        stream_options={"include_usage": True},
    ) as stream:
        answer = stream.get_final_completion()
    [call] = answer.choices[0].message.tool_calls or []
    expect(call.function.parsed_arguments == Place(city="x", people=1), answer)
    return count(answer)


def chat_parsed() -> Usages:
    answer = client.chat.completions.parse(model=REASONS, messages=ASKED, response_format=Place)
    expect(answer.choices[0].message.parsed == Place(city="x", people=1), answer)
    return count(answer)


def responses_json() -> Usages:
    answer = client.responses.create(model=REASONS, input="Say hello.", metadata={"a": "b"})
    expect(answer.output_text == ANSWER, answer)
    return count(answer)


def responses_stream() -> Usages:
    with client.responses.stream(model=REASONS, input="Say hello.") as stream:
        answer = stream.get_final_response()
    expect(answer.output_text == ANSWER, answer)
    return count(answer)


def responses_tools() -> Usages:
    """The second turn sends back what the first answered, as the documentation says."""
    items: Any = [{"role": "user", "content": "What is the weather?"}]
    first = client.responses.create(model=REASONS, input=items, tools=[FLAT])
    items += first.output
    [call] = [item for item in first.output if item.type == "function_call"]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": WEATHER})
    second = client.responses.create(model=REASONS, input=items, tools=[FLAT])
    expect(WEATHER in second.output_text, second)
    return count(first) + count(second)


def responses_parsed() -> Usages:
    answer = client.responses.parse(model=REASONS, input="Where?", text_format=Place)
    expect(answer.output_parsed == Place(city="x", people=1), answer)
    return count(answer)


def responses_previous_error() -> None:
    expect_failure(
        lambda: client.responses.create(model=REASONS, input="Hi", previous_response_id="resp_1"),
        "BadRequestError", "revious",
    )  # fmt: skip


def embeddings_json() -> Usages:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    expect(len(answer.data) == 2 and len(answer.data[0].embedding) == 1536, answer)
    return [(answer.usage.prompt_tokens, 0)]


def completions_stream() -> Usages:
    text, usages = "", []
    for chunk in client.completions.create(
        model="gpt-3.5-turbo-instruct",
        prompt="Once",
        stream=True,
        stream_options={"include_usage": True},
    ):
        text += "".join(choice.text for choice in chunk.choices)
        usages += count(chunk) if chunk.usage else []
    expect(text == " This is the end of the text.", text)
    return usages


def models_list() -> None:
    names = [model.id for model in client.models.list()]
    expect(REASONS in names, names)


def count_tokens() -> None:
    counted = client.responses.input_tokens.count(model=REASONS, input="Say hello.")
    expect(counted.input_tokens > 0, counted)


def compact() -> Usages:
    compacted = client.responses.compact(
        model=REASONS, input=[{"role": "user", "content": "Say hello."}]
    )
    answer = client.responses.create(
        model=REASONS, input=[*compacted.output, {"role": "user", "content": "And now?"}]
    )
    expect(answer.output_text == ANSWER, answer)
    return count(compacted) + count(answer)


def provider_error() -> None:
    expect_failure(
        lambda: client.chat.completions.create(model=REASONS, messages=ASKED, temperature=0.2),
        "BadRequestError", "'temperature' does not support 0.2 with this model",
    )  # fmt: skip
    expect_failure(
        lambda: client.chat.completions.create(model="nothing", messages=ASKED),
        "NotFoundError", "nothing",
    )  # fmt: skip


def key_error() -> None:
    stranger = OpenAI(base_url=V1, api_key="sk-wrong", max_retries=0)
    expect_failure(
        lambda: stranger.chat.completions.create(model=REASONS, messages=ASKED),
        "AuthenticationError",
    )  # fmt: skip


def credits_error() -> None:
    poor = OpenAI(base_url=V1, api_key=POOR_KEY, max_retries=0)
    expect_failure(
        lambda: poor.chat.completions.create(model=REASONS, messages=ASKED), "402", "credits"
    )
    expect_failure(
        lambda: list(poor.chat.completions.create(model=REASONS, messages=ASKED, stream=True)),
        "402", "credits",
    )  # fmt: skip


run(
    chat_json,
    chat_json_with_limit,
    chat_stream,
    chat_tools,
    chat_stream_tools,
    chat_parsed,
    responses_json,
    responses_stream,
    responses_tools,
    responses_parsed,
    responses_previous_error,
    embeddings_json,
    completions_stream,
    models_list,
    count_tokens,
    compact,
    provider_error,
    key_error,
    credits_error,
)
