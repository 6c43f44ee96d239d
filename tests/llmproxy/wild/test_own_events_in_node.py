"""Clients for Node read our keep-alives, our bill and a failure in the middle of a stream."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Handler, Upstream
from tests.llmproxy.wild.test_own_events import beginning, pieces

CLIENTS = os.environ.get("EVENT_CLIENTS", "")
SCRIPT = Path(__file__).with_name("read_events.mjs")
COUNT = 16

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not CLIENTS, reason="no clients for Node: `make test` installs them if there is Node"
    ),
]


ROLE = script.chunk(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])


def answer(handler: Handler) -> None:
    """Answer slowly, or break off, as the model says."""
    first = [ROLE] if handler.path.endswith("/chat/completions") else []
    if handler.upstream.sent["model"] == "slow":
        script.pausing(0.03, *first, *pieces(handler.path, "Hel", "lo"))(handler)
    else:
        script.events(*first, *beginning(handler.path), cut=True)(handler)


def test_every_client_reads_a_slow_stream_and_notices_a_broken_one(
    live_server: Any,
    payer: User,
    make_token: Callable[..., str],
    upstream: Upstream,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.01
    settings.LLM_UPSTREAM_MODELS = ["slow", "cut"]
    upstream.script = answer
    # Node looks for packages in the folder of the script, and above it.
    program = shutil.copy(SCRIPT, Path(CLIENTS) / "event_clients" / SCRIPT.name)
    command = ["node", program, live_server.url, make_token(payer), "slow", "cut"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    seen = {(line["client"], line["model"]): line for line in lines}
    assert len(seen) == 2 * COUNT, run.stderr
    for (client, model), line in seen.items():
        if model == "slow":
            assert (line["text"], line["errors"]) == ("Hello", []), client
        else:
            assert "connection to the provider was lost" in str(line["errors"]), client
    statuses = list(Completion.objects.values_list("status", flat=True))
    assert (statuses.count("completed"), statuses.count("failed")) == (COUNT, COUNT)
