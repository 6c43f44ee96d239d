"""The drivers of the SDKs of OpenAI and Anthropic, against the gateway with the refusing provider.

`make clients` runs all others.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from tests.clients import books, gateway
from tests.clients.client import read_steps
from tests.clients.mock.server import Serving, serve
from tests.clients.sdks import DRIVERS

NODE_CLIENTS = os.environ.get("EVENT_CLIENTS", "")
CREDITS = 100_000_000

pytestmark = pytest.mark.django_db(transaction=True)
needs_node = pytest.mark.skipif(
    not NODE_CLIENTS, reason="no clients for Node: `make test` installs them if there is Node"
)


@pytest.fixture
def serving() -> Iterator[Serving]:
    with serve() as served:
        gateway.make_models(served.url)
        yield served


@pytest.fixture
def variables(
    live_server: Any, make_user: Callable[..., User], make_token: Callable[..., str]
) -> dict[str, str]:
    rich, poor = make_user("rich@example.com", credits=CREDITS), make_user("poor@example.com")
    return {
        "PATH": os.environ["PATH"],
        "GATEWAY_URL": live_server.url,
        "GATEWAY_KEY": make_token(rich),
        "GATEWAY_POOR_KEY": make_token(poor),
    }


def run_driver(command: list[str], variables: dict[str, str]) -> list[str]:
    """Return the problems of the driver's steps."""
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    return [f"{step.name}: {step.problem}" for step in read_steps(done) if step.problem]


def check_charges(serving: Serving) -> None:
    """Each answer is charged by the usage that the provider reported, and nothing is held."""
    charges = books.compare(serving.provider.records, 0)
    assert charges.wrong == []
    assert charges.charged == charges.due
    balance = ledger.balance(User.objects.get(email="rich@example.com"))
    assert (balance.held, balance.credits) == (0, CREDITS - charges.due)
    assert not Completion.objects.exclude(usage_source__in=("exact", "none")).exists()


@pytest.mark.parametrize("driver", ["openai", "anthropic"])
def test_a_client_for_python(driver: str, serving: Serving, variables: dict[str, str]) -> None:
    command = [sys.executable, str(DRIVERS / f"{driver}_python.py")]
    assert run_driver(command, variables) == []
    check_charges(serving)


@needs_node
@pytest.mark.parametrize("driver", ["openai", "anthropic"])
def test_a_client_for_node(
    driver: str, serving: Serving, variables: dict[str, str], tmp_path: Path
) -> None:
    # Node looks for packages in the folder of the script, and above it.
    folder = tmp_path / "driver"
    folder.mkdir()
    (folder / "node_modules").symlink_to(Path(NODE_CLIENTS) / "event_clients" / "node_modules")
    for name in ("steps.mjs", f"{driver}_node.mjs"):
        shutil.copy(DRIVERS / name, folder)
    assert run_driver(["node", str(folder / f"{driver}_node.mjs")], variables) == []
    check_charges(serving)
