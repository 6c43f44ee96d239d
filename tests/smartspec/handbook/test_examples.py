"""Every example of the documentation is run as a person would run it, against the site."""

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from oauth2_provider.models import Application

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from deviceauth import device_flow
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy import catalogue
from llmproxy.examples import CLIENTS, VARIABLE
from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from smartspec.handbook.examples import (
    OWN,
    PLACEHOLDER,
    QUICK_START,
    write_examples,
    write_own,
)
from smartspec.local.embedded_postgres import find_free_port
from tests.clients import examples as runs
from tests.llmproxy import scripted_upstream

PROGRAMS = os.environ.get("PROGRAMS", "")
PHP = shutil.which("php") or shutil.which("php8.2", path=f"{PROGRAMS}/usr/bin")
JAVA = shutil.which("java")
ANSWER = "Hello, this is the answer."
# What each example prints, as a pattern.
PRINTS = {
    "php": ANSWER,
    "java": f'"content": ?"{ANSWER}"',
    "stream": r"(?s)Hello.*: credits \{.*data: \[DONE\]",
    "refusal": '"code": ?"model_not_found"',
    "retry": ANSWER,
    "limits": "(?i)x-ratelimit-remaining-requests: \\d",
    "idempotency": "(?is)x-generation-id: (gen_\\S+).*x-generation-id: \\1.*replayed: true",
    "receipt": '(?s)"object": ?"generation".*"arithmetic"',
}


@pytest.fixture
def key(settings: Any, make_user: Callable[..., User]) -> Iterator[str]:
    with scripted_upstream.serving() as upstream:
        upstream.script = scripted_upstream.as_asked(ANSWER)
        settings.LLM_UPSTREAM_BASE_URL, settings.LLM_UPSTREAM_MODELS = upstream.url, ["small"]
        user = make_user("maker@example.com", credits=1000)
        yield api_keys.create(user=user, name="Docs", source=Source()).plain


def test_each_example_is_shown_and_run_somewhere(client: Any) -> None:
    assert {*OWN} == {*PRINTS, "device_login", "webhook"}
    assert set(QUICK_START) <= {*CLIENTS, *OWN}


@pytest.mark.django_db
def test_an_example_names_a_model_that_has_its_route() -> None:
    assert PLACEHOLDER in write_examples([])["php"].steps[0].code
    for name, route in (("a-vector", "embeddings"), ("talks", "chat/completions")):
        provider = Provider.objects.create(slug=name, name=name, endpoints=[route])
        model = LanguageModel.objects.create(name=name)
        Deployment.objects.create(model=model, provider=provider)
    written = write_examples(catalogue.list_models(None))
    assert "'talks'" in written["php"].steps[0].code
    assert '"talks"' in written["python"].steps[0].code
    assert PLACEHOLDER in written["anthropic_python"].steps[1].code


@pytest.mark.django_db(transaction=True)
def test_the_examples_of_calls_run(key: str, live_server: Any, tmp_path: Path) -> None:
    (programs := tmp_path / "bin").mkdir()
    (programs / "python").symlink_to(sys.executable)
    if PHP:
        (programs / "php").symlink_to(PHP)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])

    def run(slug: str) -> str:
        (folder := tmp_path / slug).mkdir()
        example = write_own(slug, "small", live_server.url)
        return runs.run_quickly(example, folder, {"PATH": path, VARIABLE: key})

    missing = {slug for slug, program in (("php", PHP), ("java", JAVA)) if not program}
    slugs = [slug for slug in PRINTS if slug not in missing]
    with ThreadPoolExecutor(4) as pool:
        for slug, printed in zip(slugs, pool.map(run, slugs), strict=True):
            assert re.search(PRINTS[slug], printed), f"{slug}: {printed}"
    assert not Completion.objects.exclude(status="completed").exists()


@pytest.mark.django_db(transaction=True)
def test_the_device_login_runs(
    live_server: Any, tmp_path: Path, make_user: Callable[..., User]
) -> None:
    Application.objects.create(
        client_id="a-maker",
        client_type="public",
        name="Tool",
        authorization_grant_type="urn:ietf:params:oauth:grant-type:device_code",
    )
    example = write_own("device_login", "small", live_server.url)
    (tmp_path / "login.py").write_text(
        example.steps[0].code.replace('["interval"]', '["interval"] / 25')
    )
    with subprocess.Popen(
        [sys.executable, "login.py", "a-maker"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        user_code = running.stdout.readline().split()[-1]
        assert len(user_code) == 9
        device_flow.approve(code=DeviceCode.objects.get(), user=make_user())
        printed, _errors = running.communicate(timeout=30)
    assert "Connected. The access token is valid for 900 seconds." in printed
    assert "new refresh token: True" in printed
    assert DeviceSession.objects.count() == DeviceCode.objects.count() == 1


def test_the_receiver_of_webhooks_knows_who_sent_them(tmp_path: Path) -> None:
    secret, port = base64.b64encode(b"k" * 32).decode(), find_free_port()
    (tmp_path / "receiver.py").write_text(write_own("webhook", "small", "").steps[0].code)
    variables = {"WEBHOOK_SECRET": f"whsec_{secret}", "PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout
        body = b'{"type":"credits.low","data":{"available":19}}'
        assert send(port, body, at=time.time() - 600) == 401
        assert send(port, body, key=b"other") == 401
        assert send(port, body) == 204
        assert running.stdout.readline() == "credits.low {'available': 19}\n"
        running.terminate()


def send(port: int, body: bytes, *, at: float = 0.0, key: bytes = b"k" * 32) -> int:
    """Send a webhook as Standard Webhooks 1.0.0 says; wait until the receiver listens."""
    moment = str(int(at or time.time()))
    signed = hmac.digest(key, b"msg_1." + moment.encode() + b"." + body, hashlib.sha256)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,c2lnbmVkIGJ5IGFub3RoZXI= v1,{base64.b64encode(signed).decode()}",
    }
    for _ in range(50):
        try:
            return requests.post(
                f"http://127.0.0.1:{port}", body, headers=headers, timeout=5
            ).status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the receiver does not listen")
