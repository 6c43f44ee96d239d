"""Simon Willison's command `llm`, with a model of ours in its configuration."""

import os
import subprocess
import sys
from pathlib import Path

from steps import ANSWER, KEY, PLAIN, POOR_KEY, REASONS, V1, expect, run

FOLDER = Path(os.environ["HOME"]) / "llm"
MODELS = "".join(
    f"- model_id: our-{name}\n  model_name: {name}\n  api_base: {V1}\n  api_key_name: smartspec\n"
    "  supports_tools: true\n  supports_schema: true\n"
    for name in (PLAIN, REASONS)
)
FUNCTION = 'def weather(city: str) -> str:\n    "The weather"\n    return "sunny in " + city\n'


def llm(*arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "extra-openai-models.yaml").write_text(MODELS)
    command = [str(Path(sys.executable).with_name("llm")), *arguments, "--key", key]
    return subprocess.run(
        command,
        env={**os.environ, "LLM_USER_PATH": str(FOLDER)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def say(*arguments: str) -> str:
    done = llm(*arguments)
    expect(done.returncode == 0, done.stderr)
    return done.stdout.strip()


def json() -> None:
    expect(say("-m", f"our-{REASONS}", "--no-stream", "Say hello.") == ANSWER)


def stream() -> None:
    expect(say("-m", f"our-{PLAIN}", "Say hello.") == ANSWER)


def second_turn() -> None:
    expect(say("-c", "And again?") == ANSWER)


def tools() -> None:
    told = say("-m", f"our-{REASONS}", "--functions", FUNCTION, "What is the weather?")
    expect("sunny in x" in told, told)


def schema() -> None:
    told = say("-m", f"our-{PLAIN}", "--schema", "city, people int", "Where?")
    expect('"city"' in told, told)


def credits_error() -> None:
    done = llm("-m", f"our-{PLAIN}", "Hi", key=POOR_KEY)
    expect(done.returncode and "credits" in done.stderr, done.stderr)


run(json, stream, second_turn, tools, schema, credits_error)
