"""What we add to a stream: keep-alives, the bill and failures, as real clients read them.

References: llmgateway #2334 (a block without data), WHATWG HTML 9.2.6 (comments), vercel/ai (the
provider for OpenAI takes a chunk with `choices` for a chunk, whatever `error` says).
"""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
import requests
from langchain_openai import ChatOpenAI
from sseclient import SSEClient

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Upstream
from tests.llmproxy.wild.conftest import BODIES, Ask, read_all, settled

pytestmark = pytest.mark.django_db(transaction=True)

ASKED: Any = [{"role": "user", "content": "Hi"}]
STREAMED = [path for path in BODIES if "embeddings" not in path]
BILL = ': credits {"used":45,"remaining":9999955}\n'
every_stream = pytest.mark.parametrize("path", STREAMED)


def pieces(path: str, *texts: str) -> list[bytes]:
    """A provider's whole stream on this route: 20 tokens of a prompt and 5 of an answer."""
    if path in scripted_routes.STREAMS:
        return scripted_routes.STREAMS[path](*texts)
    return [*map(script.chunk, texts), script.chunk(finish="stop"), script.usage_chunk(), DONE]


def beginning(path: str) -> list[bytes]:
    """A provider's stream that has said `Hel`, and no more."""
    whole = pieces(path, "Hel")
    return whole[: next(i for i, piece in enumerate(whole) if b"Hel" in piece) + 1]


# Clients: each returns the text of the whole answer, or raises. `base` is our address.


def read_chat(base: str, token: str) -> str:
    sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0)
    stream = sdk.chat.completions.create(model="small", messages=ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def read_chat_with_its_helper(base: str, token: str) -> str:
    sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0)
    with sdk.chat.completions.stream(model="small", messages=ASKED) as stream:
        return stream.get_final_completion().choices[0].message.content or ""


def read_text(base: str, token: str) -> str:
    sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0)
    stream = sdk.completions.create(model="small", prompt="Hi", max_tokens=50, stream=True)
    return "".join(chunk.choices[0].text for chunk in stream)


def read_response(base: str, token: str) -> str:
    sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0)
    stream = sdk.responses.create(model="small", input="Hi", stream=True)
    return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def read_response_with_its_helper(base: str, token: str) -> str:
    sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=token, max_retries=0)
    with sdk.responses.stream(model="small", input="Hi") as stream:
        return stream.get_final_response().output_text


def read_message(base: str, token: str) -> str:
    sdk = anthropic.Anthropic(base_url=base, api_key=token, max_retries=0)
    events = sdk.messages.create(model="small", max_tokens=50, messages=ASKED, stream=True)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas if delta.type == "text_delta")


def read_message_with_its_helper(base: str, token: str) -> str:
    sdk = anthropic.Anthropic(base_url=base, api_key=token, max_retries=0)
    with sdk.messages.stream(model="small", max_tokens=50, messages=ASKED) as stream:
        return stream.get_final_text()


def read_with_langchain(base: str, token: str, *, responses: bool = False) -> str:
    key: Any = token
    model = ChatOpenAI(
        base_url=f"{base}/v1",
        api_key=key,
        model="small",
        max_retries=0,
        use_responses_api=responses,
    )
    return "".join(str(chunk.text) for chunk in model.stream("Hi"))


def read_response_with_langchain(base: str, token: str) -> str:
    return read_with_langchain(base, token, responses=True)


def read_with_sseclient(base: str, token: str) -> str:
    body = {"model": "small", "messages": ASKED, "stream": True}
    headers = {"Authorization": f"Bearer {token}"}
    response: Any = requests.post(
        f"{base}/v1/chat/completions", json=body, headers=headers, stream=True, timeout=20
    )
    chunks = [json.loads(e.data) for e in SSEClient(response).events() if e.data != "[DONE]"]
    if errors := [chunk["error"] for chunk in chunks if "error" in chunk]:
        raise RuntimeError(errors[0]["message"])
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


Reader = Callable[[str, str], str]
READERS: list[tuple[str, Reader]] = [
    ("/v1/chat/completions", read_chat),
    ("/v1/chat/completions", read_chat_with_its_helper),
    ("/v1/chat/completions", read_with_langchain),
    ("/v1/chat/completions", read_with_sseclient),
    ("/v1/completions", read_text),
    ("/v1/responses", read_response),
    ("/v1/responses", read_response_with_its_helper),
    ("/v1/responses", read_response_with_langchain),
    ("/v1/messages", read_message),
    ("/v1/messages", read_message_with_its_helper),
]
every_client = pytest.mark.parametrize(
    ("path", "read"), READERS, ids=[reader.__name__ for _, reader in READERS]
)


@pytest.fixture
def token(payer: User, make_token: Callable[..., str], model: Any) -> str:
    return make_token(payer)


