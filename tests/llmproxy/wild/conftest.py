"""The model, the prices and the caller of every table in this folder.

A prompt token costs 1 credit, a cached one 0.1, a written one 1.25, a token of the answer 5: so 20
tokens of a prompt and 5 of an answer cost 45.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Hold
from credits.proof import audit
from llmproxy import catalogue
from llmproxy.models import Completion, LanguageModel
from tests.llmproxy.scripted_upstream import Upstream

CREDITS = 10_000_000
PRICES = {
    "prompt_price": Decimal(1000),
    "cached_prompt_price": Decimal(100),
    "cache_write_price": Decimal(1250),
    "completion_price": Decimal(5000),
}
MESSAGES = [{"role": "user", "content": "Hi"}]
# The smallest body of each route.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 4096},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 4096},
}

Ask = Callable[..., Any]


@pytest.fixture
def model(upstream: Upstream) -> LanguageModel:
    """The default model with the prices of the examples. Its provider is `upstream`."""
    catalogue.adopt_environment()
    LanguageModel.objects.filter(name="small").update(**PRICES)
    return LanguageModel.objects.get(name="small")


@pytest.fixture
def payer(make_user: Callable[..., User]) -> User:
    return make_user("payer@example.com", credits=CREDITS)


@pytest.fixture
def ask(client: Client, bearer: Any, model: LanguageModel, payer: User) -> Ask:
    """Call a route as `payer`; keyword arguments are added to its smallest body."""

    def post(path: str = "/v1/chat/completions", *, headers: Any = None, **more: Any) -> Any:
        return client.post(
            path,
            orjson.dumps(BODIES[path] | more),
            content_type="application/json",
            headers={**bearer(payer), **(headers or {})},
        )

    return post


def read_all(response: Any) -> bytes:
    """The bytes of a response, streamed or not; it is closed at its end."""
    if not response.streaming:
        return bytes(response.content)
    body = b"".join(response.streaming_content)
    response.close()
    return body


def settled(user: User) -> Completion:
    """The receipt of the only completion, after a check that the ledger agrees with it."""
    row = Completion.objects.get()
    assert 0 <= row.charged <= row.cost
    assert not Hold.objects.filter(state="open").exists()
    balance = ledger.balance(user)
    assert (balance.credits, balance.held) == (CREDITS - row.charged, 0)
    assert audit.run().findings == []
    return row
