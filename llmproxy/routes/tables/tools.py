"""Tools: the caller runs them, or they are left out of the request and named.

What a tool of a provider costs is not in the usage of an answer, so it cannot be metered. A caller
who insists on such a tool gets 400 instead of an answer without it.

Sources: OpenAI API reference, "Responses: tools"; Anthropic, "Tool use" and "Tool search tool";
the function tools of the agents in docs/parameters.md.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes.kinds import build_malformed_tool_refusal
from llmproxy.routes.request_body import Body, check_cache

# Anthropic describes each of these tools to the model in about TOOL_TOKENS tokens, which the
# request does not show. The caller runs them.
DESCRIBED = re.compile(r"(bash|text_editor|computer|memory|(computer|browser)_toolset)_\d{8}\Z")
TOOL_TOKENS = 1500
OWN_TYPES = ("function", "custom")  # tuples, because a caller may send a list as a type
LOCAL_TYPES = (*OWN_TYPES, "local_shell", "apply_patch")
# Google's tools have no type: their only member is named after the tool.
WITHOUT_TYPE = re.compile(
    r"(google|enterprise|url|code|web|file|computer|retrieval)_?[a-zA-Z_]*\Z", re.ASCII
)
# Values of tool_choice that ask for any tool, and types of it that do not name a provider's tool.
ANY = ("required", "any")
CHOICES = (*LOCAL_TYPES, "shell", "tool", "allowed_tools", "auto", "none", *ANY)
# How well-known clients are told not to send a tool. The keys are the beginnings of its type.
SETTINGS = {
    "web_search": 'Codex: web_search = "disabled" in config.toml. '
    'Claude Code: "permissions": {"deny": ["WebSearch"]} in settings.json.',
    "image_generation": "Codex: image_generation = false under [features] in config.toml.",
    "tool_search": "Claude Code: ENABLE_TOOL_SEARCH=false in its environment.",
}


def _is_own(tool: Body) -> bool:
    return tool.get("type") in OWN_TYPES


def _is_local(tool: Body) -> bool:
    """True for a tool that the caller of Responses runs. A shell can also be the provider's."""
    kind = tool.get("type")
    if kind == "shell":
        return is_local_shell(tool)
    return kind in LOCAL_TYPES or (kind == "tool_search" and tool.get("execution") == "client")


def is_local_shell(tool: Body) -> bool:
    """True for a shell, or a call of one, whose commands run where the caller is."""
    environment = tool.get("environment") or {}
    return isinstance(environment, dict) and environment.get("type", "local") == "local"


def _is_anthropics(tool: Body) -> bool:
    kind = tool.get("type")
    return kind in (None, "custom") or (isinstance(kind, str) and bool(DESCRIBED.match(kind)))