@every_client
def test_keep_alives_anywhere_and_the_bill_harm_no_client(
    path: str,
    read: Reader,
    live_server: Any,
    token: str,
    payer: User,
    upstream: Upstream,
    settings: Any,
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.02
    upstream.script = script.after(0.1, script.pausing(0.05, *pieces(path, "Hel", "lo")))
    assert read(live_server.url, token) == "Hello"
    assert settled(payer).charged == 45


@every_client
def test_every_client_raises_for_a_failure_in_the_middle(
    path: str, read: Reader, live_server: Any, token: str, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*beginning(path), cut=True)
    with pytest.raises((openai.APIError, anthropic.APIError, RuntimeError)) as broken:
        read(live_server.url, token)
    assert "connection to the provider was lost" in str(broken.value)
    assert settled(payer).status == "failed"


# Ends of a provider's stream after it has said `Hel`. All are failures, of whatever form.
CHAT_FAILURES = {
    "cut": [],
    "an error": [b'data: {"error": {"message": "secret", "code": 502}}\n\n'],
    "an error beside choices (OpenRouter)": [
        script.chunk(finish="error", error={"message": "secret", "code": 502})
    ],
    "a finish reason alone": [script.chunk(finish="error"), DONE],
    "a finish reason, and usage": [script.chunk(finish="error"), script.usage_chunk(), DONE],
    "a finish reason, and no [DONE]": [script.chunk(finish="error")],
}


@pytest.mark.parametrize("ending", CHAT_FAILURES.values(), ids=CHAT_FAILURES)
def test_a_failure_is_an_event_with_only_an_error_and_then_the_end_of_the_choice(
    ending: list[bytes], ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*beginning("/v1/chat/completions"), *ending)
    text = read_all(ask(stream=True)).decode()
    *_, failure, end, done = text.removesuffix("\n\n").split("\n\n")
    error, chunk = (json.loads(block.partition("data: ")[2]) for block in (failure, end))
    assert list(error) == ["error"]
    assert (error["error"]["code"], "secret" in text) == ("upstream_error", False)
    assert chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": "error"}]
    assert done.startswith(": credits {")
    assert done.endswith("}\ndata: [DONE]")
    assert settled(payer).status == "failed"


@every_stream
@pytest.mark.parametrize("ending", ["whole", "cut", "over its limit"])
@pytest.mark.parametrize("is_slow", [True, False])
def test_no_block_is_without_data(
    path: str, ending: str, is_slow: bool, ask: Ask, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.02
    limit = {"max_output_tokens" if path == "/v1/responses" else "max_tokens": 16}
    sent = pieces(path, *["word " * 400] * 20) if ending != "cut" else beginning(path)
    upstream.script = script.pausing(0.05, *sent) if is_slow else script.events(*sent)
    text = read_all(ask(path, stream=True, **(limit if "limit" in ending else {}))).decode()
    assert text.endswith("\n\n")
    blocks = [block.split("\n") for block in text.removesuffix("\n\n").split("\n\n")]
    for lines in blocks:
        fields = [line for line in lines if not line.startswith(":")]
        assert lines[len(lines) - len(fields) :] == fields, "comments come first"
        assert fields
        assert fields[-1].startswith("data: ")
    assert ": keep-alive" in text or not is_slow
    bills = [line for lines in blocks for line in lines if line.startswith(": credits")]
    assert (len(bills), bills[0] in blocks[-1]) == (1, True)


@every_stream
def test_the_bill_is_glued_to_the_last_event(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    sent = pieces(path, "Hello")
    upstream.script = script.events(*sent)
    text = read_all(ask(path, stream=True)).decode()
    assert text.endswith("\n\n" + BILL + sent[-1].decode())
    assert settled(payer).charged == 45


FAILED = {"code": "rate_limit_exceeded", "message": "secret organisation", "account": "secret"}
RESPONSE_FAILURES: dict[str, tuple[list[bytes], str, str]] = {
    "cut": ([], "error", "upstream_error"),
    "an error": (
        [scripted_routes.event("error", code="server_error", message="secret")],
        "error",
        "upstream_error",
    ),
    "an error, nested": (
        [scripted_routes.event("error", error={"code": "x", "message": "secret"})],
        "error",
        "upstream_error",
    ),
    "failed": (
        [
            scripted_routes.event(
                "response.failed", response=scripted_routes.response(status="failed", error=FAILED)
            )
        ],
        "response.failed",
        "server_error",
    ),
    "failed without a reason": (
        [
            scripted_routes.event(
                "response.failed", response=scripted_routes.response(status="failed", error=None)
            )
        ],
        "error",
        "upstream_error",
    ),
}


@pytest.mark.parametrize(
    ("ending", "kind", "code"), RESPONSE_FAILURES.values(), ids=RESPONSE_FAILURES
)
def test_a_failed_response_has_its_error_where_each_client_looks(
    ending: list[bytes], kind: str, code: str, ask: Ask, upstream: Upstream
) -> None:
    upstream.script = script.events(*beginning("/v1/responses"), *ending)
    text = read_all(ask("/v1/responses", stream=True)).decode()
    # On a busy machine a keep-alive may come before the bill.
    comment, name, data = text.removesuffix("\n\n").split("\n\n")[-1].split("\n")[-3:]
    event = json.loads(data.removeprefix("data: "))
    assert (name, event["type"], event["error"]["code"]) == (f"event: {kind}", kind, code)
    flat = event["response"]["error"] if kind == "response.failed" else event
    assert (flat["code"], flat["message"]) == (code, event["error"]["message"])
    assert comment.startswith(": credits {")
    assert "secret" not in text
