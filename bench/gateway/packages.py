"""Install the peers, each in its own folder under .venv/bench-peers, at their first use."""

import subprocess
from pathlib import Path

from smartspec.drill.scratch import ROOT
from smartspec.local.site import say

FOLDER = ROOT / ".venv" / "bench-peers"
INSTALL_SECONDS = 900


class PeerAbsentError(Exception):
    """The peer cannot be measured on this machine. The text gives the reason."""


def install(name: str, *commands: list[str]) -> Path:
    """Run the commands in the peer's folder, unless they have run before; return the folder.

    Raises PeerAbsentError.
    """
    folder, stamp = FOLDER / name, FOLDER / f"{name}.installed"
    script = "\n".join(" ".join(command) for command in commands)
    if stamp.exists() and stamp.read_text() == script:
        return folder
    say(f"  installing {name} into {folder.relative_to(ROOT)} (once) ...")
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands:
        _run(name, folder, command)
    stamp.write_text(script)
    return folder


def _run(name: str, folder: Path, command: list[str]) -> None:
    try:
        process = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerAbsentError(f"{name} cannot be installed: {error}") from error
    if process.returncode:
        raise PeerAbsentError(f"{name} cannot be installed: {process.stderr.strip()[-300:]}")
