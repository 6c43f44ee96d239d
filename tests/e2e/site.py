"""The real site as `make run` starts it, with its own PostgreSQL and the application's role."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 300


@dataclass
class RunningSite:
    url: str
    environment: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """Return the output of a manage.py command; raise if it fails."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def running_site(data: Path) -> Iterator[RunningSite]:
    """Start the site, wait for the welcome text, and stop it as Ctrl-C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = {"DATA_DIR": str(data), "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LLM_")
    } | ours
    for name in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DATABASE_APP_ROLE"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "smartspec.local.launch"]
    with (data / "launch.log").open("w+") as log:
        launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_for_welcome(launcher, data / "launch.log")
            yield RunningSite(f"http://127.0.0.1:{port}", environment)
        finally:
            launcher.send_signal(signal.SIGTERM)
            assert launcher.wait(60) == 0


def _wait_for_welcome(launcher: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C" not in log.read_text():
        assert launcher.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
