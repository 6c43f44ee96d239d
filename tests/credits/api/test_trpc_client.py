"""Real tRPC clients of both versions call /api/trpc."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from credits import ledger

CLIENTS = os.environ.get("TRPC_CLIENTS", "")
SCRIPT = Path(__file__).parents[1] / "trpc_client" / "questions.mjs"
LINKS = [("v10", "httpLink"), ("v10", "httpBatchLink")]
LINKS += [("v11", "httpLink"), ("v11", "httpBatchLink"), ("v11", "httpBatchStreamLink")]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not CLIENTS, reason="no tRPC clients: `make test` installs them if there is Node"
    ),
]


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    call_command("seed_packages", verbosity=0)
    user = make_user(credits=50)
    ledger.add(user=user, amount=500, type="purchase", description="Basic", idempotency_key="pay_1")
    ledger.hold(user=user, amount=20, reference_id="gen_1", seconds=60)
    ledger.adjust(user=user, amount=-1, reason="For this test", actor=None)
    return user


def ask(version: str, *arguments: str) -> Any:
    """Return the output of this version's client, which runs in the folder of its packages."""
    command = ["node", "--input-type=module", "-", *arguments]
    folder = Path(CLIENTS) / version
    run = subprocess.run(
        command,
        input=SCRIPT.read_text(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("transformer", ["json", "superjson"])
@pytest.mark.parametrize(("version", "link"), LINKS)
def test_a_real_client_gets_answers_and_typed_refusals(
    live_server: LiveServer, user: User, make_token: Any, version: str, link: str, transformer: str
) -> None:
    seen = ask(version, f"{live_server.url}/api/trpc", make_token(user), link, transformer)
    assert seen["balance"] == {"credits": 549, "plan": "free", "held": 20, "available": 529}
    assert seen["stats"]["totalPurchased"] == 500
    assert seen["stats"]["periodDays"] == 7
    assert [package["name"] for package in seen["packages"]] == [
        "Starter",
        "Basic",
        "Pro",
        "Enterprise",
    ]
    assert seen["amounts"] == [[-1, 500], [50], []]
    assert seen["created"] == (
        f"Date {timezone.now().year}" if transformer == "superjson" else "string"
    )
    refusals = {
        name: (error["name"], error["code"], error["path"])
        for name, error in seen["refusals"].items()
    }
    assert refusals == {
        "tooMany": ("TRPCClientError", "BAD_REQUEST", "credits.history"),
        "unknown": ("TRPCClientError", "NOT_FOUND", "credits.secrets"),
        "unauthorized": ("TRPCClientError", "UNAUTHORIZED", "credits.balance"),
        "changed": ("TRPCClientError", "METHOD_NOT_SUPPORTED", "credits.balance"),
    }
    assert "less than or equal to 100" in seen["refusals"]["tooMany"]["message"]
