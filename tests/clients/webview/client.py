"""The SDKs in a page of a real WebKitGTK, as one of the clients of `make clients`."""

import json
import subprocess
from pathlib import Path

from tests.clients.client import Client, Step, read_steps
from tests.clients.gateway import Gateway
from tests.clients.installing import AbsentError

HERE = Path(__file__).parent
SECONDS, INSTALL_SECONDS = 60, 600
MODELS = {"chat": "gpt-5-mini", "messages": "claude-sonnet-4-5"}


def install_webview(_group: str) -> Path:
    """Unpack a WebKitGTK, bundle the page; return the folder of its SDKs. Raises AbsentError."""
    command = ["sh", str(HERE / "install.sh")]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AbsentError(f"the webview cannot be installed: {error}") from error
    if not run.stdout.strip():
        raise AbsentError(run.stderr.strip()[-300:])
    return Path(run.stdout.strip()) / "node"


def _run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
    config = {"gateway": gateway.url, "token": gateway.key, "models": MODELS}
    command = ["sh", str(HERE / "run.sh"), str(installed.parent), "tauri", str(SECONDS)]
    run = subprocess.run(
        command,
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=SECONDS + 30,
        check=False,
    )
    (folder / "output.txt").write_text(f"{run.stdout}\n{run.stderr}")
    return read_steps(run)


WEBVIEW = Client("OpenAI and Anthropic in WebKitGTK", "node-webview", "openai", _run)
