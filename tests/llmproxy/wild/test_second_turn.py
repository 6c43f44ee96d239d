"""The second turn of Responses, in the forms in which clients send a conversation back.

The scripted provider refuses what OpenAI refuses where nothing is stored: a reasoning item without
its encrypted content, a reference, and an item whose reasoning is missing or stands alone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import User
from llmproxy.models import Completion
from llmproxy.routes.responses import ENCRYPTED, RESPONSES
from llmproxy.routes.tables import items
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Handler, Upstream
from tests.llmproxy.wild.conftest import Ask, settled

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/responses"
HEADER = "x-dropped-parameters"
Item = dict[str, Any]

HI: Item = {"role": "user", "content": "Hi"}
AGAIN: Item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "On"}]}
THOUGHT: Item = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED: Item = {**THOUGHT, "encrypted_content": "gAAAAAB"}
CALL: Item = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look",
    "arguments": "{}",
    "status": "completed",
}
OUTPUT: Item = {"type": "function_call_output", "call_id": "call_1", "output": "Nothing"}
SAID: Item = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
SEARCHED: Item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}


def without(item: Item, *names: str) -> Item:
    return {name: value for name, value in item.items() if name not in names}


def strict(upstream: Upstream) -> Callable[[Handler], None]:
    """A provider that stores nothing and says so as OpenAI does."""

    def answer(handler: Handler) -> None:
        problem = find_problem(upstream.sent["input"])
        (script.error(404, problem) if problem else scripted_routes.response_answer())(handler)

    return answer


def find_problem(sent: Any) -> str:
    if isinstance(sent, str):
        return ""
    calls = {item.get("call_id") for item in sent if item.get("type", "").endswith("_call")}
    for item, after in zip(sent, [*sent[1:], {}], strict=True):
        kind = item.get("type", "message")
        if kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content")):
            return f"Item with id '{item.get('id')}' not found. Items are not persisted."
        if kind == "reasoning" and (after.get("role") == "user" or not after):
            return (
                f"Item '{item['id']}' of type 'reasoning' was provided without its required item."
            )
        if kind.endswith("_output") and item.get("call_id") not in calls:
            return f"No tool call found for {kind} with call_id {item.get('call_id')}."
    return ""


@dataclass(frozen=True)
class Row:
    name: str
    reference: str
    input: list[Any]
    sent: list[Any]
    dropped: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


TURN = [HI, SEALED, CALL, OUTPUT, SAID, AGAIN]
SHELL: Item = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
SHOWN: Item = {
    "type": "shell_call_output",
    "call_id": "c",
    "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
}
FUNCTION: Item = {"type": "function", "name": "look"}
GROUP: Item = {"type": "namespace", "name": "functions", "description": "d", "tools": [FUNCTION]}
ROWS = [
    Row("codex, with encrypted thoughts", "Codex 0.171", TURN, TURN),
    Row(
        "openai-agents, thoughts without content",
        "openai-agents-python #919",
        [HI, THOUGHT, CALL, OUTPUT, SAID, AGAIN],
        [HI, without(CALL, "id"), OUTPUT, without(SAID, "id"), AGAIN],
        ("input.1 (reasoning)",),
    ),
    Row(
        "null instead of content",
        "vercel/ai #7543",
        [HI, {**THOUGHT, "encrypted_content": None}, SAID, AGAIN],
        [HI, without(SAID, "id"), AGAIN],
        ("input.1 (reasoning)",),
    ),
    Row(
        "open weights, thoughts in plain text",
        "vLLM with gpt-oss",
        [HI, {**THOUGHT, "content": [{"type": "reasoning_text", "text": "Hm"}]}, CALL, OUTPUT],
        [HI, without(CALL, "id"), OUTPUT],
        ("input.1 (reasoning)",),
    ),
    Row(
        "a summary only",
        "langchain-openai without store",
        [HI, {**THOUGHT, "summary": [{"type": "summary_text", "text": "Hm"}]}, SAID, AGAIN],
        [HI, without(SAID, "id"), AGAIN],
        ("input.1 (reasoning)",),
    ),
    Row(
        "thoughts of one turn only",
        "an aborted stream, vercel/ai #8811",
        [HI, SEALED, SAID, AGAIN, THOUGHT, {**CALL, "id": "fc_2"}, OUTPUT, AGAIN, SEALED, SAID],
        [
            *[HI, SEALED, SAID, AGAIN],
            *[without(CALL, "id"), OUTPUT, AGAIN],
            *[SEALED, SAID],
        ],
        ("input.4 (reasoning)",),
    ),
    Row(
        "parallel calls after lost thoughts",
        "openai-agents-python #1668",
        [HI, THOUGHT, CALL, {**CALL, "id": "fc_2", "call_id": "call_2"}, OUTPUT, AGAIN],
        [
            *[HI, without(CALL, "id"), {**without(CALL, "id"), "call_id": "call_2"}],
            *[OUTPUT, AGAIN],
        ],
        ("input.1 (reasoning)",),
    ),
    Row(
        "a web search of an earlier turn",
        "Codex, before it met this gateway",
        [HI, SEARCHED, SAID, AGAIN],
        [HI, SAID, AGAIN],
        ("input.1 (web_search_call)",),
    ),
    Row(
        "thoughts before a search",
        "OpenAI: a reasoning item needs the item that follows it",
        [HI, SEALED, SEARCHED, {**SEALED, "id": "rs_2"}, SAID, AGAIN],
        [HI, {**SEALED, "id": "rs_2"}, SAID, AGAIN],
        ("input.2 (web_search_call)", "input.1 (reasoning)"),
    ),
    Row(
        "every hosted item",
        "OpenAI, Responses: input items",
        [
            HI,
            {"type": "file_search_call", "id": "fs_1", "queries": [], "status": "completed"},
            {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c"},
            {"type": "image_generation_call", "id": "ig_1", "result": "A" * 5000},
            {"type": "computer_call", "id": "cu_1", "call_id": "cc_1", "action": {}},
            {"type": "computer_call_output", "call_id": "cc_1", "output": {}},
            {"type": "mcp_list_tools", "id": "ml_1", "server_label": "s", "tools": []},
            {"type": "mcp_approval_request", "id": "ma_1", "name": "n", "arguments": "{}"},
            {"type": "mcp_approval_response", "approval_request_id": "ma_1", "approve": True},
            {"type": "mcp_call", "id": "mc_1", "name": "n", "arguments": "{}", "output": "x"},
            {"type": "program", "id": "p_1", "call_id": "pc_1", "code": "x", "fingerprint": "f"},
            {"type": "program_output", "id": "p_2", "call_id": "pc_1", "result": "x"},
            {"type": "invented_tomorrow", "id": "it_1"},
            SAID,
            AGAIN,
        ],
        [HI, SAID, AGAIN],
        (
            "input.1 (file_search_call)",
            "input.2 (code_interpreter_call)",
            "input.3 (image_generation_call)",
            "input.4 (computer_call)",
            "input.5 (computer_call_output)",
            "input.6 (mcp_list_tools)",
            "input.7 (mcp_approval_request)",
            "input.8 (mcp_approval_response)",
            "input.9 (mcp_call)",
            "input.10 (program)",
            "input.11 (program_output)",
            "input.12 (invented_tomorrow)",
        ),
    ),
    Row(
        "a call of a program",
        "OpenAI, Programmatic tool calling",
        [HI, {**CALL, "caller": {"type": "program", "caller_id": "p_1"}}, OUTPUT, AGAIN],
        [HI, CALL, OUTPUT, AGAIN],
        ("input.1.caller",),
    ),
    Row(
        "shells and patches",
        "OpenAI, Shell and Apply patch",
        [
            HI,
            {"type": "local_shell_call", "id": "l", "call_id": "l1", "action": {"type": "exec"}},
            {"type": "local_shell_call_output", "id": "l", "call_id": "l1", "output": "a"},
            SHELL,
            SHOWN,
            {"type": "apply_patch_call", "call_id": "a1", "operation": {}, "status": "completed"},
            {"type": "apply_patch_call_output", "call_id": "a1", "status": "completed"},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "x", "name": "n", "input": "i"},
            {"type": "custom_tool_call_output", "call_id": "x", "output": "o"},
            AGAIN,
        ],
        [
            HI,
            {"type": "local_shell_call", "id": "l", "call_id": "l1", "action": {"type": "exec"}},
            {"type": "local_shell_call_output", "id": "l", "call_id": "l1", "output": "a"},
            SHELL,
            SHOWN,
            {"type": "apply_patch_call", "call_id": "a1", "operation": {}, "status": "completed"},
            {"type": "apply_patch_call_output", "call_id": "a1", "status": "completed"},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "x", "name": "n", "input": "i"},
            {"type": "custom_tool_call_output", "call_id": "x", "output": "o"},
            AGAIN,
        ],
    ),
    Row(
        "a shell in a container, with its output",
        "OpenAI, Shell",
        [HI, {**SHELL, "environment": {"type": "container_reference"}}, SHOWN, SAID, AGAIN],
        [HI, SAID, AGAIN],
        ("input.1 (shell_call)", "input.2 (shell_call_output)"),
    ),
    Row(
        "tools in the input",
        "Codex 0.171 with gpt-6",
        [
            {
                "type": "additional_tools",
                "role": "developer",
                "id": "at_1",
                "tools": [GROUP, {"type": "web_search"}],
            },
            HI,
        ],
        [{"type": "additional_tools", "role": "developer", "id": "at_1", "tools": [GROUP]}, HI],
        ("input.0.tools.1 (web_search)",),
    ),
    Row(
        "a client's search for tools",
        "Codex 0.171",
        [
            HI,
            {"type": "tool_search_call", "execution": "client", "call_id": "t", "arguments": {}},
            {
                "type": "tool_search_output",
                "execution": "client",
                "call_id": "t",
                "tools": [FUNCTION, {"type": "mcp"}],
            },
            AGAIN,
        ],
        [
            HI,
            {"type": "tool_search_call", "execution": "client", "call_id": "t", "arguments": {}},
            {
                "type": "tool_search_output",
                "execution": "client",
                "call_id": "t",
                "tools": [FUNCTION],
            },
            AGAIN,
        ],
        ("input.2.tools.1 (mcp)",),
    ),
    Row(
        "a provider's search for tools",
        "OpenAI, Tool search",
        [
            HI,
            {"type": "tool_search_call", "execution": "server", "call_id": None, "arguments": {}},
            {"type": "tool_search_output", "execution": "server", "tools": [FUNCTION]},
            SAID,
            AGAIN,
        ],
        [HI, SAID, AGAIN],
        ("input.1 (tool_search_call)", "input.2 (tool_search_output)"),
    ),
    Row(
        "a compacted conversation",
        "OpenAI, Compaction",
        [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAAB"}, AGAIN],
        [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAAB"}, AGAIN],
    ),
    Row(
        "another effort from here on",
        "OpenAI, configuration_update",
        [HI, {"type": "configuration_update", "reasoning": {"effort": "low"}}, AGAIN],
        [HI, {"type": "configuration_update", "reasoning": {"effort": "low"}}, AGAIN],
    ),
    Row(
        "messages without a type",
        "AI SDK",
        [{"role": "system", "content": "S"}, HI, without(SAID, "type"), AGAIN],
        [{"role": "system", "content": "S"}, HI, without(SAID, "type"), AGAIN],
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_conversation_that_comes_back_is_answered(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = strict(upstream)
    response = ask(PATH, input=row.input)
    assert response.status_code == 200, response.content
    assert upstream.sent["input"] == row.sent
    assert upstream.sent["store"] is False
    assert response.get(HEADER, "") == ", ".join(row.dropped)
    assert settled(payer).dropped_parameters == (list(row.dropped) or None)


REFERENCES: list[Item] = [
    {"type": "item_reference", "id": "rs_1"},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "fc_1"},
    {"type": None, "id": "msg_1"},
    {"type": "message", "id": "msg_1", "role": "assistant"},
    {"type": "message", "id": "msg_1", "role": "assistant", "content": None},
    {"type": "compaction", "id": "cmp_1"},
]


@pytest.mark.parametrize("item", REFERENCES, ids=json.dumps)
def test_a_reference_is_400_and_names_what_helps(item: Item, ask: Ask, upstream: Upstream) -> None:
    response = ask(PATH, input=[HI, item])
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "input.1")
    assert "store: false" in error["message"]
    assert f'include: ["{ENCRYPTED}"]' in error["message"]
    assert (upstream.requests, Completion.objects.count()) == ([], 0)


MALFORMED: list[Any] = [
    "Hi",
    None,
    5,
    [],
    {},
    {"type": []},
    {"type": {}},
    {"type": 5, "role": "user"},
    {"type": "compaction_trigger"},
    {"type": "additional_tools"},
    {"type": "additional_tools", "tools": {}},
    {"type": "additional_tools", "tools": [None]},
    {"type": "tool_search_output", "execution": "client", "tools": "x"},
]


@pytest.mark.parametrize("item", MALFORMED, ids=json.dumps)
def test_a_malformed_item_is_400(item: Any, ask: Ask, upstream: Upstream) -> None:
    response = ask(PATH, input=[HI, item])
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith("input.1")
    assert upstream.requests == []


ODD: list[Item] = [
    {"type": "function_call_output", "call_id": [], "output": None},
    {"type": "function_call", "call_id": {}, "caller": "program"},
    {"type": "web_search_call", "call_id": {"a": []}},
    {"type": "shell_call", "environment": "x"},
    {"role": "user"},
    {"type": "message", "role": None, "content": ""},
    {"type": "reasoning", "encrypted_content": "x", "summary": "x", "content": {}},
]


@pytest.mark.parametrize("item", ODD, ids=json.dumps)
def test_an_odd_item_is_the_providers_to_judge(
    item: Item, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.response_answer()
    assert ask(PATH, input=[HI, SEARCHED, item]).status_code == 200


def test_an_input_of_which_nothing_is_left_is_400(ask: Ask, upstream: Upstream) -> None:
    response = ask(PATH, input=[THOUGHT, SEARCHED])
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input.0")
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["gpt-5", "gpt-5.6-mini", "o3", "o4-mini", "openai/gpt-6-sol"])
def test_models_that_reason_are_asked_for_their_thoughts(
    name: str, ask: Ask, payer: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_UPSTREAM_MODELS = [name]
    upstream.script = scripted_routes.response_answer()
    assert ask(PATH, model=name, include=["message.output_text.logprobs"]).status_code == 200
    assert upstream.sent["include"] == ["message.output_text.logprobs", ENCRYPTED]
    assert ask(PATH, model=name).status_code == 200
    assert upstream.sent["include"] == [ENCRYPTED]
    assert ask(PATH, model=name, include=[ENCRYPTED]).status_code == 200
    assert upstream.sent["include"] == [ENCRYPTED]


@pytest.mark.parametrize(
    "name", ["small", "gpt-4.1", "gpt-4o", "gpt-5-chat-latest", "olmo-3", "gpt-oss-120b", "o"]
)
def test_models_that_do_not_reason_are_not_asked(
    name: str, ask: Ask, payer: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_UPSTREAM_MODELS = [name]
    upstream.script = scripted_routes.response_answer()
    ask(PATH, model=name)
    assert "include" not in upstream.sent
    ask(PATH, model=name, reasoning={"effort": "low"})
    assert upstream.sent["include"] == [ENCRYPTED]


@pytest.mark.parametrize("own", [None, ["message.output_text.logprobs"]])
def test_what_the_gateway_added_can_be_left_out(own: list[str] | None) -> None:
    body: Item = {"input": "Hi", "stream": True, **({"include": own} if own else {})}
    request = RESPONSES.parse(orjson.dumps(body))
    sent = orjson.loads(request.upstream_body(model="gpt-5", max_tokens=50))
    assert (sent["store"], sent["include"]) == (False, [*(own or []), ENCRYPTED])
    again = orjson.loads(
        request.upstream_body(model="gpt-5", max_tokens=50, left_out=["include", "store"])
    )
    assert ("store" in again, again.get("include")) == (False, own)
    other = orjson.loads(request.upstream_body(model="gpt-4.1", max_tokens=50))
    assert (other["store"], other.get("include")) == (False, own)
    request.add_nothing()
    least = orjson.loads(request.upstream_body(model="gpt-5", max_tokens=50))
    assert ("store" in least, least.get("include")) == (False, own)


@pytest.mark.parametrize(("credits", "status"), [(60, 402), (200, 200)])
def test_no_answer_is_limited_to_less_than_openai_takes(
    credits: int,
    status: int,
    ask: Ask,
    client: Client,
    bearer: Any,
    make_user: Callable[..., User],
    upstream: Upstream,
) -> None:
    upstream.script = scripted_routes.response_answer()
    poor = make_user("poor@example.com", credits=credits)
    response = client.post(
        PATH, {"input": "Hi"}, content_type="application/json", headers=bearer(poor)
    )
    assert response.status_code == status
    if status == 200:
        assert 16 <= upstream.sent["max_output_tokens"] < 40
    else:
        assert "16" in response.json()["error"]["message"]
        assert upstream.requests == []


def test_a_caller_may_ask_for_less_than_openai_takes(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.response_answer()
    assert ask(PATH, max_output_tokens=2).status_code == 200
    assert upstream.sent["max_output_tokens"] == 2


def test_no_item_has_two_treatments() -> None:
    tables = (items.FORWARDED, items.LEFT_OUT, items.REFUSED)
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))
