"""Programs of others, each in a folder of its own under .venv/bench-peers, installed when it is first asked for."""

import subprocess
from pathlib import Path

from smartspec.drill.scratch import ROOT
from smartspec.local.site import say

FOLDER = ROOT / ".venv" / "bench-peers"
INSTALL_SECONDS = 900


class PeerAbsentError(Exception):
    """It cannot be measured here; the text says why."""


def install(name: str, *commands: list[str]) -> Path:
    """The peer's folder, with what the commands put there; once. Raises PeerAbsentError."""
    folder, stamp = FOLDER / name, FOLDER / f"{name}.installed"
    wanted = "\n".join(" ".join(command) for command in commands)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    say(f"  installing {name} into {folder.relative_to(ROOT)} (once) ...")
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands:
        _run(name, folder, command)
    stamp.write_text(wanted)
    return folder


def _run(name: str, folder: Path, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerAbsentError(f"{name} cannot be installed: {error}") from error
    if done.returncode:
        raise PeerAbsentError(f"{name} cannot be installed: {done.stderr.strip()[-300:]}")
