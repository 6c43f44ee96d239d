"""`GET /v1/generation`: a charge that can be computed again."""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

import llmproxy
from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction
from credits.operators import actions
from llmproxy.metering.price_kinds import COLUMN_KINDS, PRICE_KINDS, TOKEN_KINDS
from llmproxy.metering.pricing import Prices, Usage
from llmproxy.models import Completion, LanguageModel
from llmproxy.openapi.receipt import RECEIPT
from llmproxy.receipts import explain
from llmproxy.upstream import exchange as provider
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db

tokens = st.integers(0, 2**40)
usages = st.builds(Usage, *[tokens] * 14) | st.builds(Usage, *[tokens] * 5)
amounts = st.decimals(0, Decimal("999999.999999"), places=6)
WHOLES = ("prompt", "completion")


def some_of(kinds: Any) -> Any:
    """Prices for the prompt and the completion, and for some of the other kinds."""
    others = {kind.name: amounts for kind in kinds if kind.name not in WHOLES}
    return st.fixed_dictionaries(dict.fromkeys(WHOLES, amounts), optional=others)


prices = st.builds(Prices, some_of(PRICE_KINDS)) | st.builds(
    Prices, some_of(PRICE_KINDS), tokens, some_of(TOKEN_KINDS)
)


@pytest.fixture
def generation_id(chat: Callable[..., Any], user: User, upstream: Upstream) -> str:
    upstream.script = script.answer(usage=(1500, 600))
    return str(chat(user)["x-generation-id"])


def test_a_receipt_recomputes_to_its_charge(
    client: Client, user: User, bearer: Any, generation_id: str
) -> None:
    receipt = client.get(f"/v1/generation?id={generation_id}", headers=bearer(user)).json()
    usage, prices = receipt["usage"], receipt["credits_per_1k_tokens"]
    exact = usage["prompt_tokens"] * Decimal(prices["prompt"]) + usage[
        "completion_tokens"
    ] * Decimal(prices["completion"])
    assert math.ceil(exact / 1000) == receipt["credits"]["charged"] == 3
    assert (usage["source"], receipt["status"], receipt["credits"]["balance_after"]) == (
        "exact",
        "completed",
        47,
    )


def test_a_receipt_is_its_owners_only(
    client: Client, user: User, make_user: Any, bearer: Any, generation_id: str
) -> None:
    other = make_user("bob@example.com")
    response = client.get(f"/v1/generation?id={generation_id}", headers=bearer(other))
    assert (response.status_code, response.json()["error"]["code"]) == (404, "generation_not_found")
    assert client.get(f"/v1/generation?id={generation_id}").status_code == 401


