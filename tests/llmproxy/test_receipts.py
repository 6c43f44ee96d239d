"""`GET /v1/generation`: a charge that can be computed again."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits import corrections
from credits.models import Hold
from llmproxy import upstream as provider
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db


@pytest.fixture
def generation_id(chat: Callable[..., Any], user: User, upstream: Upstream) -> str:
    upstream.script = script.answer(usage=(1500, 600))
    return str(chat(user)["x-generation-id"])


def test_a_receipt_recomputes_to_its_charge(client: Client, user: User, bearer: Any, generation_id: str) -> None:
    receipt = client.get(f"/v1/generation?id={generation_id}", headers=bearer(user)).json()
    usage, prices = receipt["usage"], receipt["credits_per_1k_tokens"]
    exact = usage["prompt_tokens"] * Decimal(prices["prompt"]) + usage["completion_tokens"] * Decimal(
        prices["completion"]
    )
    assert math.ceil(exact / 1000) == receipt["credits"]["charged"] == 3
    assert (usage["source"], receipt["status"], receipt["credits"]["balance_after"]) == ("exact", "completed", 47)


def test_a_receipt_is_its_owners_only(
    client: Client, user: User, make_user: Any, bearer: Any, generation_id: str
) -> None:
    other = make_user("bob@example.com")
    response = client.get(f"/v1/generation?id={generation_id}", headers=bearer(other))
    assert (response.status_code, response.json()["error"]["code"]) == (404, "generation_not_found")
    assert client.get(f"/v1/generation?id={generation_id}").status_code == 401


@pytest.mark.parametrize("query", ["", "?id=", "?id=gen_none", "?id=" + "x" * 5000, "?id=%F0%9F%98%80"])
def test_an_unknown_id_is_404(client: Client, user: User, bearer: Any, query: str) -> None:
    assert client.get(f"/v1/generation{query}", headers=bearer(user)).status_code == 404


def test_an_answer_whose_hold_was_cancelled_arrives_and_is_not_charged(
    chat: Callable[..., Any], user: User, make_user: Any, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script = script.answer(usage=(1500, 600))
    read, operator = provider.read_json, make_user("operator@example.com")

    def cancelled_meanwhile(*asked: Any) -> Any:
        corrections.cancel(Hold.objects.get(), "Stuck", actor=operator)
        return read(*asked)

    monkeypatch.setattr(provider, "read_json", cancelled_meanwhile)
    before = user.credits
    assert chat(user).json()["choices"]
    receipt = Completion.objects.get()
    assert (receipt.status, receipt.cost, receipt.charged, receipt.uncollected) == ("completed", 3, 0, 3)
    user.refresh_from_db()
    assert (user.credits, user.credits_held) == (before, 0)
