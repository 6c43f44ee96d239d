"""The requests of the existing Python backend and their charges (api.md §5).

The backend will not be changed.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from accounts.models import User
from credits import ledger
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)

STATIC = "static-secret"
RETRIED = (502, 503, 504)
TRIES = 3
BODY: dict[str, Any] = {
    "model": "small",
    "messages": [{"role": "user", "content": "Hi"}],
    "temperature": 0.7,
}


class Backend:
    """Calls like the backend: with the user's token in two headers, a trace id, and repetitions."""

    def __init__(self, url: str, user_token: str | None = None) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {user_token or STATIC}", "x-trace-id": "trace-1"}
        if user_token:
            self.headers["x-user-token"] = user_token

    def chat(self, **more: Any) -> requests.Response:
        for attempt in range(TRIES):
            response = requests.post(
                f"{self.url}/v1/chat/completions",
                json=BODY | more,
                headers=self.headers,
                timeout=10,
            )
            if response.status_code not in RETRIED or attempt == TRIES - 1:
                return response
        raise AssertionError("unreachable")

    def balance(self) -> requests.Response:
        return requests.get(f"{self.url}/api/v1/credits/balance", headers=self.headers, timeout=10)


@pytest.fixture
def static(live_server: Any, settings: Any) -> Backend:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = STATIC
    return Backend(live_server.url)


@pytest.fixture
def backend(live_server: Any, settings: Any, user: User, make_token: Callable[..., str]) -> Backend:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = STATIC
    return Backend(live_server.url, make_token(user))


def failing(*statuses: int) -> script.Script:
    """Return a provider that fails with each of these statuses, and then answers."""
    left = list(statuses)

    def next_one(handler: Any) -> None:
        (script.error(left.pop(0)) if left else script.answer(usage=(1500, 600)))(handler)

    return next_one


def test_it_forwards_the_token_of_its_user_who_pays(
    backend: Backend, user: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(1500, 600))
    response = backend.chat()
    assert (response.status_code, response.json()["_credits"]) == (
        200,
        {"used": 3, "remaining": 47},
    )
    assert response.headers["x-trace-id"] == upstream.requests[-1][1]["x-trace-id"] == "trace-1"
    receipt = Completion.objects.get()
    assert (receipt.user, receipt.trace_id) == (user, "trace-1")


def test_its_users_token_does_not_reach_the_provider(backend: Backend, upstream: Upstream) -> None:
    backend.chat()
    body, headers = upstream.requests[-1]
    token = backend.headers["x-user-token"]
    assert token not in json.dumps([body, headers])
    assert headers["Authorization"] == "Bearer sk-provider"


def test_it_asks_for_the_balance_of_its_user(backend: Backend, upstream: Upstream) -> None:
    backend.chat()
    assert backend.balance().json() == {"credits": 49, "plan": "free", "held": 0, "available": 49}


def test_without_a_user_its_own_token_is_not_enough(static: Backend, upstream: Upstream) -> None:
    response = static.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (403, "user_not_found")
    assert upstream.requests == []


def test_its_own_token_with_that_of_a_user_charges_the_user(
    static: Backend, user: User, make_token: Callable[..., str], upstream: Upstream
) -> None:
    static.headers["x-user-token"] = make_token(user)
    assert static.chat().json()["_credits"] == {"used": 1, "remaining": 49}
    assert Completion.objects.get().user == user


def test_its_own_token_may_be_free_and_is_recorded(
    static: Backend, upstream: Upstream, settings: Any
) -> None:
    settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC = True
    response = static.chat()
    assert (response.status_code, response.json()["_credits"]) == (
        200,
        {"used": 0, "remaining": None},
    )
    receipt = Completion.objects.get()
    assert (receipt.user, receipt.charged, receipt.prompt_tokens) == (None, 0, 20)


@pytest.mark.parametrize("statuses", [[500], [503], [503, 502], [429, 503]])
def test_it_tries_again_and_only_the_answer_is_charged(
    backend: Backend, user: User, upstream: Upstream, statuses: list[int]
) -> None:
    upstream.script = failing(*statuses)
    assert backend.chat().json()["_credits"] == {"used": 3, "remaining": 47}
    assert len({json.dumps(body, sort_keys=True) for body, _headers in upstream.requests}) == 1
    assert len(upstream.requests) == len(statuses) + 1
    assert sorted(Completion.objects.values_list("status", "charged")) == sorted(
        [("failed", 0)] * len(statuses) + [("completed", 3)]
    )
    assert ledger.balance(user) == ledger.Balance(credits=47, held=0, plan="free")


def test_when_it_gives_up_nothing_was_charged(
    backend: Backend, user: User, upstream: Upstream
) -> None:
    upstream.script = script.error(503)
    response = backend.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert len(upstream.requests) == TRIES
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_a_provider_too_slow_is_tried_again_without_a_charge(
    backend: Backend, user: User, upstream: Upstream, settings: Any
) -> None:
    settings.LLM_FIRST_BYTE_SECONDS = 0.3
    answers = iter([script.silence, script.answer()])
    upstream.script = lambda handler: next(answers)(handler)
    assert backend.chat().json()["_credits"] == {"used": 1, "remaining": 49}
    assert ledger.balance(user).held == 0


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_its_own_fault_is_not_tried_again(
    backend: Backend, upstream: Upstream, status: int
) -> None:
    upstream.script = script.error(status, "too long")
    assert (backend.chat().status_code, len(upstream.requests)) == (status, 1)
