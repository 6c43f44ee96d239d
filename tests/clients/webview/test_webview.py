"""The SDKs in a real WebKitGTK page at tauri://localhost, as in the desktop application."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Handler

FOLDER = os.environ.get("WEBVIEW", "")
RUN = Path(__file__).with_name("run.sh")
SECONDS = 60

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not FOLDER,
        reason="no WebKitGTK: WEBVIEW=$(tests/clients/webview/install.sh) finds or fetches one",
    ),
]


def open_page(scheme: str, **config: Any) -> dict[str, str]:
    """Return the problem of each step that the page made, empty if there was none."""
    command = ["sh", str(RUN), FOLDER, scheme, str(SECONDS)]
    run = subprocess.run(
        command,
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=SECONDS + 30,
        check=False,
    )
    steps = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"step"')]
    assert steps, f"{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
    return {step["step"]: step["problem"] for step in steps}


def answer(handler: Handler) -> None:
    """Answer as the model and the route say."""
    slow = [script.chunk("Hel"), script.chunk("lo", finish="stop"), script.DONE]
    special = {
        "slow": script.pausing(0.3, *slow),
        "cut": script.events(script.chunk("Hel"), cut=True),
    }
    if "count_tokens" in handler.path:
        script.error(404)(handler)
    else:
        special.get(handler.upstream.sent["model"], scripted_routes.as_asked("Hello"))(handler)


@pytest.fixture
def config(
    live_server: Any,
    make_user: Callable[..., User],
    make_token: Callable[..., str],
    settings: Any,
) -> Iterator[dict[str, Any]]:
    settings.LLM_KEEP_ALIVE_SECONDS = 0.1
    settings.LLM_UPSTREAM_MODELS = ["small", "slow", "cut"]
    with script.serving() as upstream:
        settings.LLM_UPSTREAM_BASE_URL, upstream.script = upstream.url, answer
        yield {
            "gateway": live_server.url,
            "token": make_token(make_user(credits=50)),
            "poorToken": make_token(make_user("poor@example.com", credits=0)),
            "models": {"chat": "small", "messages": "small", "slow": "slow", "cut": "cut"},
        }


def test_the_sdks_work_in_the_desktops_webview(config: dict[str, Any]) -> None:
    problems = open_page("tauri", **config)
    assert {step: problem for step, problem in problems.items() if problem} == {}
    assert len(problems) == 18
    assert ledger.balance(User.objects.get(email="ann@example.com")).held == 0
    assert Completion.objects.exclude(status="completed").count() == 1


def test_a_page_of_another_origin_is_not_served(config: dict[str, Any]) -> None:
    problems = open_page("evil", **config, isStranger=True)
    assert problems == {"a stranger's page may read and send nothing": ""}
