"""The coding agents, as they are shipped, and the settings that make them use the gateway.

Claude Code and Codex send other requests for other models, so they do their task with several.
docs/clients.md tells people the same settings.
"""

import json
from functools import partial

from tests.clients.agent_steps import Agent, Place, make_run
from tests.clients.client import Client
from tests.clients.pictures import make_png

# All tools in one conversation: tools that it loads later, an image, the web (which is refused, and
# the agent goes on), another agent.
_CLAUDE_CODE_TOOLS = """Do these steps.
Call the tool ToolSearch with {{"query": "select:WebSearch,WebFetch"}}
Call the tool Read with {{"file_path": "{work}/red.png"}}
Call the tool WebSearch with {{"query": "credits"}}
Call the tool Agent with {{"description": "Greet", "prompt": "Hi", "subagent_type": "Explore"}}
Call the tool Bash with {{"command": "echo done"}}
"""


def _build_claude_code(place: Place) -> Agent:
    allowed = "Read,Write,Bash,ToolSearch,WebSearch,WebFetch,Agent"
    command = [place.find("claude"), "--allowedTools", allowed, "--output-format", "json", "-p"]
    (place.work / "red.png").write_bytes(make_png())
    variables = {
        "ANTHROPIC_BASE_URL": place.gateway.url,
        "ANTHROPIC_API_KEY": place.gateway.key,
        "ANTHROPIC_MODEL": place.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4-5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    more = {
        "tools": (_CLAUDE_CODE_TOOLS.format(work=place.work), "All steps are done."),
        "/context": ("/context", "System tools"),
    }
    return Agent(command, [*command, "-c"], variables, more)


COMPACTED, COMPACT_TOKENS = "gpt-5.1-codex", 3_000
_CODEX = """
model = "{model}"
model_provider = "smartspec"
model_auto_compact_token_limit = {compact}

[model_providers.smartspec]
name = "SmartSpec"
base_url = "{url}/v1"
env_key = "SMARTSPEC_API_KEY"
wire_api = "responses"

[analytics]
enabled = false
"""


def _build_codex(place: Place) -> Agent:
    (settings := place.folder / "home" / ".codex").mkdir()
    # With the first model it summarises the conversation in the middle of the task.
    compact = COMPACT_TOKENS if place.model == COMPACTED else 10**6
    text = _CODEX.format(model=place.model, url=place.gateway.url, compact=compact)
    (settings / "config.toml").write_text(text)
    # Its sandbox needs rights of the kernel that a container may not have; the folder is empty.
    free = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    command = [place.find("codex"), "exec"]
    variables = {"SMARTSPEC_API_KEY": place.gateway.key}
    return Agent([*command, *free], [*command, "resume", "--last", *free], variables)


# The AI SDK's providers for the makers' own APIs; all other models have the compatible one.
_PACKAGES = {"gpt-5.5": "@ai-sdk/openai", "claude-sonnet-4-5": "@ai-sdk/anthropic"}


def _build_opencode(place: Place) -> Agent:
    small = "claude-haiku-4-5" if place.model.startswith("claude") else "gpt-4.1-mini"
    provider = {
        "npm": _PACKAGES.get(place.model, "@ai-sdk/openai-compatible"),
        "name": "SmartSpec",
        "options": {"baseURL": f"{place.gateway.url}/v1", "apiKey": "{env:SMARTSPEC_API_KEY}"},
        "models": {name: {"name": name} for name in (place.model, small)},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "provider": {"smartspec": provider},
        "model": f"smartspec/{place.model}",
        "small_model": f"smartspec/{small}",
    }
    (folder := place.folder / "home" / ".config" / "opencode").mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(settings))
    command = [place.find("opencode"), "run"]
    variables = {
        "SMARTSPEC_API_KEY": place.gateway.key,
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }
    return Agent(command, [*command, "-c"], variables)


def find_maker(model: str) -> tuple[str, str]:
    """Return the maker of the model, and what its clients want at the end of the base URL."""
    return ("anthropic", "") if model.startswith("claude") else ("openai", "/v1")


def _build_qwen_code(place: Place) -> Agent:
    maker, suffix = find_maker(place.model)
    command = [place.find("qwen"), "--auth-type", maker, "--yolo"]
    variables = {
        f"{maker.upper()}_BASE_URL": f"{place.gateway.url}{suffix}",
        f"{maker.upper()}_API_KEY": place.gateway.key,
        f"{maker.upper()}_MODEL": place.model,
        "QWEN_TELEMETRY_ENABLED": "0",
    }
    return Agent([*command, "-p"], [*command, "--continue", "-p"], variables)


def _build_aider(place: Place) -> Agent:
    """Aider has no tools: it reads edits from the text, and runs the command as its test."""
    maker, suffix = find_maker(place.model)
    weak = {"openai": "gpt-4.1-mini", "anthropic": "claude-haiku-4-5"}[maker]
    names = ("--model", f"{maker}/{place.model}", "--weak-model", f"{maker}/{weak}")
    quiet = ("--no-check-update", "--no-show-model-warnings", "--analytics-disable", "--no-git")
    command = [str(place.installed.parent / "aider"), *names, *quiet, "--yes-always"]
    files = ["--read", "notes.txt", "--test-cmd", "cat result.txt", "--auto-test"]
    variables = {
        f"{maker.upper()}_API_BASE": f"{place.gateway.url}{suffix}",
        f"{maker.upper()}_API_KEY": place.gateway.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    again = [*command, "--restore-chat-history", "--message"]
    return Agent([*command, *files, "--message"], again, variables)


_agent = partial(Client, group="node-agents")
AGENTS = [
    _agent(
        "Claude Code",
        package="@anthropic-ai/claude-code",
        run=make_run(_build_claude_code, "claude-sonnet-4-5", "claude-sonnet-5", "claude-opus-5-5"),
    ),
    _agent(
        "Codex",
        package="@openai/codex",
        run=make_run(_build_codex, COMPACTED, "gpt-5.5", "gpt-6-sol"),
    ),
    _agent(
        "opencode",
        package="opencode-ai",
        run=make_run(_build_opencode, "gpt-5-mini", "gpt-4.1", *_PACKAGES),
    ),
    _agent(
        "qwen-code",
        package="@qwen-code/qwen-code",
        run=make_run(_build_qwen_code, "gpt-5-mini", "gpt-4.1", "claude-sonnet-4-5"),
    ),
    Client(
        "aider",
        "aider",
        "aider-chat",
        make_run(_build_aider, "gpt-5-mini", "gpt-4.1", "claude-sonnet-4-5"),
    ),
]
