"""What a model cannot do is refused before a provider is asked; unknown facts refuse nothing."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from accounts.models import User
from credits.models import Hold
from llmproxy.models import Completion, LanguageModel, Provider
from llmproxy.upstream import model_listing
from llmproxy.upstream.model_facts import read_facts
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.several import Several

pytestmark = pytest.mark.django_db(transaction=True)

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()
WAV = base64.b64encode(b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 40).decode()
CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}


def said(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


LONG = "word " * 2000  # 10,000 bytes
# Each row: an id, the fact that excludes it, the route, the body, and the code of the refusal.
REFUSED: list[tuple[str, dict[str, Any], str, dict[str, Any], str]] = [
    (
        "an image",
        {"sees_images": False},
        CHAT,
        {"messages": said({"type": "image_url", "image_url": {"url": PNG}})},
        "image_input_not_supported",
    ),
    (
        "an image behind a URL",
        {"sees_images": False},
        CHAT,
        {"messages": said({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}})},
        "image_input_not_supported",
    ),
    (
        "an image in Responses",
        {"sees_images": False},
        RESPONSES,
        {"input": said({"type": "input_image", "image_url": PNG}), "messages": None},
        "image_input_not_supported",
    ),
    (
        "an image in Messages",
        {"sees_images": False},
        MESSAGES,
        {
            "max_tokens": 9,
            "messages": said(
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": PNG.split(",")[1],
                    },
                }
            ),
        },
        "image_input_not_supported",
    ),
    (
        "audio",
        {"hears_audio": False},
        CHAT,
        {"messages": said({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}})},
        "audio_input_not_supported",
    ),
    (
        "a tool",
        {"calls_tools": False},
        CHAT,
        {"tools": [{"type": "function", "function": FUNCTION}]},
        "tools_not_supported",
    ),
    (
        "a tool in Responses",
        {"calls_tools": False},
        RESPONSES,
        {"input": "Hi", "messages": None, "tools": [{"type": "function", **FUNCTION}]},
        "tools_not_supported",
    ),
    (
        "a tool in Messages",
        {"calls_tools": False},
        MESSAGES,
        {"max_tokens": 9, "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        "tools_not_supported",
    ),
    (
        "a long chat",
        {"context_tokens": 1000},
        CHAT,
        {"messages": [{"role": "user", "content": LONG}]},
        "context_length_exceeded",
    ),
    (
        "a long input",
        {"context_tokens": 1000},
        RESPONSES,
        {"input": LONG, "messages": None},
        "context_length_exceeded",
    ),
    (
        "a long message",
        {"context_tokens": 1000},
        MESSAGES,
        {"max_tokens": 9, "system": LONG},
        "context_length_exceeded",
    ),
    (
        "a long text",
        {"context_tokens": 1000},
        TEXT,
        {"prompt": LONG, "messages": None},
        "context_length_exceeded",
    ),
    (
        "tokens as numbers",
        {"context_tokens": 1000},
        TEXT,
        {"prompt": [1] * 1001, "messages": None},
        "context_length_exceeded",
    ),
    (
        "a long embedding",
        {"context_tokens": 512},
        EMBEDDINGS,
        {"input": LONG, "messages": None},
        "context_length_exceeded",
    ),
]


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    return lambda path, **body: chat(user, path, model="bright", **body)


ANSWERS = {
    CHAT: script.answer(),
    TEXT: scripted_routes.text_answer(),
    EMBEDDINGS: scripted_routes.vectors(),
    RESPONSES: scripted_routes.response_answer(),
    MESSAGES: script.raw(orjson.dumps(scripted_routes.message())),
}


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_what_cannot_work_is_refused_before_anything_is_asked(
    ask: Any, several: Several, row: Any
) -> None:
    _id, fact, path, body, code = row
    upstream = several.add("first")
    LanguageModel.objects.update(**fact)
    answer = ask(path, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert "bright" in error["message"]
    assert answer.json().get("type") == ("error" if path == MESSAGES else None)
    assert (upstream.requests, Hold.objects.count(), Completion.objects.count()) == ([], 0, 0)


@pytest.mark.parametrize("known", [None, True])
@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_what_is_unknown_or_possible_is_asked(
    ask: Any, several: Several, row: Any, known: bool | None
) -> None:
    _id, fact, path, body, _code = row
    upstream = several.add("first", ANSWERS[path])
    name = next(iter(fact))
    LanguageModel.objects.update(
        **{name: 100_000 if known and name == "context_tokens" else known}
        if name != "context_tokens" or known
        else {name: None}
    )
    assert ask(path, **body).status_code == 200
    assert len(upstream.requests) == 1


NOT_REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("text", CHAT, {}),
    ("no tools", CHAT, {"tools": []}),
    (
        "tools that must not be called",
        CHAT,
        {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "none"},
    ),
    ("many short inputs", EMBEDDINGS, {"input": ["word " * 100] * 30, "messages": None}),
    ("a prompt near the context", CHAT, {"messages": [{"role": "user", "content": "word " * 500}]}),
]


@pytest.mark.parametrize("row", NOT_REFUSED, ids=lambda row: row[0])
def test_what_may_work_is_asked(ask: Any, several: Several, row: Any) -> None:
    _id, path, body = row
    several.add("first", ANSWERS[path])
    LanguageModel.objects.update(
        sees_images=False, hears_audio=False, calls_tools=False, context_tokens=1000
    )
    assert ask(path, **body).status_code == 200


def test_the_limit_of_an_answer_is_within_the_context(ask: Any, several: Several) -> None:
    upstream = several.add("first")
    LanguageModel.objects.update(context_tokens=300)
    assert ask(CHAT, max_tokens=1000)["x-model-clamped-max-tokens"] == "300"
    assert upstream.sent["max_tokens"] == 300


def test_the_facts_are_in_the_list_of_models(
    client: Any, bearer: Any, user: User, several: Several
) -> None:
    several.add("first")
    LanguageModel.objects.update(sees_images=True, calls_tools=False, context_tokens=8192)
    (row,) = client.get("/v1/models", headers=bearer(user)).json()["data"]
    assert row["context_length"] == 8192
    assert row["capabilities"] == {"images": True, "audio": None, "tools": False}


ROWS: list[tuple[str, Any, dict[str, Any]]] = [
    ("openai", {"id": "m", "object": "model"}, {}),
    (
        "openrouter",
        {
            "id": "m",
            "context_length": 131072,
            "supported_parameters": ["tools", "stop"],
            "architecture": {"input_modalities": ["text", "image"]},
        },
        {"context_tokens": 131072, "sees_images": True, "hears_audio": False, "calls_tools": True},
    ),
    (
        "openrouter, text only",
        {
            "id": "m",
            "supported_parameters": ["stop"],
            "architecture": {"input_modalities": ["text"]},
        },
        {"sees_images": False, "hears_audio": False, "calls_tools": False},
    ),
    (
        "mistral",
        {
            "id": "m",
            "max_context_length": 32768,
            "capabilities": {"vision": False, "function_calling": True},
        },
        {"context_tokens": 32768, "sees_images": False, "calls_tools": True},
    ),
    ("vllm", {"id": "m", "max_model_len": 4096}, {"context_tokens": 4096}),
    ("groq", {"id": "m", "context_window": 131072}, {"context_tokens": 131072}),
    ("llama.cpp", {"id": "m", "meta": {"n_ctx_train": 2048}}, {"context_tokens": 2048}),
    ("gemini", {"name": "m", "inputTokenLimit": 1048576}, {"context_tokens": 1048576}),
    (
        "fireworks",
        {"id": "m", "supports_image_input": True, "supports_tools": False},
        {"sees_images": True, "calls_tools": False},
    ),
    ("features", {"id": "m", "features": ["streaming", "function-calling"]}, {"calls_tools": True}),
    ("features without tools", {"id": "m", "features": ["streaming"]}, {}),
    ("lies", {"id": "m", "context_length": "many", "capabilities": [], "architecture": 5}, {}),
    (
        "negative",
        {"id": "m", "context_length": -1, "max_model_len": True, "meta": {"n_ctx": 1e9}},
        {},
    ),
    ("huge", {"id": "m", "context_length": 2**40}, {}),
    ("no row", "m", {}),
]


@pytest.mark.parametrize(("row", "facts"), [one[1:] for one in ROWS], ids=[one[0] for one in ROWS])
def test_the_facts_in_a_list_are_read(row: Any, facts: dict[str, Any]) -> None:
    assert read_facts(row) == facts


def test_an_import_fills_the_facts(several: Several) -> None:
    upstream = several.add("first")
    listed = [{"id": "new", "max_model_len": 4096, "supports_vision": True}, {"id": "bright"}]
    upstream.offers = script.raw(orjson.dumps({"data": listed}))
    provider = Provider.objects.get()
    offers = model_listing.list_models(provider)
    model_listing.import_models(
        provider, offers.names, prices={}, is_active=True, facts=offers.facts
    )
    row = LanguageModel.objects.get(name="new")
    assert (row.context_tokens, row.sees_images, row.calls_tools) == (4096, True, None)
