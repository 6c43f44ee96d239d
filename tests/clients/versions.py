"""The versions of installed clients."""

import json
import subprocess
from pathlib import Path

from tests.clients.client import Client

_SHOW = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


def find_version(client: Client, installed: Path) -> str:
    """Return the version of the client's main package."""
    if client.group.startswith("node"):
        package = installed / "node_modules" / client.package / "package.json"
        return str(json.loads(package.read_text())["version"])
    command = [str(installed), "-c", _SHOW, client.package]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
