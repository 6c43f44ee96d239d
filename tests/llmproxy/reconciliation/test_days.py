"""Their day beside ours, and what explains a difference, to the completion."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from llmproxy.models import Deployment, LanguageModel, Provider
from llmproxy.reconciliation import days
from llmproxy.reconciliation.explanation import Explanation
from llmproxy.reconciliation.model_names import normalise_model
from tests.llmproxy.reconciliation import exports
from tests.llmproxy.reconciliation.conftest import NOON, fold, load
from tests.llmproxy.usage.conftest import answer

pytestmark = pytest.mark.django_db
DAY = date(2025, 3, 2)
HOUR = timedelta(hours=1)
HEADER = exports.OPENROUTER.splitlines()[0]


def complete(user: User, upstream_id: str, *, after: timedelta = HOUR * 0, **fields: Any) -> Any:
    """A completion of 100 + 10 tokens for 0.0025 USD at the router."""
    values = {"provider": "router", "model": "gpt", "provider_cost": Decimal("0.0025"), **fields}
    return answer(user, NOON + after, upstream_id=upstream_id, **values)


def list_requests(*rows: tuple[str, int]) -> str:
    """Their file: requests of 100 + 10 tokens for 0.0025 USD, or of so many prompt tokens."""
    lines = (
        f"{name},2025-03-02 12:00:00,0.0025,0,0,0,0,{prompt},10,0,0,gpt,X,,,,,,,,,,"
        for name, prompt in rows
    )
    return "\n".join([HEADER, *lines])


def find_day() -> days.ProviderDay:
    (found,) = days.list_days(DAY, DAY)
    return found


def test_a_day_that_agrees_and_one_that_does_not(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    for number in range(20):
        complete(user, f"gen-{number}")
    fold(monkeypatch)
    assert find_day().state == "no_file"
    load(list_requests(*[(f"gen-{number}", 100) for number in range(20)]), router, boss)
    day = find_day()
    assert (day.state, day.token_drift, day.cost_drift) == ("agrees", 0, Decimal(0))
    assert days.list_drifts() == []
    load(list_requests(*[(f"gen-{number}", 100) for number in range(31)]), router, boss)
    day = find_day()
    assert (day.state, day.token_drift, day.cost_drift) == ("differs", 1210, Decimal("0.0275"))


def test_a_difference_needs_a_share_and_an_amount() -> None:
    assert not days.is_drift(1000, 50_000, 1000)
    assert days.is_drift(1001, 50_000, 1000)
    assert not days.is_drift(-1001, 200_000, 1000)
    assert days.is_drift(Decimal("-0.02"), Decimal(1), days.LEAST_USD)
    assert not days.is_drift(None, 1, 0)


def test_our_cost_must_be_known_and_our_day_over(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    complete(user, "gen-1", provider_cost=None)
    load(list_requests(("gen-1", 100)), router, boss)
    fold(monkeypatch, until=NOON + HOUR)
    assert find_day().state == "open"
    fold(monkeypatch)
    day = find_day()
    assert (day.state, day.cost_drift, day.token_drift) == ("partial", None, 0)


def test_drifts_of_the_last_weeks_are_listed(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    complete(user, "gen-1", prompt_tokens=9000)
    fold(monkeypatch)
    load(list_requests(("gen-1", 100)), router, boss)
    monkeypatch.setattr(timezone, "now", lambda: NOON + timedelta(days=20))
    assert [(day.provider, day.day) for day in days.list_drifts()] == [("router", DAY)]
    monkeypatch.setattr(timezone, "now", lambda: NOON + timedelta(days=60))
    assert days.list_drifts() == []


def test_the_days_read_no_completions(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    complete(user, "gen-1")
    fold(monkeypatch)
    load(exports.OPENROUTER, router, boss)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        days.list_days(DAY - timedelta(days=90), DAY)
    assert len(queries) == 4
    assert not [query for query in queries if "FROM completions" in query["sql"]]


def test_each_request_is_compared_with_its_completion(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    complete(user, "gen-same")
    complete(user, "gen-tokens", prompt_tokens=150)
    complete(user, "gen-cost", provider_cost=Decimal("0.0020"))
    complete(user, "gen-ours")
    complete(user, "", status="failed", prompt_tokens=0, completion_tokens=0, provider_cost=None)
    complete(user, "gen-night", after=HOUR * 12 + timedelta(minutes=1))
    fold(monkeypatch, until=NOON + timedelta(days=2))
    text = list_requests(
        ("gen-same", 100), ("gen-tokens", 100), ("gen-cost", 100), ("gen-theirs", 300)
    )
    night = "\ngen-night,2025-03-02 23:59:59,0.0025,0,0,0,0,100,10,0,0,gpt,X,,,,,,,,,,"
    load(text + night, router, boss)
    found = {line.upstream_id: line for line in Explanation("router", DAY).list_differences()}
    assert {name: (line.kind, line.tokens) for name, line in found.items()} == {
        "gen-theirs": ("only_theirs", 310),
        "gen-ours": ("only_ours", -110),
        "gen-tokens": ("tokens", -50),
        "gen-cost": ("cost", 0),
        "gen-night": ("other_day", 0),
    }
    assert sum(line.tokens for line in found.values()) + 110 == find_day().token_drift
    assert found["gen-cost"].cost == Decimal("0.0005")


def test_without_requests_the_doubtful_completions_are_listed(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    complete(user, "a", usage_source="estimated", prompt_tokens=900)
    complete(user, "b", usage_source="capped", prompt_tokens=800)
    complete(user, "c", status="interrupted", prompt_tokens=700)
    complete(user, "d", status="failed", prompt_tokens=600)
    complete(user, "", prompt_tokens=500)
    complete(user, "e", provider_cost=None)
    complete(user, "f")
    attempts = [{"provider": "router", "error": "x", "ms": 1}, {"provider": "b", "ms": 1}]
    complete(user, "g", provider="b", attempts=attempts)
    fold(monkeypatch)
    explanation = Explanation("router", DAY)
    expected = ["estimated", "capped", "interrupted", "failed", "no_upstream_id", "no_cost"]
    assert [line.kind for line in explanation.list_differences()] == expected
    assert [reason.kind for reason in explanation.list_reasons()] == [*expected, "fell_back"]
    assert explanation.list_differences(most=2)[1].kind == "capped"


def test_models_are_matched_by_the_names_of_both_sides(
    router: Provider, user: User, boss: User, monkeypatch: Any
) -> None:
    model = LanguageModel.objects.create(name="small")
    Deployment.objects.create(model=model, provider=router, upstream_name="claude-haiku-4-5")
    complete(user, "a", model="small", usage_source="estimated")
    complete(user, "b", model="other", usage_source="estimated")
    fold(monkeypatch)
    load(exports.ANTHROPIC_COST, router, boss)
    load(exports.ANTHROPIC_USAGE, router, boss)
    rows = {row.key: row for row in Explanation("router", DAY).list_models()}
    assert set(rows) == {"claude-haiku-4-5", "other"}
    haiku = rows["claude-haiku-4-5"]
    assert (haiku.names, haiku.ours.tokens, haiku.theirs.tokens) == (["small"], 110, 330)
    lines = Explanation("router", DAY, key="claude-haiku-4-5").list_differences()
    assert [line.upstream_id for line in lines] == ["a"]


def test_names_of_models_are_normalised() -> None:
    for name in ("Claude Haiku 4.5", "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"):
        assert normalise_model(name) == "claude-haiku-4-5"
    for name in ("openai/gpt-4.1-2025-04-14", "openai/gpt-4.1", "openai/gpt-4.1:free"):
        assert normalise_model(name) == "openai/gpt-4-1"
    assert normalise_model("gpt-4o") != normalise_model("gpt-4o-mini")