def test_an_unknown_id_is_404(client: Client, user: User, bearer: Any) -> None:
    assert client.get("/v1/generation?id=gen_none", headers=bearer(user)).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["", "?id=", "?ID=gen_none", "?id=chatcmpl-1", "?id=gen_" + "x" * 5000, "?id=gen_%F0%9F%98%80"],
)
def test_no_id_or_one_of_another_kind_is_400_that_names_the_parameter(
    client: Client, user: User, bearer: Any, query: str
) -> None:
    answer = client.get(f"/v1/generation{query}", headers=bearer(user))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "invalid_request_error",
        "id",
    )
    assert "x-generation-id" in error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/generations", "/v1/generation/gen_none", "/v1/", "/v1", "/api/llm"]
)
def test_an_address_that_is_nearly_one_is_404_as_json(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_an_answer_whose_hold_was_cancelled_arrives_and_is_not_charged(
    chat: Callable[..., Any],
    user: User,
    make_user: Any,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upstream.script = script.answer(usage=(1500, 600))
    read, operator = provider.read_json, make_user("operator@example.com")

    def cancelled_meanwhile(*args: Any) -> Any:
        actions.cancel(Hold.objects.get(), "Stuck", actor=operator)
        return read(*args)

    monkeypatch.setattr(provider, "read_json", cancelled_meanwhile)
    before = user.credits
    assert chat(user).json()["choices"]
    receipt = Completion.objects.get()
    assert (receipt.status, receipt.cost, receipt.charged, receipt.uncollected) == (
        "completed",
        3,
        0,
        3,
    )
    user.refresh_from_db()
    assert (user.credits, user.credits_held) == (before, 0)


def row_of(usage: Usage, price: Prices, **fields: Any) -> Completion:
    """A completion that is not stored."""
    columns = {kind.column: price[kind.name] for kind in COLUMN_KINDS}
    extras = price.extras | ({"counts": usage.extras} if usage.extras else {})
    facts = {**usage.columns, **columns, "extras": extras or None, "hold_id": 1}
    return Completion(**{**facts, **fields})


@given(usages, prices)
def test_the_lines_add_up_to_the_sum_and_the_sum_rounds_up_to_the_cost(
    usage: Usage, price: Prices
) -> None:
    row = row_of(usage, price)
    arithmetic = explain._describe_arithmetic(row)
    of_tokens = [line for line in arithmetic["lines"] if "tokens" in line]
    for line in of_tokens:
        exact = line["tokens"] * Decimal(line["credits_per_1k_tokens"]) / 1000
        assert exact == Decimal(line["credits"])
    for line in arithmetic["lines"]:
        assert line in of_tokens or line["count"] * Decimal(line["credits_each"]) == Decimal(
            line["credits"]
        )
    lines = arithmetic["lines"]
    assert sum(Decimal(line["credits"]) for line in lines) == Decimal(arithmetic["sum"])
    assert math.ceil(Decimal(arithmetic["sum"])) == explain.recompute_cost(row) == price.cost(usage)
    assert sum(line["tokens"] for line in of_tokens) == usage.total_tokens


def test_the_audits_sql_and_this_python_agree() -> None:
    text = (Path(llmproxy.__file__).parent / "database/audit").glob("*.sql")
    sql = "".join(path.read_text() for path in text)
    assert "gateway_cost(c) AS due" in sql

    @given(usages, prices, st.sets(st.sampled_from(["cached_prompt", "cache_write"])))
    def agree(usage: Usage, price: Prices, missing: set[str]) -> None:
        row = row_of(usage, price, **{f"{part}_price": None for part in missing})
        columns = {name: getattr(row, name) for name in ("extras", *usage.columns)} | {
            kind.column: None if kind.name in missing else str(price[kind.name])
            for kind in COLUMN_KINDS
        }
        with connection.cursor() as cursor:
            record = "jsonb_populate_record(NULL::completions, %s::jsonb)"
            cursor.execute(f"SELECT gateway_cost({record})", [json.dumps(columns)])
            assert cursor.fetchone()[0] == explain.recompute_cost(row)

    agree()


def test_whom_nothing_was_held_for_pays_nothing() -> None:
    one = Prices({kind.name: Decimal(1) for kind in PRICE_KINDS})
    assert explain.recompute_cost(row_of(Usage(9000, 9000), one, hold_id=None)) == 0


def test_a_row_from_before_writes_had_a_price_has_the_prompts() -> None:
    written = Usage(1000, 0, cache_write_tokens=1000)
    price = Prices(
        {kind.name: Decimal(5 if kind.name == "cache_write" else 1) for kind in PRICE_KINDS}
    )
    assert explain.recompute_cost(row_of(written, price)) == 5
    assert explain.recompute_cost(row_of(written, price, cache_write_price=None)) == 1


def test_a_receipt_says_all_of_it(
    client: Client, chat: Any, user: User, bearer: Any, upstream: Upstream
) -> None:
    chat(user)  # so that the model has a row
    LanguageModel.objects.filter(name="small").update(
        prompt_price=Decimal(2),
        cached_prompt_price=Decimal("0.5"),
        cache_write_price=Decimal("2.5"),
        completion_price=Decimal("4.000001"),
    )
    usage = {
        "prompt_tokens": 3400,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 400},
    }
    upstream.script = script.answer(usage=usage)
    answer = chat(user, n=2, max_tokens=1000)
    receipt = client.get(
        f"/v1/generation?id={answer['x-generation-id']}", headers=bearer(user)
    ).json()
    jsonschema.validate(receipt, RECEIPT)
    assert receipt["arithmetic"] == {
        "lines": [
            {"kind": "prompt", "tokens": 1000, "credits_per_1k_tokens": "2", "credits": "2"},
            {
                "kind": "cached_prompt",
                "tokens": 2000,
                "credits_per_1k_tokens": "0.5",
                "credits": "1",
            },
            {"kind": "cache_write", "tokens": 400, "credits_per_1k_tokens": "2.5", "credits": "1"},
            {
                "kind": "completion",
                "tokens": 500,
                "credits_per_1k_tokens": "4.000001",
                "credits": "2.0000005",
            },
        ],
        "sum": "6.0000005",
    }
    assert receipt["recompute"] == receipt["credits"]["cost"] == receipt["credits"]["charged"] == 7
    assert (receipt["usage"]["reasoning_tokens"], receipt["usage"]["cache_write_tokens"]) == (
        400,
        400,
    )
    assert receipt["credits_per_1k_tokens"]["cache_write"] == "2.5"
    assert (receipt["choices"], receipt["max_tokens"], receipt["clamped_max_tokens"]) == (
        2,
        1000,
        None,
    )
    assert [(one["provider"], one["error"]) for one in receipt["attempts"]] == [("environment", "")]
    assert (receipt["ended"], receipt["began_at"][-1]) == ("stop", "Z")
    assert set(receipt) == set(RECEIPT["properties"])


@pytest.mark.parametrize(
    ("behaviour", "ended", "source"),
    [
        (script.error(500), "upstream_error", "none"),
        (script.error(400, code="context_length_exceeded"), "context_length_exceeded", "none"),
        (script.answer("word " * 2000, usage=None), "stop", "estimated"),
        (script.answer(usage=(20, 2**39)), "stop", "capped"),
    ],
)
def test_every_receipt_fits_its_schema(
    client: Client,
    chat: Any,
    user: User,
    bearer: Any,
    upstream: Upstream,
    behaviour: Any,
    ended: str,
    source: str,
) -> None:
    upstream.script = behaviour
    answer = chat(user)
    receipt = client.get(
        f"/v1/generation?id={answer['x-generation-id']}", headers=bearer(user)
    ).json()
    jsonschema.validate(receipt, RECEIPT)
    assert (receipt["ended"], receipt["usage"]["source"]) == (ended, source)
    assert receipt["recompute"] == receipt["credits"]["cost"]
    assert receipt["attempts"][0]["error"] == ("" if ended == "stop" else ended)


def test_a_receipt_says_what_came_back(
    client: Client, user: User, bearer: Any, generation_id: str
) -> None:
    usage = Transaction.objects.get(type="usage")
    for amount in (1, 2):
        ledger.refund(
            transaction=usage,
            amount=amount,
            reason="Sorry",
            actor=None,
            idempotency_key=f"r{amount}",
        )
    receipt = client.get(f"/v1/generation?id={generation_id}", headers=bearer(user)).json()
    assert (receipt["credits"]["charged"], receipt["credits"]["refunded"]) == (3, 3)
    assert [row["credits"] for row in receipt["refunds"]] == [1, 2]
    jsonschema.validate(receipt, RECEIPT)
