"""The coding agents: each does a whole task with its own tools, without a person.

The task: read a file, write the word that stands there into another one, run a command. Whether the
agent did it shows the written file. Claude Code and Codex send other requests for other models, so
they do the task with several.
"""

import json
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.clients import installing
from tests.clients.client import Client, Step, run_program
from tests.clients.gateway import Gateway

AGENT_SECONDS = 120
TASK = (
    "Read the file {work}/notes.txt and write it to the file {work}/result.txt with your tools:"
    " only the word that stands there. Then run cat {work}/result.txt and tell me what it printed."
)
Run = Callable[[Gateway, Path, Path, str, str], "tuple[list[str], dict[str, str]]"]


def _make(build: Run, *models: str) -> Callable[[Gateway, Path, Path], list[Step]]:
    def run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
        return [_do_task(gateway, installed, folder / name, name, build) for name in models]

    return run


def _do_task(gateway: Gateway, installed: Path, folder: Path, model: str, build: Run) -> Step:
    """Let the agent do the task; return a step with the name of the model."""
    (work := folder / "work").mkdir(parents=True)
    (folder / "home").mkdir()
    word = f"w{secrets.token_hex(4)}"
    (work / "notes.txt").write_text(f"The word is: {word}\n")
    command, variables = build(gateway, installed, folder, model, TASK.format(work=work))
    path = {"PATH": f"{installing.find_node().parent}:/usr/local/bin:/usr/bin:/bin"}
    done = run_program(command, folder, path | variables, AGENT_SECONDS)
    written = (work / "result.txt").read_text().strip() if (work / "result.txt").exists() else None
    if done.returncode or written != word:
        told = (done.stdout + done.stderr).strip()[-400:]
        return Step(model, f"it ended with {done.returncode}, the file has {written!r}: {told}")
    if word not in done.stdout.split("tokens used")[-1]:
        return Step(model, f"its last words lack the file's text: {done.stdout.strip()[-300:]}")
    return Step(model)


def _run_claude_code(
    gateway: Gateway, installed: Path, folder: Path, model: str, task: str
) -> tuple[list[str], dict[str, str]]:
    program = str(installed / "node_modules" / ".bin" / "claude")
    command = [program, "-p", task, "--allowedTools", "Read,Write,Bash", "--output-format", "json"]
    return command, {
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_API_KEY": gateway.key,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4-5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


_CODEX = """
model = "{model}"
model_provider = "smartspec"

[model_providers.smartspec]
name = "SmartSpec"
base_url = "{url}/v1"
env_key = "SMARTSPEC_API_KEY"
wire_api = "responses"

[analytics]
enabled = false
"""


def _run_codex(
    gateway: Gateway, installed: Path, folder: Path, model: str, task: str
) -> tuple[list[str], dict[str, str]]:
    (settings := folder / "home" / ".codex").mkdir()
    (settings / "config.toml").write_text(_CODEX.format(model=model, url=gateway.url))
    program = str(installed / "node_modules" / ".bin" / "codex")
    # Its sandbox needs rights of the kernel that a container may not have; the folder is empty.
    free = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    return [program, "exec", *free, task], {"SMARTSPEC_API_KEY": gateway.key}


def _run_opencode(
    gateway: Gateway, installed: Path, folder: Path, model: str, task: str
) -> tuple[list[str], dict[str, str]]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "SmartSpec",
        "options": {"baseURL": f"{gateway.url}/v1", "apiKey": "{env:SMARTSPEC_API_KEY}"},
        "models": {name: {"name": name} for name in (model, "gpt-4.1-mini")},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "provider": {"smartspec": provider},
        "model": f"smartspec/{model}",
        "small_model": "smartspec/gpt-4.1-mini",
    }
    (place := folder / "home" / ".config" / "opencode").mkdir(parents=True)
    (place / "opencode.json").write_text(json.dumps(settings))
    program = str(installed / "node_modules" / ".bin" / "opencode")
    return [program, "run", task], {
        "SMARTSPEC_API_KEY": gateway.key,
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }


def _run_qwen_code(
    gateway: Gateway, installed: Path, folder: Path, model: str, task: str
) -> tuple[list[str], dict[str, str]]:
    program = str(installed / "node_modules" / ".bin" / "qwen")
    return [program, "--auth-type", "openai", "--yolo", "-p", task], {
        "OPENAI_BASE_URL": f"{gateway.url}/v1",
        "OPENAI_API_KEY": gateway.key,
        "OPENAI_MODEL": model,
        "QWEN_TELEMETRY_ENABLED": "0",
    }


def _run_aider(
    gateway: Gateway, installed: Path, folder: Path, model: str, task: str
) -> tuple[list[str], dict[str, str]]:
    """Aider has no tools: it reads edits from the text, and runs the command as its test."""
    names = ("--model", f"openai/{model}", "--weak-model", "openai/gpt-4.1-mini")
    quiet = ("--no-check-update", "--no-show-model-warnings", "--analytics-disable", "--no-git")
    files = ("--read", "notes.txt", "--test-cmd", "cat result.txt", "--auto-test")
    command = [str(installed.parent / "aider"), *names, *quiet, *files, "--yes-always"]
    return [*command, "--message", task], {
        "OPENAI_API_BASE": f"{gateway.url}/v1",
        "OPENAI_API_KEY": gateway.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


_agent = partial(Client, group="node-agents")
AGENTS = [
    _agent(
        "Claude Code",
        package="@anthropic-ai/claude-code",
        run=_make(_run_claude_code, "claude-sonnet-4-5", "claude-sonnet-5", "claude-opus-5-5"),
    ),
    _agent(
        "Codex",
        package="@openai/codex",
        run=_make(_run_codex, "gpt-5.1-codex", "gpt-5.5", "gpt-6-sol"),
    ),
    _agent("opencode", package="opencode-ai", run=_make(_run_opencode, "gpt-5-mini", "gpt-4.1")),
    _agent(
        "qwen-code",
        package="@qwen-code/qwen-code",
        run=_make(_run_qwen_code, "gpt-5-mini", "gpt-4.1"),
    ),
    Client("aider", "aider", "aider-chat", _make(_run_aider, "gpt-5-mini", "gpt-4.1")),
]
