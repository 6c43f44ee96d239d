"""The SDKs of OpenAI and Anthropic accept what the mock answers, in their strict mode."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.clients.mock.provider import KEY
from tests.clients.mock.server import Serving, serve
from tests.clients.mock.task import THOUGHTS

ASKED: Any = [{"role": "user", "content": "Say hello."}]
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
TOOLS: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}]
CLAUDE_TOOLS: Any = [{"name": "weather", "input_schema": {**PARAMETERS, "required": ["city"]}}]
SECRET: Any = ["reasoning.encrypted_content"]
ANSWER = "Hello, this is the answer."


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with serve() as served:
        yield served


@pytest.fixture
def sdk(serving: Serving) -> OpenAI:
    return OpenAI(
        base_url=serving.url, api_key=KEY, max_retries=0, _strict_response_validation=True
    )


@pytest.fixture
def claude(serving: Serving) -> Anthropic:
    return Anthropic(
        base_url=serving.url[:-3], api_key=KEY, max_retries=0, _strict_response_validation=True
    )


def test_a_completion(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.create(model="gpt-5-mini", messages=ASKED)
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_completion_with_a_call_of_a_tool(sdk: OpenAI) -> None:
    with sdk.chat.completions.stream(
        model="gpt-5-mini", messages=ASKED, tools=CHAT_TOOLS
    ) as stream:
        answer = stream.get_final_completion()
    [call] = answer.choices[0].message.tool_calls or []
    assert call.function.name == "weather"


@pytest.mark.parametrize("tools", [[], TOOLS], ids=["text", "tool"])
def test_a_response_is_the_same_streamed_or_not(sdk: OpenAI, tools: Any) -> None:
    options: Any = {"model": "gpt-5-mini", "input": ASKED, "include": SECRET, "tools": tools}
    whole = sdk.responses.create(**options)
    with sdk.responses.stream(**options) as stream:
        streamed = stream.get_final_response()
    kinds = ["reasoning", "function_call" if tools else "message"]
    assert [item.type for item in whole.output] == kinds
    assert [item.type for item in streamed.output] == kinds
    assert streamed.usage == whole.usage


def test_the_events_of_a_response_are_numbered(sdk: OpenAI) -> None:
    events = list(
        sdk.responses.create(
            model="gpt-5-mini", input=ASKED, stream=True, reasoning={"summary": "auto"}
        )
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    deltas = [
        event.delta for event in events if event.type == "response.reasoning_summary_text.delta"
    ]
    assert "".join(deltas) == THOUGHTS


def test_the_other_routes_of_openai(sdk: OpenAI) -> None:
    embedded = sdk.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="float"
    )
    assert [len(one.embedding) for one in embedded.data] == [1536, 1536]
    written = sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")
    assert written.choices[0].text
    assert sdk.responses.input_tokens.count(model="gpt-5-mini", input="Hi").input_tokens > 0
    assert "gpt-5-mini" in [model.id for model in sdk.models.list()]


def test_a_compacted_conversation(serving: Serving) -> None:
    """The answer has messages of the user, which the SDK's own types do not allow there."""
    sdk = OpenAI(base_url=serving.url, api_key=KEY)
    compacted = sdk.responses.compact(model="gpt-5-mini", input=ASKED)
    assert [item.type for item in compacted.output] == ["message", "compaction"]


def test_a_message_with_thoughts(claude: Anthropic) -> None:
    options: Any = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 2000,
        "messages": ASKED,
        "tools": CLAUDE_TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    whole = claude.messages.create(**options)
    with claude.messages.stream(**options) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert [block.type for block in message.content] == ["thinking", "tool_use"]
        assert message.stop_reason == "tool_use"
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_the_other_routes_of_anthropic(claude: Anthropic) -> None:
    counted = claude.messages.count_tokens(model="claude-sonnet-4-5", messages=ASKED)
    assert counted.input_tokens > 0
    assert "claude-sonnet-4-5" in [model.id for model in claude.models.list()]


def test_a_wrong_key(sdk: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided"):
        sdk.with_options(api_key="sk-wrong").models.list()
