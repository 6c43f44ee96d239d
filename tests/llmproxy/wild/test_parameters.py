"""Nothing that a caller sends vanishes unsaid: it reaches the provider, is named, or is refused.

Each row: a body's members, what of them the provider gets, and the names of the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from llmproxy.models import Completion, Provider
from llmproxy.routes.bodies.dropped_names import MAX_NAME_LENGTH, MAX_NAMES
from llmproxy.routes.parameters import Treatment
from llmproxy.routes.tables import TABLES
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.wild.conftest import BODIES, Ask, read_all, settled
from tools import parameters_page

pytestmark = pytest.mark.django_db(transaction=True)

CHAT, TEXT, EMBEDDINGS, RESPONSES, MESSAGES = BODIES
HEADER = "x-dropped-parameters"


@dataclass(frozen=True)
class Row:
    """`sent` are the members that the provider gets of `body`; `dropped` are the names."""

    name: str
    reference: str
    body: dict[str, Any]
    path: str = CHAT
    sent: dict[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}-{self.path}"


def forwarded(name: str, reference: str, path: str = CHAT, **body: Any) -> Row:
    return Row(name, reference, body, path, sent=body)


def dropped(name: str, reference: str, path: str = CHAT, **body: Any) -> Row:
    return Row(name, reference, body, path, dropped=tuple(body))


def harmless(name: str, reference: str, path: str = CHAT, **body: Any) -> Row:
    return Row(name, reference, body, path)


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
ROWS = [
    # Thinking that the user switches off, in the spelling of each vendor.
    forwarded("qwen", "Model Studio, Deep thinking", enable_thinking=False),
    forwarded("vllm", "vLLM #35574", chat_template_kwargs={"enable_thinking": False}),
    forwarded("z.ai", "Z.ai, Thinking mode", thinking={"type": "disabled"}),
    forwarded("openrouter", "OpenRouter, Reasoning tokens", reasoning={"enabled": False}),
    forwarded("groq", "Groq, Reasoning", reasoning_format="hidden", include_reasoning=False),
    forwarded("ollama", "Ollama, OpenAI compatibility", think=False),
    forwarded("qwen budget", "Model Studio", thinking_budget=512),
    forwarded("kimi on messages", "Moonshot", MESSAGES, thinking={"type": "disabled"}),
    forwarded("vllm on responses", "vLLM", RESPONSES, chat_template_kwargs={"thinking": False}),
    forwarded("vllm on text", "vLLM", TEXT, chat_template_kwargs={"thinking": False}),
    # Forms of the answer.
    forwarded("output_format", "Anthropic, Structured outputs", MESSAGES, output_format=SCHEMA),
    forwarded("output_config", "Anthropic, Effort", MESSAGES, output_config={"effort": "low"}),
    forwarded("guided", "vLLM, Structured outputs", guided_json=SCHEMA, guided_choice=["a", "b"]),
    forwarded("structured", "vLLM", structured_outputs={"regex": "a+"}),
    forwarded("ebnf", "SGLang", ebnf='root ::= "yes" | "no"'),
    forwarded("grammar", "llama.cpp", grammar='root ::= "yes"'),
    forwarded("text", "OpenAI", RESPONSES, text={"verbosity": "low"}),
    # Samplers, and numbers as JavaScript and stores of settings write them.
    forwarded("mistral", "Mistral API", safe_prompt=True, random_seed=7),
    forwarded("top_a", "OpenRouter, Parameters", top_a=0.2, min_p=0.1, repetition_penalty=1.1),
    Row(
        "whole floats",
        "JSON has one kind of number (RFC 8259 §6)",
        {"seed": 7.0, "top_k": 40.0, "top_logprobs": 3.0, "n": 1.0, "mirostat": 2.0},
        sent={"seed": 7, "top_k": 40, "top_logprobs": 3, "n": 1, "mirostat": 2},
    ),
    Row("a limit", "as above", {"max_tokens": 100.0}, sent={"max_tokens": 100}),
    Row(
        "an exponent",
        "as above",
        {"max_completion_tokens": 1e2},
        sent={"max_completion_tokens": 100},
    ),
    Row("a limit", "as above", {"max_tokens": 64.0}, MESSAGES, sent={"max_tokens": 64}),
    Row("a limit", "as above", {"max_output_tokens": 64.0}, RESPONSES, {"max_output_tokens": 64}),
    Row("dimensions", "as above", {"dimensions": 256.0}, EMBEDDINGS, {"dimensions": 256}),
    Row(
        "logprobs",
        "as above",
        {"logprobs": 2.0, "best_of": 1.0},
        TEXT,
        {"logprobs": 2, "best_of": 1},
    ),
    Row(
        "a budget",
        "as above",
        {"thinking": {"type": "enabled", "budget_tokens": 2048.0}},
        MESSAGES,
        sent={"thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    forwarded("no whole number", "the provider judges it", seed=7.5, top_k="many"),
    # The limit by the name that another route has for it.
    Row(
        "gemini's limit",
        "open-webui",
        {"max_output_tokens": 77},
        sent={"max_completion_tokens": 77},
    ),
    Row("chat's limit", "n8n", {"max_tokens": 77}, RESPONSES, sent={"max_output_tokens": 77}),
    Row(
        "new limit",
        "litellm",
        {"max_tokens": None, "max_completion_tokens": 77},
        TEXT,
        sent={"max_tokens": 77},
    ),
    # What SDKs store by default.
    dropped(
        "stored completion",
        "OpenAI refuses metadata without store",
        store=True,
        metadata={"a": "b"},
    ),
    dropped("metadata alone", "langchain #28323", metadata={"user": "1"}),
    Row(
        "openai-agents",
        "store is true by default",
        {"store": True, "metadata": {"trace": "1"}},
        RESPONSES,
        sent={"store": False},
        dropped=("store", "metadata"),
    ),
    forwarded("metadata", "Anthropic, Create a Message", MESSAGES, metadata={"user_id": "u"}),
    # Values that ask for what happens anyway.
    harmless("default tier", "OpenAI SDK", service_tier="auto", store=False, plugins=[]),
    harmless("default tier", "OpenAI SDK", RESPONSES, service_tier="default", background=False),
    harmless(
        "null", "AI SDK", RESPONSES, previous_response_id=None, conversation=None, prompt=None
    ),
    harmless("null", "any", store=None, odd=None, audio=None, prediction=None),
    harmless("standard", "Anthropic", MESSAGES, speed="standard", service_tier="standard_only"),
    harmless("nothing", "Claude Code", MESSAGES, container=None, mcp_servers=[]),
    harmless("off", "xAI, Live search", search_parameters={"mode": "off"}, enable_search=False),
    forwarded("truncation", "OpenAI", RESPONSES, truncation="auto", max_tool_calls=3),
    # What changes the cost in a way that usage does not show.
    dropped("tier", "OpenAI, Priority processing", service_tier="priority"),
    dropped("tier", "OpenAI, Flex processing", RESPONSES, service_tier="flex"),
    dropped("ultrafast", "OpenAI", RESPONSES, service_tier="ultrafast"),
    dropped("fast mode", "Anthropic, Fast mode", MESSAGES, speed="fast", inference_geo="us"),
    dropped("region", "Mistral", region="eu"),
    dropped("prediction", "OpenAI", prediction={"type": "content", "content": "x"}),
    dropped("searches", "OpenAI", web_search_options={}),
    dropped("searches", "xAI", search_parameters={"mode": "auto"}),
    dropped("searches", "Model Studio", enable_search=True, search_options={"forced_search": True}),
    dropped("plugins", "OpenRouter, Web search", plugins=[{"id": "web"}]),
    dropped("llama.cpp", "llama.cpp server", n_predict=9, ignore_eos=True),
    dropped("vllm", "vLLM", min_tokens=9, use_beam_search=True, best_of=4, priority=-1, echo=True),
    dropped("ollama", "Ollama", options={"num_predict": -1, "num_ctx": 99999}, keep_alive="24h"),
    dropped("routing", "OpenRouter", provider={"only": ["x"]}, models=["a", "b"], route="fallback"),
    dropped("litellm", "LiteLLM", api_base="https://example.com", api_key="sk-other"),
    dropped(
        "container", "Anthropic", MESSAGES, container={"skills": []}, mcp_servers=[{"url": "x"}]
    ),
    dropped("fallbacks", "Anthropic", MESSAGES, fallbacks=[{"model": "b"}], billing_policy={}),
    dropped("compaction", "OpenAI", RESPONSES, context_management=[{"type": "compaction"}]),
    dropped("codex", "Codex 0.171", RESPONSES, client_metadata={"x-codex-installation-id": "1"}),
    dropped("embeddings", "Ollama", EMBEDDINGS, keep_alive="1h", service_tier="flex"),
    # On no list.
    dropped("unknown", "any", frobnicate=0, x_vendor={"a": [1]}),
    dropped("unknown", "any", EMBEDDINGS, stream=True, extra=1),
    dropped("unknown", "any", MESSAGES, presence_penalty=1),
    dropped("unknown", "any", RESPONSES, frobnicate=False),
    dropped("unknown", "any", TEXT, frobnicate=""),
    # A literal extra_body, as clients send it that do not unfold it.
    Row(
        "extra_body",
        "continue #3345",
        {"extra_body": {"enable_thinking": False, "service_tier": "flex", "odd": 1}},
        sent={"enable_thinking": False},
        dropped=("service_tier", "odd"),
    ),
    Row(
        "google",
        "Gemini, OpenAI compatibility: Thinking",
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
        sent={"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
    ),
    Row(
        "google twice",
        "the same example in JavaScript",
        {
            "extra_body": {
                "extra_body": {
                    "google": {"cached_content": "cachedContents/1", "thinking_config": {}}
                }
            }
        },
        sent={"extra_body": {"google": {"thinking_config": {}}}},
        dropped=("extra_body.google.cached_content",),
    ),
    Row("the caller's own wins", "any", {"extra_body": {"seed": 1}, "seed": 2}, sent={"seed": 2}),
    Row(
        "speech",
        "OpenAI, Audio",
        {"modalities": ["text", "audio"]},
        sent={"modalities": ["text"]},
        dropped=("modalities (audio)",),
    ),
    forwarded("images", "OpenRouter, Image generation", modalities=["image", "text"]),
    Row("no model", "librechat", {"model": ""}, sent={"model": "small"}),
    Row("no model", "librechat", {"model": None}, MESSAGES, sent={"model": "small"}),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_parameter_reaches_the_provider_or_is_named(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    response = ask(row.path, **row.body)
    assert response.status_code == 200, response.content
    sent = upstream.sent
    for name, value in row.sent.items():
        assert (sent[name], type(sent[name])) == (value, type(value))
    known = {*row.sent, *BODIES[row.path], "stream", "model", "store", "stream_options"}
    assert {name for name in row.body if sent.get(name) is not None} <= known
    assert response.get(HEADER, "") == ", ".join(row.dropped)
    assert settled(payer).dropped_parameters == (list(row.dropped) or None)


@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, MESSAGES])
def test_a_stream_names_what_was_dropped(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    response = ask(path, stream=True, service_tier="priority", odd=1)
    assert response[HEADER] == "service_tier, odd"
    read_all(response)
    assert settled(payer).dropped_parameters == ["service_tier", "odd"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("failure", [script.error(400, "no"), script.error(503), script.hang_up])
def test_an_error_of_the_provider_names_what_was_dropped(
    path: str, failure: Any, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = failure
    response = ask(path, service_tier="priority", odd=1)
    assert response.status_code >= 400
    assert response[HEADER] == "service_tier, odd"
    assert settled(payer).dropped_parameters == ["service_tier", "odd"]


def test_a_refusal_for_want_of_credits_names_what_would_be_dropped(
    client: Client, bearer: Any, make_user: Callable[..., User], upstream: Upstream
) -> None:
    poor = make_user("poor@example.com")
    body = BODIES[CHAT] | {"service_tier": "priority", "odd": 1}
    response = client.post(CHAT, body, content_type="application/json", headers=bearer(poor))
    assert (response.status_code, response[HEADER]) == (402, "service_tier, odd")


REFUSED = [
    (CHAT, "audio", {"voice": "alloy"}),
    (RESPONSES, "previous_response_id", "resp_1"),
    (RESPONSES, "conversation", {"id": "conv_1"}),
    (RESPONSES, "prompt", {"id": "pmpt_1"}),
    (RESPONSES, "background", True),
    (MESSAGES, "thread", {"type": "continue", "previous_message_id": "msg_1"}),
    (MESSAGES, "compaction", {"type": "enabled"}),
    (CHAT, "extra_body", "enable_thinking"),
    (CHAT, "max_tokens", 0.5),
    (CHAT, "max_tokens", -1.0),
    (CHAT, "n", 1e9),
    (CHAT, "n", True),
]


@pytest.mark.parametrize(("path", "name", "value"), REFUSED)
def test_what_an_answer_would_be_wrong_without_is_refused(
    path: str, name: str, value: Any, ask: Ask, upstream: Upstream
) -> None:
    response = ask(path, **{name: value})
    assert (response.status_code, response.json()["error"]["param"]) == (400, name)
    assert name in response.json()["error"]["message"]
    assert (upstream.requests, Completion.objects.count()) == ([], 0)


HOSTILE_NAMES = {
    "a,b": "a\\x2cb",
    "a\r\nx-evil: 1": "a\\r\\nx-evil: 1",
    "ชื่อ": "\\u0e0a\\u0e37\\u0e48\\u0e2d",
    "": "",
    "\x00\x7f": "\\x00\\x7f",
    "n" * 500: "n" * (MAX_NAME_LENGTH - 3) + "...",
    "\ud800".encode(errors="replace").decode(): "?",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_name_from_a_caller_is_safe_in_a_header(
    name: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    response = ask(**{name: 1})
    assert (response.status_code, response[HEADER]) == (200, HOSTILE_NAMES[name])
    assert settled(payer).dropped_parameters == [HOSTILE_NAMES[name]]


def test_very_many_names_are_bounded(ask: Ask, payer: User, upstream: Upstream) -> None:
    response = ask(**{f"{'x' * 90}{number}{'y' * 90}": 1 for number in range(5000)})
    names = response[HEADER].split(", ")
    assert len(response[HEADER]) < MAX_NAMES * (MAX_NAME_LENGTH + 2) + 30
    assert len(names) <= MAX_NAMES + 1
    response = ask(**{f"{number}": 1 for number in range(5000)})
    assert response[HEADER].endswith(f", {MAX_NAMES - 1}, and {5000 - MAX_NAMES} more")


@pytest.mark.parametrize(
    ("allowed", "sent", "named"),
    [
        ([], set(), "odd, region_hint, service_tier"),
        (["odd"], {"odd"}, "region_hint, service_tier"),
        (["*"], {"odd", "region_hint"}, "service_tier"),
        (["service_tier"], set(), "odd, region_hint, service_tier"),
    ],
)
def test_an_operator_lets_unknown_parameters_through(
    allowed: list[str], sent: set[str], named: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    Provider.objects.update(forwarded_parameters=allowed)
    response = ask(odd={"a": 1}, region_hint="eu", service_tier="priority")
    assert {"odd", "region_hint", "service_tier"} & upstream.sent.keys() == sent
    assert sorted(response[HEADER].split(", ")) == sorted(named.split(", "))
    assert sorted(settled(payer).dropped_parameters or []) == sorted(named.split(", "))


def test_the_names_are_those_of_the_provider_that_answered(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    first = Provider.objects.get()
    second = Provider.objects.create(
        slug="second", name="Second", base_url=upstream.url, forwarded_parameters=["odd"]
    )
    first.deployments.update(order=0)
    model = first.deployments.get(model__name="small").model
    model.deployments.create(provider=second, order=1)
    upstream.script = script.once(script.error(500), script.answer())
    response = ask(odd=1, other=2)
    bodies = [body for body, _headers in upstream.requests]
    assert [body.get("odd") for body in bodies] == [None, 1]
    assert response[HEADER] == "other"
    assert settled(payer).dropped_parameters == ["other"]


def test_the_receipt_tells_the_caller_in_json_and_on_the_page(
    ask: Ask, client: Client, bearer: Any, payer: User, upstream: Upstream
) -> None:
    response = ask(store=True, odd="<b>")
    generation = response["x-generation-id"]
    receipt = client.get(f"/v1/generation?id={generation}", headers=bearer(payer)).json()
    assert receipt["dropped_parameters"] == ["store", "odd"]
    client.force_login(payer)
    page = client.get(f"/account/completions/{generation}").content.decode()
    assert "Left out of the request" in page
    assert "<code>store</code>" in page
    thai = client.get(f"/account/completions/{generation}", headers={"Accept-Language": "th"})
    assert "Left out of the request" not in thai.content.decode()


def test_pages_of_other_origins_can_read_the_header(ask: Ask, upstream: Upstream) -> None:
    response = ask(store=True, headers={"Origin": "tauri://localhost"})
    exposed = response["Access-Control-Expose-Headers"].lower()
    assert HEADER in exposed.replace(" ", "").split(",")


def test_a_repeated_request_is_told_the_same(ask: Ask, payer: User, upstream: Upstream) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = (ask(headers=key, store=True, odd=1) for _ in range(2))
    assert (first[HEADER], second[HEADER]) == ("store, odd", "store, odd")
    assert second["Idempotency-Replayed"] == "true"


def test_the_page_of_parameters_is_that_of_the_tables() -> None:
    assert parameters_page.PAGE.read_text() == parameters_page.write_page()


@pytest.mark.parametrize("path", TABLES)
def test_each_treatment_has_a_reason(path: str) -> None:
    for row in TABLES[path].rows:
        assert row.reason or row.treatment is Treatment.UNDERSTOOD, row.name
