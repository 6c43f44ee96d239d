"""Each route with a real model behind it: the charge is exactly the usage that it reports."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from smartspec.local import local_model
from smartspec.local.embedded_postgres import find_free_port
from tests.smartspec.processes import eventually, healthy

pytestmark = pytest.mark.django_db(transaction=True)
HI: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    port = find_free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "smartspec.local.local_model", "--port", str(port)]
    )
    try:
        eventually(lambda: healthy(f"http://127.0.0.1:{port}/health"))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def token(model_url: str, settings: Any, user: User, make_token: Callable[..., str]) -> str:
    settings.LLM_UPSTREAM_BASE_URL, settings.LLM_UPSTREAM_MODELS = model_url, ["smollm2"]
    return make_token(user)


@pytest.fixture
def sdk(live_server: Any, token: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=token, max_retries=0)


@pytest.fixture
def claude(live_server: Any, token: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=live_server.url, api_key=token, max_retries=0)


def receipts(user: User) -> list[tuple[int, int]]:
    """Return the prompt and completion tokens of each completion; all are exact and charged."""
    rows = list(Completion.objects.order_by("id"))
    assert {(row.status, row.usage_source) for row in rows} == {("completed", "exact")}
    assert ledger.balance(user) == ledger.Balance(credits=50 - len(rows), held=0, plan="free")
    return [(row.prompt_tokens, row.completion_tokens) for row in rows]


def test_it_continues_texts(sdk: openai.OpenAI, user: User) -> None:
    usage = sdk.completions.create(model="smollm2", prompt="Once upon a time", max_tokens=8).usage
    chunks = list(
        sdk.completions.create(
            model="smollm2", prompt="Once upon a time", max_tokens=8, stream=True
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert usage
    assert receipts(user) == [(usage.prompt_tokens, usage.completion_tokens)] * 2


def test_it_embeds(sdk: openai.OpenAI, user: User) -> None:
    answer = sdk.embeddings.create(model="smollm2", input=["Hello there", "Good morning"])
    assert [len(one.embedding) for one in answer.data] == [576, 576]
    assert receipts(user) == [(answer.usage.prompt_tokens, 0)]


def test_it_responds(sdk: openai.OpenAI, user: User) -> None:
    answer = sdk.responses.create(model="smollm2", input="Say hello.", max_output_tokens=8)
    last: Any = list(
        sdk.responses.create(model="smollm2", input=HI, max_output_tokens=8, stream=True)
    )[-1]
    assert (answer.output_text != "", last.type) == (True, "response.completed")
    assert answer.usage
    usages = (answer.usage, last.response.usage)
    assert receipts(user) == [(usage.input_tokens, usage.output_tokens) for usage in usages]


def test_it_writes_messages(claude: anthropic.Anthropic, user: User) -> None:
    body: Any = {
        "model": "smollm2",
        "max_tokens": 8,
        "messages": HI,
        "extra_body": {"temperature": 0},
    }
    answer = claude.messages.create(**body)
    with claude.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    usages = [
        (usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)
        for usage in (answer.usage, streamed.usage)
    ]
    assert receipts(user) == usages
    assert all(0 < completion <= 8 for _prompt, completion in usages)


def test_a_prompt_beyond_its_context_is_refused(sdk: openai.OpenAI, user: User) -> None:
    too_long: Any = [{"role": "user", "content": "word " * (local_model.CONTEXT_TOKENS + 1)}]
    with pytest.raises(openai.BadRequestError, match=str(local_model.CONTEXT_TOKENS)):
        sdk.chat.completions.create(model="smollm2", messages=too_long, max_tokens=4)
    assert Completion.objects.latest("id").charged == 0


def test_it_knows_nothing_of_tools(sdk: openai.OpenAI, user: User) -> None:
    weather: Any = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object"}},
    }
    plain = sdk.chat.completions.create(model="smollm2", messages=HI, max_tokens=8)
    tooled = sdk.chat.completions.create(
        model="smollm2", messages=HI, max_tokens=8, tools=[weather], tool_choice="required"
    )
    assert tooled.choices[0].message.tool_calls is None
    assert plain.usage
    assert tooled.usage
    assert plain.usage.prompt_tokens == tooled.usage.prompt_tokens


def test_its_events_of_responses_have_no_indices_for_the_clients_own_helper(
    sdk: openai.OpenAI, user: User
) -> None:
    """docs/administration.md says so. Once this test fails, the page can say that both work."""
    with (
        pytest.raises(TypeError, match="indices"),
        sdk.responses.stream(model="smollm2", input=HI, max_output_tokens=8) as stream,
    ):
        list(stream)


def test_a_stream_of_several_texts_is_read_to_its_end(sdk: openai.OpenAI, user: User) -> None:
    chunks = list(
        sdk.completions.create(model="smollm2", prompt=["Once", "Twice"], max_tokens=4, stream=True)
    )
    assert {chunk.choices[0].index for chunk in chunks if chunk.choices} == {0, 1}
    assert len(receipts(user)) == 1
