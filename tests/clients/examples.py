"""Runs the examples of llmproxy/examples.py as a person does: saves files, types commands."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clients import installing
from tests.clients.client import Client, Step, run_program
from tests.clients.gateway import Gateway
from tests.clients.sdks import QUIET

if TYPE_CHECKING:
    from llmproxy.examples import Example

ANSWER = "Hello, this is the answer."
INSTALLS = ("pip install ", "npm install ")
QUICK = ("curl", "python", "javascript")  # need no package: the tests run them each time
# The examples with a package: where `make clients` has installed it, and its name.
PACKAGES = {
    "openai_python": ("sdks", "openai"),
    "anthropic_python": ("sdks", "anthropic"),
    "openai_javascript": ("node-sdks", "openai"),
    "anthropic_javascript": ("node-sdks", "@anthropic-ai/sdk"),
    "claude_code": ("node-agents", "@anthropic-ai/claude-code"),
    "codex": ("node-agents", "@openai/codex"),
}
_MODELS = {"anthropic": "claude-sonnet-5", "claude": "claude-sonnet-5", "codex": "gpt-5.5"}


def choose_mock_model(slug: str) -> str:
    """Return the model of the mock for this example."""
    return _MODELS.get(slug.partition("_")[0], "gpt-4.1")


def find_package(example: "Example") -> str:
    """Return the package that the example installs; empty if it needs none."""
    code = example.steps[0].code
    return code.split()[-1] if code.startswith(INSTALLS) else ""


def write_script(example: "Example", home: Path, work: Path) -> str:
    """Save the files of the example, and return its commands without the one that installs."""
    commands = []
    for step in example.steps:
        if step.file:
            path = work / step.file.replace("~", str(home))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.code + "\n")
        elif not step.code.startswith(INSTALLS):
            commands.append(step.code)
    return "\n".join(commands)


def run_quickly(example: "Example", folder: Path, variables: Mapping[str, str]) -> str:
    """Run an example in an empty folder, and return what it printed, errors included."""
    done = subprocess.run(
        ["bash", "-eu", "-c", write_script(example, folder, folder)],
        cwd=folder,
        env={"HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def list_clients() -> list[Client]:
    """Return the examples that need a package, as clients of `make clients`."""
    return [
        Client(f"Example {slug}", group, package, _make_run(slug, group))
        for slug, (group, package) in PACKAGES.items()
    ]


def _make_run(slug: str, group: str) -> Callable[[Gateway, Path, Path], list[Step]]:
    def run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
        # The site is set up by now, as the module of the examples needs it.
        from llmproxy.examples import write_example

        example = write_example(slug, choose_mock_model(slug), gateway.url)
        (home := folder / "home").mkdir()
        (work := folder / "work").mkdir()
        script = write_script(example, home, work)
        if group == "node-sdks":
            (work / "node_modules").symlink_to(installed / "node_modules")
        variables = {
            **QUIET,
            "SMARTSPEC_API_KEY": gateway.key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "PATH": _build_path(group, installed),
        }
        done = run_program(["bash", "-eu", "-c", script], folder, variables)
        said = (done.stdout + done.stderr).strip()
        return [Step(slug, "" if ANSWER in done.stdout else f"it printed {said[-400:]!r}")]

    return run


def _build_path(group: str, installed: Path) -> str:
    """Return the search path, with the programs of the group before all others."""
    own = installed / "node_modules" / ".bin" if group.startswith("node") else installed.parent
    return os.pathsep.join([str(own), str(installing.find_node().parent), os.environ["PATH"]])
