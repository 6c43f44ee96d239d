"""The requests that the routes accept, what they measure of them, and what they refuse.

Nothing is sent to a provider.
"""

from typing import Any

import orjson
import pytest

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.pricing import held_tokens
from llmproxy.routes.base import Route
from llmproxy.routes.chat import CHAT
from llmproxy.routes.embeddings import EMBEDDINGS
from llmproxy.routes.messages import MESSAGES
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.responses import RESPONSES
from llmproxy.routes.text import TEXT

SAID = [{"role": "user", "content": "Hi"}]
LEAST: dict[Route, dict[str, Any]] = {
    TEXT: {"prompt": "Hi"},
    EMBEDDINGS: {"input": "Hi"},
    RESPONSES: {"input": "Hi"},
    MESSAGES: {"messages": SAID, "max_tokens": 9},
    CHAT: {"messages": SAID},
}
PICTURE = "data:image/png;base64," + "A" * 5000
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def parse(route: Route, **body: Any) -> CompletionRequest:
    return route.parse(orjson.dumps(LEAST[route] | body))


def things(request: CompletionRequest) -> dict[str, int]:
    """Return how many things there are in the request besides text."""
    return request.media.counts if request.media else {}


def refused_parameter(route: Route, **body: Any) -> str:
    """Return the name of the parameter that is refused."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(route, **body)
    return str(refusal.value.param)


def part(route: Route, **fields: Any) -> dict[str, Any]:
    """Return a body with a single message, which has this part."""
    name = "input" if route is RESPONSES else "messages"
    return {name: [{"role": "user", "content": [fields]}]}


def anthropic(**source: Any) -> dict[str, Any]:
    return part(MESSAGES, type="image", source=source)


@pytest.mark.parametrize(
    ("prompt", "choices", "ids"),
    [
        ("Once", 2, 0),
        (["Once", "Twice"], 4, 0),
        ([1, 2, 3], 2, 3),
        ([[1, 2], [3], [4]], 6, 4),
        ("", 2, 0),
    ],
)
def test_prompts_of_every_form_multiply_the_answers(prompt: Any, choices: int, ids: int) -> None:
    request = parse(TEXT, prompt=prompt, n=2, max_tokens=5)
    assert (request.choices, request.prompt_ids, request.max_tokens) == (choices, ids, 5)
    assert request.most_prompt_tokens == request.prompt_bytes + ids
    assert request.prompt_tokens == held_tokens(request.prompt_bytes) + ids
    assert request.body["prompt"] == prompt


def test_text_has_the_short_default_of_its_api() -> None:
    assert parse(TEXT).max_tokens == 16


def test_all_answers_of_which_the_best_comes_back_are_counted() -> None:
    assert parse(TEXT, best_of=5).choices == 5
    assert parse(TEXT, best_of=5, n=2, prompt=["a", "b"]).choices == 10
    assert refused_parameter(TEXT, best_of=17) == "best_of"


def test_an_echo_is_expected_as_often_as_there_are_answers() -> None:
    assert parse(TEXT, prompt="x" * 40).echoed_bytes == 0
    assert parse(TEXT, prompt="x" * 40, echo=True, n=3).echoed_bytes >= 120


def test_a_suffix_is_a_part_of_the_prompt() -> None:
    assert parse(TEXT, suffix="x" * 40).prompt_bytes == parse(TEXT).prompt_bytes + 40


@pytest.mark.parametrize("name", ["prompt", "input"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {},
        [],
        [[]],
        [""] * 3000,
        ["a", 1],
        [1, "a"],
        [[1], "a"],
        [1.5],
        [-1],
        [2**31],
        [True],
        [None],
    ],
)
def test_what_is_no_text_is_refused(name: str, value: Any) -> None:
    assert refused_parameter(TEXT if name == "prompt" else EMBEDDINGS, **{name: value}) == name


@pytest.mark.parametrize(
    ("value", "ids"), [("Hi", 0), (["Hi", "there"], 0), ([1, 2, 3], 3), ([[1, 2, 3], [4]], 4)]
)
def test_embeddings_have_a_prompt_and_no_answer(value: Any, ids: int) -> None:
    request = parse(EMBEDDINGS, input=value, stream=True, dimensions=256, user="u", extra=1)
    assert (request.prompt_ids, request.max_tokens, request.limit, request.stream) == (
        ids,
        0,
        "",
        False,
    )
    assert (request.prompt_bytes == 0) == bool(ids)
    assert set(request.body) == {"input", "dimensions", "user"}


def test_so_many_vectors_are_asked_for_as_an_answer_can_hold() -> None:
    assert (
        parse(EMBEDDINGS, input=["a"] * 2048, encoding_format="base64").body["encoding_format"]
        == "base64"
    )
    assert refused_parameter(EMBEDDINGS, input=["a"] * 2049, encoding_format="base64") == "input"
    assert parse(EMBEDDINGS, input=["a"] * 2048).is_rewritten


@pytest.mark.parametrize(
    ("route", "name", "value"),
    [
        (TEXT, "n", 17),
        (TEXT, "n", 0),
        (TEXT, "max_tokens", 0),
        (TEXT, "max_tokens", "5"),
        (TEXT, "stream", "yes"),
        (TEXT, "stream_options", []),
        (TEXT, "echo", 1),
        (TEXT, "suffix", 1),
        (TEXT, "logprobs", 99),
        (TEXT, "temperature", 3),
        (TEXT, "stop", [1]),
        (TEXT, "model", 1),
        (EMBEDDINGS, "dimensions", 0),
        (EMBEDDINGS, "encoding_format", "int8"),
        (EMBEDDINGS, "model", []),
        (RESPONSES, "input", None),
        (RESPONSES, "input", []),
        (RESPONSES, "input", 5),
        (RESPONSES, "instructions", []),
        (RESPONSES, "max_output_tokens", 0),
        (RESPONSES, "stream", "yes"),
        (RESPONSES, "temperature", 3),
        (RESPONSES, "text", "json"),
        (RESPONSES, "reasoning", "high"),
        (RESPONSES, "tools", {}),
        (MESSAGES, "messages", None),
        (MESSAGES, "messages", []),
        (MESSAGES, "max_tokens", None),
        (MESSAGES, "max_tokens", 0),
        (MESSAGES, "max_tokens", True),
        (MESSAGES, "system", 5),
        (MESSAGES, "temperature", 1.5),
        (MESSAGES, "top_p", 2),
        (MESSAGES, "stop_sequences", [1]),
        (MESSAGES, "stream", 1),
        (MESSAGES, "tools", "bash"),
        (MESSAGES, "model", 1),
    ],
)
def test_a_wrong_parameter_is_named(route: Route, name: str, value: Any) -> None:
    assert refused_parameter(route, **{name: value}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("background", True),
        ("prompt", {"id": "pmpt_1"}),
    ],
)
def test_what_a_provider_keeps_is_refused(name: str, value: Any) -> None:
    assert refused_parameter(RESPONSES, **{name: value}) == name


@pytest.mark.parametrize(
    ("name", "value"), [("store", True), ("context_management", [{"type": "compaction"}])]
)
def test_what_a_provider_would_add_is_dropped_and_named(name: str, value: Any) -> None:
    request = parse(RESPONSES, **{name: value})
    assert request.not_sent == [name]
    assert request.body.get(name) in (None, False)


def test_nothing_is_kept_at_the_provider() -> None:
    assert parse(RESPONSES).body["store"] is False
    request = parse(RESPONSES, store=False, background=False, conversation=None)
    assert (request.body["store"], request.not_sent) == (False, [])


def test_several_answers_for_one_are_refused() -> None:
    assert refused_parameter(RESPONSES, reasoning={"mode": "pro"}) == "reasoning.mode"
    assert parse(RESPONSES, reasoning={"effort": "high"}).body["reasoning"] == {"effort": "high"}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
        {"type": None, "id": "msg_1"},
        {"type": "message", "id": "msg_1", "role": "assistant"},
        {"type": "compaction", "id": "cmp_1"},
        {"type": "compaction_trigger"},
        {"type": ["message"]},
        {},
        "Hi",
        None,
    ],
)
def test_items_that_refer_to_others_or_have_no_type_are_refused(item: Any) -> None:
    assert refused_parameter(RESPONSES, input=[*SAID, item]) == "input.1"


@pytest.mark.parametrize(
    ("item", "named"),
    [
        (
            {"type": "additional_tools", "tools": [{"type": "web_search"}]},
            ["input.1.tools.0 (web_search)", "input.1 (additional_tools)"],
        ),
        ({"type": "web_search_call", "id": "ws_1"}, ["input.1 (web_search_call)"]),
        ({"type": "mcp_call"}, ["input.1 (mcp_call)"]),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, ["input.1 (reasoning)"]),
    ],
)
def test_items_of_no_caller_are_dropped_and_named(item: Any, named: list[str]) -> None:
    request = parse(RESPONSES, input=[*SAID, item])
    assert (request.body["input"], request.not_sent) == (SAID, named)


def test_a_conversation_is_sent_back_whole() -> None:
    items = [
        {"role": "user", "content": "Hi"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm"}],
            "encrypted_content": "gAAAA",
        },
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "Nothing"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_image", "image_url": PICTURE}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello"}],
        },
    ]
    request = parse(RESPONSES, input=items, tools=[FUNCTION, {"type": "custom", "name": "sing"}])
    assert (request.body["input"], things(request)) == (items, {"images": 1})


@pytest.mark.parametrize("route", [RESPONSES, CHAT])
@pytest.mark.parametrize(
    "kind",
    [
        "web_search",
        "web_search_preview",
        "file_search",
        "code_interpreter",
        "image_generation",
        "mcp",
        "computer",
    ],
)
def test_tools_of_a_provider_are_left_out_and_named(route: Route, kind: str) -> None:
    request = parse(route, tools=[FUNCTION, {"type": kind}])
    assert (request.body["tools"], request.not_sent) == ([FUNCTION], [f"tools.1 ({kind})"])


@pytest.mark.parametrize("route", [RESPONSES, CHAT])
@pytest.mark.parametrize("tool", [{"type": None}, {"type": 5}, {}, "web_search", None])
def test_a_tool_without_a_type_is_refused(route: Route, tool: Any) -> None:
    assert refused_parameter(route, tools=[FUNCTION, tool]) == "tools.1"


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_20250305",
        "web_fetch_20250910",
        "code_execution_20250825",
        "tool_search_tool_bm25_20251119",
        "bash",
    ],
)
def test_tools_of_anthropic_are_left_out_and_named(kind: str) -> None:
    request = parse(MESSAGES, tools=[{"name": "look"}, {"type": kind}])
    assert (request.body["tools"], request.not_sent) == ([{"name": "look"}], [f"tools.1 ({kind})"])
    assert refused_parameter(MESSAGES, tools=[{"name": "look"}, {"type": 5}]) == "tools.1"


def test_the_callers_tools_pass_and_those_that_anthropic_describes_cost_tokens() -> None:
    own = [
        {"name": "look", "input_schema": {}},
        {"type": "custom", "name": "sing", "input_schema": {}},
    ]
    named = [
        {"type": f"{name}_20250124", "name": name}
        for name in ("bash", "text_editor", "computer", "memory")
    ]
    assert parse(MESSAGES, tools=own).prompt_ids == 0
    assert parse(MESSAGES, tools=[*own, *named]).prompt_ids == 6000


@pytest.mark.parametrize("name", ["container", "mcp_servers"])
def test_what_anthropic_runs_is_dropped_and_named(name: str) -> None:
    request = parse(MESSAGES, **{name: [{"id": "x"}]})
    assert (request.not_sent, name in request.body) == ([name], False)


PICTURES = [
    (CHAT, part(CHAT, type="image_url", image_url={"url": PICTURE})),
    (RESPONSES, part(RESPONSES, type="input_image", image_url=PICTURE)),
    (MESSAGES, anthropic(type="base64", media_type="image/png", data="A" * 5000)),
    (MESSAGES, anthropic(type="url", url="https://example.com/" + "a" * 5000)),
    (MESSAGES, {"system": [{"type": "image", "source": {"type": "base64", "data": "A" * 5000}}]}),
    (
        MESSAGES,
        part(
            MESSAGES,
            type="tool_result",
            content=[{"type": "image", "source": {"type": "base64", "data": "A" * 5000}}],
        ),
    ),
    (
        MESSAGES,
        part(
            MESSAGES,
            type="document",
            source={
                "type": "content",
                "content": [{"type": "image", "source": {"type": "base64", "data": "A" * 5000}}],
            },
        ),
    ),
]


@pytest.mark.parametrize(("route", "body"), PICTURES)
def test_an_image_is_counted_and_not_by_its_bytes(route: Route, body: dict[str, Any]) -> None:
    request = parse(route, **body)
    assert (things(request), request.prompt_bytes < 500) == ({"images": 1}, True)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CHAT, part(CHAT, type="file", file={"file_data": "A" * 5000})),
        (RESPONSES, part(RESPONSES, type="input_file", file_data="A" * 5000)),
        (MESSAGES, part(MESSAGES, type="document", source={"type": "base64", "data": "A" * 5000})),
    ],
)
def test_a_document_is_counted_by_its_pages(route: Route, body: dict[str, Any]) -> None:
    request = parse(route, **body)
    assert (things(request), request.prompt_bytes < 500) == ({"pages": 1}, True)


def test_a_document_that_is_text_is_counted_by_its_bytes() -> None:
    source = {"type": "text", "data": "A" * 5000}
    request = parse(MESSAGES, **part(MESSAGES, type="document", source=source))
    assert (things(request), request.prompt_bytes > 5000) == ({}, True)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CHAT, part(CHAT, type="file", file={"file_id": "file_1"})),
        (RESPONSES, part(RESPONSES, type="input_file", file_id="file_1")),
        (RESPONSES, part(RESPONSES, type="input_image", file_id="file_1")),
        (RESPONSES, part(RESPONSES, type="input_image", image_url=5)),
        (RESPONSES, part(RESPONSES, type="input_video")),
        (RESPONSES, part(RESPONSES, type=["input_text"])),
        (RESPONSES, {"input": [{"role": "user", "content": 5}]}),
        (RESPONSES, {"input": [{"role": "user", "content": ["Hi"]}]}),
        (MESSAGES, anthropic(type="file", file_id="file_1")),
        (MESSAGES, anthropic(type="url", url=5)),
        (MESSAGES, anthropic(type=["url"])),
        (MESSAGES, part(MESSAGES, type="image", source="x")),
        (MESSAGES, part(MESSAGES, type="document", source={"type": "file", "file_id": "file_1"})),
        (MESSAGES, part(MESSAGES, type="document")),
        (MESSAGES, part(MESSAGES, type="container_upload", file_id="file_1")),
        (MESSAGES, part(MESSAGES, type="server_tool_use")),
        (MESSAGES, part(MESSAGES, type={})),
        (MESSAGES, {"messages": [{"role": "user", "content": ["Hi"]}]}),
        (MESSAGES, {"messages": ["Hi"]}),
        (MESSAGES, {"messages": [{"content": "Hi"}]}),
    ],
)
def test_what_cannot_be_measured_is_refused(route: Route, body: dict[str, Any]) -> None:
    assert refused_parameter(route, **body).startswith(("messages.0", "input.0"))


def test_documents_within_documents_come_to_an_end() -> None:
    inner: Any = [{"type": "text", "text": "Hi"}]
    for _ in range(20):
        inner = [{"type": "document", "source": {"type": "content", "content": inner}}]
    assert (
        refused_parameter(MESSAGES, messages=[{"role": "user", "content": inner}])
        == "messages.0.content"
    )


DAY = {"cache_control": {"type": "ephemeral", "ttl": "24h"}}
CACHED = [
    (MESSAGES, DAY, "cache_control.ttl"),
    (MESSAGES, {"tools": [{"name": "look", **DAY}]}, "tools.0.cache_control.ttl"),
    (MESSAGES, {"system": [{"type": "text", "text": "Hi", **DAY}]}, "system.cache_control.ttl"),
    (
        MESSAGES,
        part(MESSAGES, type="text", text="Hi", **DAY),
        "messages.0.content.cache_control.ttl",
    ),
    (
        MESSAGES,
        part(MESSAGES, type="tool_result", content=[{"type": "text", "text": "Hi", **DAY}]),
        "messages.0.content.cache_control.ttl",
    ),
    (
        CHAT,
        {"messages": [{"role": "user", "content": "Hi", **DAY}]},
        "messages.0.cache_control.ttl",
    ),
    (CHAT, part(CHAT, type="text", text="Hi", **DAY), "messages.0.content.cache_control.ttl"),
    (CHAT, {"tools": [{**FUNCTION, **DAY}]}, "tools.0.cache_control.ttl"),
]


@pytest.mark.parametrize(("route", "body", "param"), CACHED)
def test_a_cache_for_a_time_that_no_price_is_for_is_refused(
    route: Route, body: dict[str, Any], param: str
) -> None:
    assert refused_parameter(route, **body) == param


@pytest.mark.parametrize(("route", "body", "param"), CACHED)
def test_a_cache_for_an_hour_is_noted_wherever_it_is_asked_for(
    route: Route, body: dict[str, Any], param: str
) -> None:
    raw = orjson.dumps(LEAST[route] | body)
    assert not parse(route).writes_1h
    assert not route.parse(raw.replace(b'"24h"', b'"5m"')).writes_1h
    assert route.parse(raw.replace(b'"24h"', b'"1h"')).writes_1h
    assert route.parse(raw.replace(b'"24h"', b' "\\u0031h"')).writes_1h


@pytest.mark.parametrize(
    "control", [{"type": "ephemeral"}, {"ttl": "5m"}, {"ttl": None}, None, [], "1h"]
)
def test_a_cache_for_five_minutes_passes_and_what_has_no_time_is_the_providers_to_judge(
    control: Any,
) -> None:
    assert parse(MESSAGES, cache_control=control).body["cache_control"] == control


@pytest.mark.parametrize("ttl", ["1H", ["1h"], {}, 3600, "24h"])
def test_no_other_time_passes(ttl: Any) -> None:
    assert (
        refused_parameter(MESSAGES, cache_control={"type": "ephemeral", "ttl": ttl})
        == "cache_control.ttl"
    )


def test_the_provider_gets_our_limit_in_the_words_of_the_route() -> None:
    for route, limit in (
        (TEXT, "max_tokens"),
        (RESPONSES, "max_output_tokens"),
        (MESSAGES, "max_tokens"),
    ):
        sent = orjson.loads(parse(route, **{limit: 900}).upstream_body(model="m", max_tokens=7))
        assert (sent["model"], sent[limit]) == ("m", 7)
    assert "max_tokens" not in orjson.loads(
        parse(EMBEDDINGS).upstream_body(model="m", max_tokens=0)
    )


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ({}, {"anthropic-version": "2023-06-01"}),
        ({"anthropic-version": "2024-01-01"}, {"anthropic-version": "2024-01-01"}),
        ({"anthropic-version": "2024\n"}, {"anthropic-version": "2023-06-01"}),
        (
            {
                "anthropic-beta": "fast-mode-2026-02-01, interleaved-thinking-2025-05-14,"
                "context-1m-2025-08-07,x"
            },
            {
                "anthropic-version": "2023-06-01",
                "anthropic-beta": "interleaved-thinking-2025-05-14",
            },
        ),
        (
            {"anthropic-beta": "mcp-client-2025-11-20", "x-other": "1"},
            {"anthropic-version": "2023-06-01"},
        ),
    ],
)
def test_headers_that_change_the_price_do_not_pass(
    sent: dict[str, str], passed: dict[str, str]
) -> None:
    assert MESSAGES.passed_headers(sent) == passed
    assert RESPONSES.passed_headers(sent) == {}
