"""A client: how it is installed, how it is run, and what its run showed."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.gateway import Gateway

NICE = ("nice", "-n", "5")
SECONDS = 180  # for the run of one client


@dataclass(frozen=True)
class Step:
    """What a client did: a problem, empty if it went well, and the usage that the client read."""

    name: str
    problem: str = ""
    usages: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Client:
    """`run` does the steps in an empty folder. `group` names the packages that it needs."""

    name: str
    group: str
    package: str
    run: Callable[[Gateway, Path, Path], list[Step]] = field(repr=False)


def run_program(
    command: list[str], folder: Path, variables: dict[str, str], seconds: int = SECONDS
) -> "subprocess.CompletedProcess[str]":
    """Run a program in its own process group, which is killed after `seconds`.

    Its environment has only the variables that are named here, and its home is in the folder, so it
    finds no configuration and no keys of the person who runs it.
    """
    (home := folder / "home").mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb",
        "NO_COLOR": "1", "CI": "1", **variables,
    }  # fmt: skip
    (work := folder / "work").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*NICE, *command],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        output, errors = "", f"It did not end within {seconds} s."
    finally:
        _kill_group(process)
    (folder / "output.txt").write_text(f"{output}\n{errors}")
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _kill_group(process: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_steps(done: "subprocess.CompletedProcess[str]") -> list[Step]:
    """Return the steps that a driver printed; a driver that printed none has one failed step."""
    steps = []
    for line in done.stdout.splitlines():
        if line.startswith('{"step"'):
            said: dict[str, Any] = json.loads(line)
            usages = tuple((prompt, completion) for prompt, completion in said.get("usages", ()))
            steps.append(Step(said["step"], said["problem"], usages))
    if done.returncode or not steps:
        steps.append(Step("end", (done.stderr or done.stdout).strip()[-400:] or "no output"))
    return steps
