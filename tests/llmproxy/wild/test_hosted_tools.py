"""Tools that a provider would run are left out and named; the caller's own tools are all taken.

Each row: the tools that a client sends, those that the provider gets, and the names of the rest.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from accounts.models import User
from llmproxy.models import Completion, LanguageModel
from tests.llmproxy import scripted_routes
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.wild.conftest import BODIES, MESSAGES, Ask, settled

pytestmark = pytest.mark.django_db(transaction=True)

CHAT, RESPONSES, ANTHROPIC = "/v1/chat/completions", "/v1/responses", "/v1/messages"
HEADER = "x-dropped-parameters"
Tool = dict[str, Any]

FUNCTION: Tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CHAT_FUNCTION: Tool = {"type": "function", "function": {"name": "look"}}
PATCH: Tool = {
    "type": "custom",
    "name": "apply_patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
}
OWN: Tool = {"name": "Bash", "description": "Runs", "input_schema": {"type": "object"}}
WEB: Tool = {"type": "web_search", "external_web_access": False}
SEARCH: Tool = {"type": "tool_search", "execution": "client", "description": "x", "parameters": {}}


def group(*tools: Tool, name: str = "multi_agent_v1") -> Tool:
    return {"type": "namespace", "name": name, "description": "d", "tools": list(tools)}


@dataclass(frozen=True)
class Row:
    name: str
    reference: str
    path: str
    tools: list[Any]
    sent: list[Any] | None  # None: the member is not sent
    dropped: tuple[str, ...] = ()
    choice: Any = None
    sent_choice: Any = None

    def __str__(self) -> str:
        return f"{self.name}-{self.path}"


ROWS = [
    Row(
        "codex",
        "Codex 0.171 with gpt-5.5",
        RESPONSES,
        [FUNCTION, PATCH, group(FUNCTION), SEARCH, WEB],
        [FUNCTION, PATCH, group(FUNCTION), SEARCH],
        ("tools.4 (web_search)",),
        choice="auto",
        sent_choice="auto",
    ),
    Row(
        "codex with shells",
        "Codex 0.4x",
        RESPONSES,
        [{"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"}],
        [{"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"}],
    ),
    Row(
        "shells",
        "OpenAI, Shell: hosted and local",
        RESPONSES,
        [
            {"type": "shell", "environment": {"type": "local"}},
            {"type": "shell", "environment": {"type": "container_auto"}},
            {"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}},
        ],
        [{"type": "shell", "environment": {"type": "local"}}],
        ("tools.1 (shell)", "tools.2 (shell)"),
    ),
    Row(
        "every hosted tool",
        "OpenAI, Responses: tools",
        RESPONSES,
        [
            {"type": "web_search_preview_2025_03_11"},
            FUNCTION,
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "image_generation", "output_format": "png"},
            {"type": "mcp", "server_label": "deepwiki", "server_url": "https://mcp.example.com"},
            {"type": "computer_use_preview", "environment": "browser"},
            {"type": "x_search"},
            {"type": "invented_tomorrow"},
        ],
        [FUNCTION],
        (
            "tools.0 (web_search_preview_2025_03_11)",
            "tools.2 (file_search)",
            "tools.3 (code_interpreter)",
            "tools.4 (image_generation)",
            "tools.5 (mcp)",
            "tools.6 (computer_use_preview)",
            "tools.7 (x_search)",
            "tools.8 (invented_tomorrow)",
        ),
    ),
    Row(
        "a hosted tool in a group",
        "OpenAI, Namespaces",
        RESPONSES,
        [group(FUNCTION, WEB, {"type": "mcp"}), group(WEB, name="only")],
        [group(FUNCTION)],
        ("tools.0.tools.1 (web_search)", "tools.0.tools.2 (mcp)", "tools.1.tools.0 (web_search)"),
    ),
    Row("an empty group", "any", RESPONSES, [group()], [group()]),
    Row(
        "nothing else",
        "openai-python, web search example",
        RESPONSES,
        [WEB],
        None,
        ("tools.0 (web_search)",),
        choice="auto",
    ),
    Row("no tools", "Codex compaction", RESPONSES, [], []),
    Row(
        "tools that a search would load",
        "OpenAI, Tool search",
        RESPONSES,
        [
            {"type": "tool_search"},
            FUNCTION | {"defer_loading": True},
            group(FUNCTION | {"defer_loading": True}),
        ],
        [FUNCTION, group(FUNCTION)],
        ("tools.0 (tool_search)", "tools.1.defer_loading", "tools.2.tools.0.defer_loading"),
    ),
    Row(
        "tools that a program would call",
        "OpenAI, Programmatic tool calling",
        RESPONSES,
        [
            {"type": "programmatic_tool_calling"},
            FUNCTION | {"allowed_callers": ["direct", "programmatic"]},
        ],
        [FUNCTION],
        ("tools.0 (programmatic_tool_calling)", "tools.1.allowed_callers"),
    ),
    Row(
        "a client's search",
        "Codex 0.171",
        RESPONSES,
        [SEARCH, FUNCTION | {"defer_loading": True}],
        [SEARCH, FUNCTION | {"defer_loading": True}],
    ),
    Row(
        "claude code",
        "Claude Code 2.1.332",
        ANTHROPIC,
        [OWN, OWN | {"name": "Later", "defer_loading": True}],
        [OWN, OWN | {"name": "Later", "defer_loading": True}],
    ),
    Row(
        "anthropic's own",
        "Anthropic, Tool use",
        ANTHROPIC,
        [
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "computer_20251124", "name": "computer", "display_width_px": 9},
            {"type": "memory_20250818", "name": "memory"},
            {"type": "browser_toolset_20260801"},
            {"type": "custom", **OWN},
        ],
        [
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "computer_20251124", "name": "computer", "display_width_px": 9},
            {"type": "memory_20250818", "name": "memory"},
            {"type": "browser_toolset_20260801"},
            {"type": "custom", **OWN},
        ],
    ),
    Row(
        "anthropic runs them",
        "Anthropic, Server tools",
        ANTHROPIC,
        [
            OWN,
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            {"type": "web_fetch_20260318", "name": "web_fetch"},
            {"type": "code_execution_20260521", "name": "code_execution"},
            {"type": "mcp_toolset", "mcp_server_name": "s"},
            {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5"},
        ],
        [OWN],
        (
            "tools.1 (web_search_20250305)",
            "tools.2 (web_fetch_20260318)",
            "tools.3 (code_execution_20260521)",
            "tools.4 (mcp_toolset)",
            "tools.5 (advisor_20260301)",
        ),
        choice={"type": "auto"},
        sent_choice={"type": "auto"},
    ),
    Row(
        "code that would call",
        "Anthropic, Programmatic tool calling",
        ANTHROPIC,
        [
            {"type": "code_execution_20250825", "name": "code_execution"},
            OWN | {"allowed_callers": ["code_execution_20250825"]},
        ],
        [OWN],
        ("tools.0 (code_execution_20250825)", "tools.1.allowed_callers"),
    ),
    Row(
        "anthropic's search",
        "Anthropic, Tool search tool",
        ANTHROPIC,
        [
            {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
            OWN | {"defer_loading": True},
        ],
        [OWN],
        ("tools.0 (tool_search_tool_regex_20251119)", "tools.1.defer_loading"),
        choice={"type": "any"},
        sent_choice={"type": "any"},
    ),
    Row(
        "chat",
        "OpenRouter, xAI, Z.ai",
        CHAT,
        [
            CHAT_FUNCTION,
            {"type": "openrouter:web_search"},
            {"type": "live_search"},
            {"type": "web_search", "web_search": {"enable": True}},
        ],
        [CHAT_FUNCTION],
        ("tools.1 (openrouter:web_search)", "tools.2 (live_search)", "tools.3 (web_search)"),
    ),
    Row(
        "kimi's search",
        "Moonshot, $web_search",
        CHAT,
        [{"type": "builtin_function", "function": {"name": "$web_search"}}, CHAT_FUNCTION],
        [CHAT_FUNCTION],
        ("tools.0 (builtin_function)",),
        choice={"type": "function", "function": {"name": "look"}},
        sent_choice={"type": "function", "function": {"name": "look"}},
    ),
    Row(
        "google's tools have no type",
        "Gemini, Grounding",
        CHAT,
        [{"google_search": {}}, CHAT_FUNCTION, {"url_context": {}}, {"code_execution": {}}],
        [CHAT_FUNCTION],
        ("tools.0 (google_search)", "tools.2 (url_context)", "tools.3 (code_execution)"),
        choice="required",
        sent_choice="required",
    ),
    Row(
        "allowed tools",
        "OpenAI, Allowed tools",
        RESPONSES,
        [FUNCTION, WEB, {"type": "mcp", "server_label": "deepwiki"}],
        [FUNCTION],
        ("tools.1 (web_search)", "tools.2 (mcp)"),
        choice={
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "web_search"}, {"type": "function", "name": "look"}],
        },
        sent_choice={
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "look"}],
        },
    ),
    Row(
        "none of the allowed tools is left",
        "OpenAI, Allowed tools",
        RESPONSES,
        [FUNCTION, WEB],
        [FUNCTION],
        ("tools.1 (web_search)",),
        choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
        sent_choice="none",
    ),
    Row(
        "nothing is asked for",
        "any",
        RESPONSES,
        [WEB],
        None,
        ("tools.0 (web_search)",),
        choice="none",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_tools_of_the_caller_are_taken_and_others_named(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    more = {} if row.choice is None else {"tool_choice": row.choice}
    response = ask(row.path, tools=row.tools, **more)
    assert response.status_code == 200, response.content
    assert upstream.sent.get("tools") == row.sent
    assert upstream.sent.get("tool_choice") == row.sent_choice
    assert response.get(HEADER, "") == ", ".join(row.dropped)
    assert settled(payer).dropped_parameters == (list(row.dropped) or None)


def test_without_tools_no_member_about_tools_is_sent(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    ask(RESPONSES, tools=[WEB], tool_choice="auto", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & upstream.sent.keys()


INSISTED: list[tuple[str, list[Tool], Any, str]] = [
    (RESPONSES, [FUNCTION, WEB], {"type": "web_search"}, 'web_search = "disabled"'),
    (
        RESPONSES,
        [FUNCTION, {"type": "web_search_preview"}],
        {"type": "web_search_preview_2025_03_11"},
        'web_search = "disabled"',
    ),
    (RESPONSES, [WEB], "required", 'web_search = "disabled"'),
    (RESPONSES, [{"type": "image_generation"}], {"type": "image_generation"}, "image_generation"),
    (RESPONSES, [FUNCTION, {"type": "code_interpreter"}], {"type": "code_interpreter"}, "code"),
    (
        RESPONSES,
        [FUNCTION, {"type": "mcp", "server_label": "d"}],
        {"type": "mcp", "server_label": "d"},
        "mcp",
    ),
    (
        RESPONSES,
        [FUNCTION, WEB],
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
        "web_search",
    ),
    (
        ANTHROPIC,  # Claude Code's WebSearch asks in a request of its own.
        [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        {"type": "tool", "name": "web_search"},
        '{"deny": ["WebSearch"]}',
    ),
    (
        ANTHROPIC,
        [{"type": "web_search_20260318", "name": "web_search"}],
        {"type": "any"},
        "WebSearch",
    ),
    (
        ANTHROPIC,
        [OWN, {"type": "code_execution_20250825", "name": "code_execution"}],
        {"type": "tool", "name": "code_execution"},
        "code_execution",
    ),
    (
        CHAT,
        [CHAT_FUNCTION, {"type": "builtin_function", "function": {"name": "$web_search"}}],
        {"type": "function", "function": {"name": "$web_search"}},
        "builtin_function",
    ),
    (CHAT, [{"google_search": {}}], "required", "google_search"),
    (
        CHAT,
        [CHAT_FUNCTION, {"type": "web_search"}],
        {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "web_search"}]},
        },
        "web_search",
    ),
]


@pytest.mark.parametrize(("path", "tools", "choice", "told"), INSISTED)
def test_a_caller_who_insists_is_told_what_switches_the_tool_off(
    path: str, tools: list[Tool], choice: Any, told: str, ask: Ask, upstream: Upstream
) -> None:
    response = ask(path, tools=tools, tool_choice=choice)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "tool_choice")
    assert told in error["message"]
    assert ("type" in response.json()) == (path == ANTHROPIC)
    assert (upstream.requests, Completion.objects.count()) == ([], 0)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, ANTHROPIC])
@pytest.mark.parametrize(
    "tools", [{}, "web_search", [None], ["web_search"], [[]], [{"type": []}], [{"type": 5}]]
)
def test_a_malformed_tool_is_400(path: str, tools: Any, ask: Ask, upstream: Upstream) -> None:
    response = ask(path, tools=tools)
    assert response.status_code == 400
    assert response.json()["error"]["param"] in ("tools", "tools.0")
    assert upstream.requests == []


@pytest.mark.parametrize("tools", [None, {}, "x", [1]])
def test_a_malformed_group_is_400(tools: Any, ask: Ask, upstream: Upstream) -> None:
    response = ask(RESPONSES, tools=[{"type": "namespace", "name": "n", "tools": tools}])
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith("tools.0")


@pytest.mark.parametrize("choice", [{}, {"type": None}, {"type": []}, [], 5, {"name": {}}, "odd"])
def test_an_odd_choice_is_the_providers_to_judge(
    choice: Any, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.as_asked("Hello")
    response = ask(RESPONSES, tools=[FUNCTION, WEB], tool_choice=choice)
    assert (response.status_code, upstream.sent["tool_choice"]) == (200, choice)


CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
TOOL_USES = {"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 9}}
COMPACT = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 150_000}}


@pytest.mark.parametrize(
    ("management", "sent", "dropped"),
    [
        ({"edits": [CLEAR]}, {"edits": [CLEAR]}, ""),
        ({"edits": [CLEAR, TOOL_USES]}, {"edits": [CLEAR, TOOL_USES]}, ""),
        ({"edits": [CLEAR, COMPACT]}, {"edits": [CLEAR]}, "context_management (compact_20260112)"),
        ({"edits": [COMPACT]}, None, "context_management (compact_20260112)"),
        ({"edits": [{"type": None}]}, None, "context_management (None)"),
        ({"edits": [CLEAR], "x": 1}, {"edits": [CLEAR]}, "context_management.x"),
        ({"edits": []}, {"edits": []}, ""),
        ({}, {}, ""),
    ],
)
def test_edits_that_only_remove_are_forwarded(
    management: Any, sent: Any, dropped: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.message_answer()
    response = ask(ANTHROPIC, context_management=management)
    assert response.status_code == 200
    assert upstream.sent.get("context_management") == sent
    assert response.get(HEADER, "") == dropped


@pytest.mark.parametrize("management", [[], "x", {"edits": {}}, {"edits": ["clear"]}])
def test_malformed_edits_are_400(management: Any, ask: Ask, upstream: Upstream) -> None:
    response = ask(ANTHROPIC, context_management=management)
    assert response.status_code == 400 or not management
    assert upstream.requests == [] or not management


CLAUDE_CODE = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24,"
    "per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01"
)


@pytest.mark.parametrize(
    ("header", "body", "sent", "dropped"),
    [
        (CLAUDE_CODE, [], CLAUDE_CODE, ""),
        ("prompt-caching-2024-07-31", [], "prompt-caching-2024-07-31", ""),
        ("invented-tomorrow-2027-01-01", [], "invented-tomorrow-2027-01-01", ""),
        ("fast-mode-2026-02-01", [], None, "anthropic-beta: fast-mode-2026-02-01"),
        (
            "context-1m-2025-08-07, effort-2025-11-24,compact-2026-01-12",
            [],
            "effort-2025-11-24",
            "anthropic-beta: context-1m-2025-08-07, anthropic-beta: compact-2026-01-12",
        ),
        ("mcp-client-2026-09-15", [], None, "anthropic-beta: mcp-client-2026-09-15"),
        ("x", [], None, "anthropic-beta: x"),
        ("", ["effort-2025-11-24"], "effort-2025-11-24", ""),
        (
            "effort-2025-11-24",
            ["effort-2025-11-24", "skills-2025-10-02"],
            "effort-2025-11-24",
            "anthropic-beta: skills-2025-10-02",
        ),
        ("", "pdfs-2024-09-25", "pdfs-2024-09-25", ""),
        (", ,", [], None, ""),
    ],
)
def test_beta_features_are_forwarded_or_named(
    header: str, body: Any, sent: str | None, dropped: str, ask: Ask, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.message_answer()
    headers = {"anthropic-beta": header} if header else {}
    response = ask(ANTHROPIC, headers=headers, **({"betas": body} if body else {}))
    assert response.status_code == 200
    received = {name.lower(): value for name, value in upstream.requests[-1][1].items()}
    assert received.get("anthropic-beta") == sent
    assert "betas" not in upstream.sent
    assert response.get(HEADER, "") == dropped


def blocks(*content: Any, role: str = "assistant") -> list[dict[str, Any]]:
    return [MESSAGES[0], {"role": role, "content": list(content)}, MESSAGES[0]]


TEXT_BLOCK = {"type": "text", "text": "Found"}
BLOCKS = [
    (
        "claude code's own search",
        [
            *blocks({"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}})[:2],
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "tool_reference", "tool_name": "WebFetch"}],
                    }
                ],
            },
        ],
        None,
        "",
    ),
    (
        "a system message in the middle",
        [
            MESSAGES[0],
            {"role": "system", "content": "Be short", "output_config": {"effort": "medium"}},
        ],
        None,
        "",
    ),
    (
        "a search of an earlier turn",
        blocks(
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            TEXT_BLOCK,
        ),
        blocks(TEXT_BLOCK),
        "messages.1.content (server_tool_use), messages.1.content (web_search_tool_result)",
    ),
    (
        "nothing is left of a message",
        blocks(
            {"type": "mcp_tool_use", "id": "m"}, {"type": "mcp_tool_result", "tool_use_id": "m"}
        ),
        [MESSAGES[0], MESSAGES[0]],
        "messages.1.content (mcp_tool_use), messages.1.content (mcp_tool_result)",
    ),
    (
        "thinking",
        blocks({"type": "thinking", "thinking": "", "signature": "c2ln"}, TEXT_BLOCK),
        None,
        "",
    ),
    (
        "a tool in the middle",
        blocks(
            {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": OWN}},
            {
                "type": "tool_addition",
                "tool": {
                    "type": "tool_definition",
                    "definition": {"type": "web_search_20260318", "name": "web_search"},
                },
            },
            {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Bash"}},
            role="system",
        ),
        blocks(
            {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": OWN}},
            {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Bash"}},
            role="system",
        ),
        "messages.1.content (tool_addition)",
    ),
]


@pytest.mark.parametrize(
    ("messages", "sent", "dropped"), [row[1:] for row in BLOCKS], ids=[row[0] for row in BLOCKS]
)
def test_blocks_of_agents_are_taken_and_those_of_hosted_tools_named(
    messages: Any, sent: Any, dropped: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.message_answer()
    response = ask(ANTHROPIC, messages=messages)
    assert response.status_code == 200, response.content
    assert upstream.sent["messages"] == (sent or messages)
    assert response.get(HEADER, "") == dropped
    settled(payer)


def test_claude_code_as_shipped(ask: Ask, payer: User, upstream: Upstream) -> None:
    """One turn of Claude Code 2.1.332, with the members and headers that it sends."""
    upstream.script = scripted_routes.message_answer()
    LanguageModel.objects.update(max_output_tokens=64_000)
    cached = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "small",
        "max_tokens": 32000,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: x"}, TEXT_BLOCK | cached],
        "tools": [OWN, OWN | {"name": "Deferred", "defer_loading": True}],
        "metadata": {"user_id": '{"device_id": "1"}'},
        "thinking": {"type": "enabled", "budget_tokens": 31999, "display": "omitted"},
        "context_management": {"edits": [CLEAR]},
    }
    response = ask(ANTHROPIC, headers={"anthropic-beta": CLAUDE_CODE}, **body)
    assert (response.status_code, HEADER in response) == (200, False)
    assert {name: upstream.sent[name] for name in body} == body
    settled(payer)


def test_an_adaptive_thinker_is_asked_as_the_client_says(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.message_answer()
    asked = {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 9}},
        "temperature": 1,
    }
    response = ask(ANTHROPIC, **asked)
    assert (response.status_code, HEADER in response) == (200, False)
    assert {name: upstream.sent[name] for name in asked} == asked


def test_the_body_of_each_route_is_in_these_tables() -> None:
    assert {CHAT, RESPONSES, ANTHROPIC} < BODIES.keys()
