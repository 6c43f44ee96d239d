"""The beta features of Anthropic's API, and the members of a request that need one.

Source: Anthropic API reference, "Beta headers".
"""

from typing import Any, get_args

from anthropic.types import AnthropicBetaParam

from tests.clients.mock.refusals import refuse_anthropic
from tests.clients.mock.shapes import Path

# Features that Claude Code asks for, Anthropic's own agent, although the published list lacks them.
UNLISTED = (
    *("claude-code-20250219", "advanced-tool-use-2025-11-20", "per-turn-control-2026-07-01"),
    *("effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14", "redact-thinking-2026-02-12"),
    *("prompt-caching-scope-2026-01-05", "web-search-2025-03-05"),
)
# Members that only the types for beta features have, with the features that allow each.
ALLOWED_BY = {
    "context_management": ("context-management-", "compact-"),
    "output_config": ("per-turn-control-", "mid-conversation-output-config-"),
    "output_format": ("structured-outputs-",),
    "mcp_servers": ("mcp-client-",),
    "compaction": ("compact-",),
    "clear_at": ("mid-conversation-system-clear-at-",),
    "fallbacks": ("server-side-fallback-",),
    "fallback_credit_token": ("fallback-credit-",),
    "thread": ("message-threads-",),
    "block_binding": ("thinking-binding-controls-",),
    "task_budget": ("task-budgets-",),
}


def list_known(kind: Any) -> frozenset[str]:
    """Return the texts among the values that the type allows."""
    known: set[str] = set()
    for one in get_args(kind):
        known |= {one} if isinstance(one, str) else list_known(one)
    return frozenset(known)


KNOWN = list_known(AnthropicBetaParam) | set(UNLISTED)


def read(headers: dict[str, str]) -> list[str]:
    """Return the features that the header asks for. Raises Refused for an unknown one."""
    asked = [name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip()]
    unknown = [name for name in asked if name not in KNOWN]
    if unknown:
        names = ", ".join(f"`{name}`" for name in unknown)
        raise refuse_anthropic(
            f"Unexpected value(s) {names} for the `anthropic-beta` header. Please consult our"
            " documentation at docs.claude.com or try again without the header."
        )
    return asked


def allows(path: Path, asked: list[str]) -> bool:
    """True if one of these features allows the member at the path, which the usual types lack."""
    return any(
        name.startswith(prefix)
        for step in path
        for prefix in ALLOWED_BY.get(str(step), ())
        for name in asked
    )
