"""What each coding agent does: a whole task with its own tools, then something more.

The task: read a file, write the word that stands there into another one, run a command. Whether the
agent did it shows the written file.
"""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients import installing
from tests.clients.client import Step, run_program
from tests.clients.gateway import Gateway

AGENT_SECONDS = 120
TASK = (
    "Read the file {work}/notes.txt and write it to the file {work}/result.txt with your tools:"
    " only the word that stands there. Then run cat {work}/result.txt and tell me what it printed."
)
AGAIN, ANSWER = "Tell me again in words.", "Hello, this is the answer."


@dataclass(frozen=True)
class Place:
    """Where an agent runs: the site, its packages, an empty folder, and the model that it asks."""

    gateway: Gateway
    installed: Path
    folder: Path
    model: str

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def find(self, program: str) -> str:
        return str(self.installed / "node_modules" / ".bin" / program)


@dataclass(frozen=True)
class Agent:
    """The command of an agent; the last argument is what the user says.

    `again` continues the last conversation. `more` has further things to say in a conversation of
    their own, by name, each with words that the agent has to answer.
    """

    first: list[str]
    again: list[str]
    variables: dict[str, str]
    more: dict[str, tuple[str, str]] = field(default_factory=dict)


def make_run(
    build: Callable[[Place], Agent], *models: str
) -> Callable[[Gateway, Path, Path], list[Step]]:
    def run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
        return [
            step
            for model in models
            for step in _list_steps(Place(gateway, installed, folder / model, model), build)
        ]

    return run


def _list_steps(place: Place, build: Callable[[Place], Agent]) -> Iterator[Step]:
    """Do the task, say something more in the same conversation, then all else."""
    place.work.mkdir(parents=True)
    (place.folder / "home").mkdir()
    agent = build(place)
    yield _do_task(place, agent)
    yield _talk(place, agent, f"{place.model} again", agent.again, AGAIN, ANSWER)
    for name, (said, expected) in agent.more.items():
        yield _talk(place, agent, f"{place.model} {name}", agent.first, said, expected)


def _do_task(place: Place, agent: Agent) -> Step:
    word = f"w{secrets.token_hex(4)}"
    (place.work / "notes.txt").write_text(f"The word is: {word}\n")
    done = _run(place, agent, [*agent.first, TASK.format(work=place.work)])
    result = place.work / "result.txt"
    written = result.read_text().strip() if result.exists() else None
    if done.returncode or written != word:
        told = (done.stdout + done.stderr).strip()[-400:]
        return Step(place.model, f"it ended with {done.returncode}, wrote {written!r}: {told}")
    if word not in done.stdout:
        return Step(place.model, f"it does not tell the word: {done.stdout.strip()[-300:]}")
    return Step(place.model)


def _talk(
    place: Place, agent: Agent, name: str, command: list[str], said: str, expected: str
) -> Step:
    done = _run(place, agent, [*command, said])
    if done.returncode or expected not in done.stdout:
        return Step(name, f"it ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return Step(name)


def _run(place: Place, agent: Agent, command: list[str]) -> "subprocess.CompletedProcess[str]":
    path = {"PATH": f"{installing.find_node().parent}:/usr/local/bin:/usr/bin:/bin"}
    return run_program(command, place.folder, path | agent.variables, AGENT_SECONDS)