Runs = Callable[[Body], bool]
CHAT: Runs = _is_own
RESPONSES: Runs = _is_local
MESSAGES: Runs = _is_anthropics


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A tool that is left out: its place in the request, its type, and itself."""

    param: str
    kind: str
    tool: Body

    @property
    def label(self) -> str:
        return f"{self.param} ({self.kind})"

    @property
    def names(self) -> Iterator[Any]:
        """The names by which `tool_choice` can ask for it."""
        function = self.tool.get("function")
        yield from (self.tool.get("name"), self.tool.get("server_label"))
        yield function.get("name") if isinstance(function, dict) else None


def leave_out(body: Body, callers: Runs) -> list[str]:
    """Remove the tools from `body` that the caller does not run; return their names.

    `callers` returns True for a tool that the caller runs. Raises InvalidRequest for a malformed
    tool, and for one that `tool_choice` insists on.
    """
    kept, left_out = sort(body["tools"], "tools", callers)
    if not left_out:
        return []
    body["tools"] = [tool for _param, tool in kept]
    _adapt_choice(body, left_out)
    if not kept:
        # Providers refuse an empty list, and these members without tools.
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    return [*(gone.label for gone in left_out), *_adapt_kept(kept, left_out)]


def sort(
    tools: list[Any], param: str, callers: Runs
) -> tuple[list[tuple[str, Body]], list[LeftOut]]:
    """Return the tools that the caller runs, each with its place, and those that are left out."""
    kept: list[tuple[str, Body]] = []
    left_out: list[LeftOut] = []
    for index, tool in enumerate(tools):
        place = f"{param}.{index}"
        if not isinstance(tool, dict):
            raise build_malformed_tool_refusal(place)
        check_cache(tool, place)
        if callers(tool):
            kept.append((place, tool))
        elif tool.get("type") == "namespace" and callers is RESPONSES:
            left_out += _sort_namespace(tool, place, kept)
        else:
            left_out.append(LeftOut(place, _read_kind(tool, place), tool))
    return kept, left_out


def _sort_namespace(group: Body, place: str, kept: list[tuple[str, Body]]) -> list[LeftOut]:
    """Check the tools of a group like any others; keep the group if one of them is kept."""
    if not isinstance(group.get("tools"), list):
        raise build_malformed_tool_refusal(place)
    inner, left_out = sort(group["tools"], f"{place}.tools", CHAT)
    if left_out:
        group["tools"] = [tool for _param, tool in inner]
    if inner or not left_out:
        kept.append((place, group))
    return left_out


def _read_kind(tool: Body, place: str) -> str:
    """Return the type of a tool of a provider. Raises InvalidRequest if it has none."""
    kind = tool.get("type")
    if isinstance(kind, str) and kind:
        return kind
    if kind is None and len(tool) == 1 and WITHOUT_TYPE.match(name := next(iter(tool))):
        return name
    raise build_malformed_tool_refusal(place)


def _adapt_choice(body: Body, left_out: list[LeftOut]) -> None:
    """Remove the tools that are left out from `tool_choice`.

    Raises InvalidRequest if the caller insists on one of them.
    """
    choice, tools = body.get("tool_choice"), body["tools"]
    if isinstance(choice, str):
        if choice in ANY and not tools:
            raise _build_insisted_refusal(left_out[0])
        return
    if not isinstance(choice, dict):
        return
    kind = choice.get("type")
    if kind == "allowed_tools":
        _adapt_allowed(body, choice, left_out)
    elif gone := _find_insisted(choice, tools, left_out):
        raise _build_insisted_refusal(gone)


def _find_insisted(choice: Body, tools: list[Body], left_out: list[LeftOut]) -> LeftOut | None:
    """Return the tool that this `tool_choice` insists on, if it is left out."""
    kind, function = choice.get("type"), choice.get("function")
    if kind in ANY:
        return None if tools else left_out[0]
    if isinstance(kind, str) and kind not in CHOICES:
        return next((gone for gone in left_out if gone.kind == kind), left_out[0])
    name = choice.get("name") or (function.get("name") if isinstance(function, dict) else None)
    return next(
        (gone for gone in left_out if kind == gone.kind or (name and name in gone.names)), None
    )


def _adapt_allowed(body: Body, choice: Body, left_out: list[LeftOut]) -> None:
    """Remove the tools that are left out from a list of allowed tools."""
    nested = choice.get("allowed_tools")
    allowed = nested if isinstance(nested, dict) else choice
    listed = allowed.get("tools")
    if not isinstance(listed, list):
        return
    rest = [
        entry
        for entry in listed
        if not (isinstance(entry, dict) and _find_insisted(entry, body["tools"], left_out))
    ]
    if rest:
        allowed["tools"] = rest
    elif allowed.get("mode") in ANY:
        raise _build_insisted_refusal(left_out[0])
    else:
        body["tool_choice"] = "none"


def _adapt_kept(kept: list[tuple[str, Body]], left_out: list[LeftOut]) -> list[str]:
    """Remove from the caller's tools what refers to a tool that is left out; return the names.

    A tool that a search would load has to be loaded at once, and one that code would call has to be
    called by the model: providers refuse such a member without the tool that it needs.
    """
    kinds = " ".join(gone.kind for gone in left_out)
    members = [
        *(["defer_loading"] if "tool_search" in kinds else []),
        *(["allowed_callers"] if "code_execution" in kinds or "programmatic" in kinds else []),
    ]
    return [
        f"{place}.{member}"
        for place, tool in _iterate_nested(kept)
        for member in members
        if tool.pop(member, None)
    ]


def _iterate_nested(kept: list[tuple[str, Body]]) -> Iterator[tuple[str, Body]]:
    for place, tool in kept:
        yield place, tool
        if tool.get("type") == "namespace":
            for index, inner in enumerate(tool["tools"]):
                yield f"{place}.tools.{index}", inner


def _build_insisted_refusal(gone: LeftOut) -> InvalidRequest:
    setting = next((SETTINGS[name] for name in SETTINGS if gone.kind.startswith(name)), "")
    message = _(
        "tool_choice asks for %(tool)s, which the provider would run. It is not available here, "
        "because its cost cannot be metered. Remove it from tools and tool_choice."
    ) % {"tool": gone.label}
    if setting:
        message += " " + _("Settings of clients: %(setting)s") % {"setting": setting}
    return InvalidRequest(message, param="tool_choice")


def count_described_tokens(tools: list[Body]) -> int:
    """Return the tokens of the tools that Anthropic itself describes to the model."""
    return TOOL_TOKENS * sum(tool.get("type") not in (None, "custom") for tool in tools)
