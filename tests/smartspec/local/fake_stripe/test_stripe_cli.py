"""Stripe's own command line program as a stranger: its triggers have to succeed here."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartspec.local.fake_stripe.server import Server, run_server
from tests.smartspec.processes import eventually

CLIENTS = os.environ.get("STRIPE_CLI", "")
PROGRAMS = sorted(Path(CLIENTS).glob("stripe_cli/node_modules/@stripe/cli-*/bin/stripe"))
pytestmark = pytest.mark.skipif(
    not (CLIENTS and PROGRAMS), reason="`make test` installs Stripe's CLI where there is Node"
)


@pytest.fixture
def server() -> Iterator[Server]:
    with run_server() as running:
        yield running


@pytest.mark.parametrize(
    "type",
    [
        "checkout.session.completed",
        "checkout.session.async_payment_failed",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.refunded",
        "customer.subscription.deleted",
        "invoice.paid",
        "invoice.payment_action_required",
    ],
)
def test_a_trigger_makes_its_event(server: Server, tmp_path: Path, type: str) -> None:
    done = subprocess.run(
        [
            PROGRAMS[0],
            "trigger",
            type,
            "--api-key",
            "sk_test_fakeForTheCli",
            "--api-base",
            server.state.origin,
        ],
        env={"HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(
        lambda: [one.object["type"] for one in server.state.select("event")].count(type) == 1
    )
