"""The site that a launcher serves: its addresses, folders and child processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smartspec.local import processes

TAIL_LINES = 15


class LaunchError(Exception):
    """The site cannot run. The text is for the person at the terminal."""


@dataclass(frozen=True)
class Child:
    """A process of the site, with its log file."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def check(self) -> None:
        """Raise LaunchError if the process has ended."""
        if (code := self.process.poll()) is not None:
            raise LaunchError(f"The {self.name} ended with code {code}.\n{tail(self.log)}")


@dataclass
class Site:
    """The site that is served from one checkout."""

    root: Path
    port: int
    environment: dict[str, str]
    children: list[Child] = field(default_factory=list)
    on_terminal: bool = field(default_factory=lambda: os.isatty(0))
    started: float = field(default_factory=time.monotonic)

    @property
    def has_database(self) -> bool:
        """True if the environment names a database, so that none is started."""
        return any(self.environment.get(name) for name in ("DATABASE_URL", "DATABASE_URL_FILE"))

    @property
    def data(self) -> Path:
        return Path(self.environment.get("DATA_DIR") or self.root / ".data")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self, name: str) -> Path:
        return self.data / "log" / f"{name.replace(' ', '-')}.log"

    def progress(self, text: str) -> None:
        say(f"  {time.monotonic() - self.started:5.1f} s  {text}")

    @contextmanager
    def child(
        self, name: str, *arguments: str, stop_seconds: float = 5, **options: Any
    ) -> Iterator[Child]:
        """Start a Python program, which is stopped at the end of the block.

        It gets SIGTERM, and SIGKILL if it has not ended after `stop_seconds`.
        """
        with self.log(name).open("w") as log:
            process = processes.start(
                [sys.executable, *arguments],
                cwd=self.root,
                process_group=0,  # Ctrl-C reaches only the launcher, which stops the children.
                stdin=subprocess.DEVNULL,
                stderr=log,
                **{"env": self.environment, "stdout": log, **options},
            )
        child = Child(name, process, self.log(name))
        self.children.append(child)
        try:
            yield child
        finally:
            self.children.remove(child)
            processes.stop(process, seconds=stop_seconds)

    def manage(self, *arguments: str) -> str:
        """Run a management command and return its output, which is not logged (a password).

        Raises LaunchError if the command fails.
        """
        with self.child(arguments[0], "manage.py", *arguments, stdout=subprocess.PIPE) as child:
            output, _ = child.process.communicate()
        if child.process.returncode:
            raise LaunchError(f"manage.py {' '.join(arguments)} failed.\n{tail(child.log)}")
        return output


def tail(log: Path) -> str:
    """Return the last lines of a log and the path of the file."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([*(f"  | {line}" for line in lines[-TAIL_LINES:]), f"The whole log: {log}"])


def say(text: str) -> None:
    """Print the text. A closed terminal is no error, because it must not interrupt the shutdown."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
