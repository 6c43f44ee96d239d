"""The local model behaves as OpenAI's API."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from smartspec.local.embedded_postgres import find_free_port
from tests.smartspec.processes import eventually, healthy

PROMPT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    port = find_free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "smartspec.local.local_model", "--port", str(port)]
    )
    try:
        eventually(lambda: healthy(f"http://127.0.0.1:{port}/health"))
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
    finally:
        process.terminate()
        process.wait(60)


def test_it_lists_itself(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["smollm2"]


def test_an_answer_counts_its_tokens(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="smollm2", messages=PROMPT, max_tokens=8)
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 8


def test_a_stream_ends_with_its_usage_when_asked(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="smollm2",
            messages=PROMPT,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert (
        chunks[-1].usage.total_tokens
        == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens
    )
