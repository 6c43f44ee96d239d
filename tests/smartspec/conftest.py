"""Callers of the operations in the OpenAPI document, rows that they need, and roomy disks."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import Application

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from accounts.toolbox.typed.codes import find_letters
from deviceauth import codes, openapi
from deviceauth.models import DeviceCode
from llmproxy.models import Completion
from llmproxy.openapi.receipt import GENERATION_ID
from tests.llmproxy import scripted_routes, scripted_upstream
from tests.llmproxy.scripted_upstream import Upstream

CSRF = "c" * 32
LIMITS = [
    "DEVICE_CODE_RPM",
    "DEVICE_CODE_RPH",
    "DEVICE_UNKNOWN_CODES_RPM",
    "DEVICE_VERIFY_RPM",
    "DEVICE_WRONG_CODES_PER_ADDRESS",
    "DEVICE_WRONG_CODES_PER_USER",
    "WEB_LLM_RPM",
]


@pytest.fixture
def ann(make_user: Callable[..., User]) -> User:
    return make_user(credits=1_000_000)


@pytest.fixture
def callers(ann: User, make_token: Callable[..., str]) -> dict[str, dict[str, Any]]:
    """The arguments of `schemathesis.Case.call` for each kind of caller."""
    browser = Client()
    browser.force_login(ann)
    cookies = {"sessionid": browser.cookies["sessionid"].value, "csrftoken": CSRF}
    return {
        "nobody": {},
        "stranger": {"headers": {"Authorization": "Bearer of-nobody"}},
        "device": {"headers": {"Authorization": f"Bearer {make_token(ann)}"}},
        "browser": {"headers": {"X-CSRFToken": CSRF}, "cookies": cookies},
    }


@pytest.fixture
def spent(
    ann: User, make_user: Callable[..., User], make_token: Callable[..., str]
) -> dict[str, dict[str, Any]]:
    """Two callers who cannot pay for a second completion.

    "poor" will have no credits left, and "key" is a key whose budget will be used up.
    """
    poor = make_token(make_user("poor@example.com", credits=1))
    key = api_keys.create(user=ann, name="CI", source=Source(), monthly_budget=1).plain
    return {
        name: {"headers": {"Authorization": f"Bearer {token}"}}
        for name, token in (("poor", poor), ("key", key))
    }


@pytest.fixture
def no_limits(settings: Any) -> None:
    """Lift the rate limits. Otherwise most requests would get a 429 and test nothing."""
    for name in LIMITS:
        setattr(settings, name, 1_000_000)
    settings.WEB_LLM_TPM = 2_000_000_000


@pytest.fixture
def upstream(settings: Any) -> Iterator[Upstream]:
    """A provider that responds with JSON or events, as the request wants."""
    with scripted_upstream.serving() as served:
        settings.LLM_UPSTREAM_BASE_URL = served.url
        settings.LLM_UPSTREAM_MODELS = ["smollm2"]
        served.script = scripted_routes.as_asked("Hello")
        yield served


@pytest.fixture
def rows(ann: User) -> None:
    """The rows that the examples of the document name."""
    desktop = Application.objects.get(client_id="smartspec-desktop")
    later = timezone.now() + timedelta(minutes=10)
    waiting = {"application": desktop, "scope": "llm:chat", "expires": later}
    normal = find_letters(openapi.USER_CODE) or ""
    DeviceCode.objects.create(
        device_code="of another", user_code=codes.digest_user_code(normal), **waiting
    )
    DeviceCode.objects.create(
        device_code=codes.digest_device_code(openapi.DEVICE_CODE),
        user_code="of another",
        user=ann,
        status=DeviceCode.Status.AUTHORIZED,
        **waiting,
    )
    numbers = [
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "held",
        "cost",
        "charged",
        "uncollected",
    ]
    prices = {f"{kind}_price": 1 for kind in ("prompt", "cached_prompt", "completion")}
    Completion.objects.create(
        generation_id=GENERATION_ID,
        user=ann,
        provider="environment",
        model="smollm2",
        is_stream=False,
        status="completed",
        usage_source="exact",
        total_ms=1,
        **prices,
        **dict.fromkeys(numbers, 0),
    )


def set_free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let each disk have 1 GB, of which `free` bytes are free."""
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - free, free))


@pytest.fixture
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disks be nearly empty, whatever those of this machine are."""
    set_free_space(monkeypatch, 9 * 10**8)
