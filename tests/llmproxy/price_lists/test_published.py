"""The published list, as its wheel has it: rows that stand for the forms that prices have there."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from genai_prices import data, types

from llmproxy.metering.price_kinds import BY_NAME
from llmproxy.price_lists import published
from llmproxy.price_lists.published import CERTAIN, GUESSED, KINDS, LIKELY, Published

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"
LOCAL = "http://127.0.0.1:8080/v1"


def find(name: str, url: str = LOCAL, *labels: str) -> list[Published]:
    return published.list_published(name=name, url=url, labels=labels)


def only(name: str, url: str = LOCAL, *labels: str) -> Published:
    (found,) = find(name, url, *labels)
    return found


def per_million(found: Published) -> dict[str, Decimal]:
    return {kind: usd * 1000 for kind, usd in found.prices.items()}


def test_a_model_with_a_cache() -> None:
    found = only("gpt-4o", OPENAI)
    assert (found.source, found.certainty, found.long_from) == ("openai/gpt-4o", CERTAIN, None)
    assert per_million(found) == {
        "prompt": Decimal("2.5"),
        "cached_prompt": Decimal("1.25"),
        "completion": Decimal(10),
    }
    assert (found.context_tokens, found.notes) == (128_000, ())


def test_a_model_with_two_cache_writes_and_a_long_column() -> None:
    found = only("claude-sonnet-4-5-20250929", ANTHROPIC)
    assert per_million(found) == {
        "prompt": 3,
        "cached_prompt": Decimal("0.3"),
        "cache_write": Decimal("3.75"),
        "cache_write_1h": 6,
        "completion": 15,
    }
    # The list: from 200,000 tokens "on" means more than these, so 200,001 is the first.
    assert found.long_from == 200_001
    assert found.long["prompt"] * 1000 == 6
    assert set(found.long) == set(found.prices)


@pytest.mark.parametrize(
    ("name", "url", "long_from", "kind", "usd"),
    [
        ("gemini-2.5-pro", GOOGLE, 200_001, "completion", "15"),
        ("models/gemini-2.5-pro", GOOGLE, 200_001, "prompt", "2.5"),
        ("gpt-5.4", OPENAI, 272_001, "prompt", "5"),
    ],
)
def test_long_prompts_have_a_column(
    name: str, url: str, long_from: int, kind: str, usd: str
) -> None:
    found = only(name, url)
    assert (found.long_from, found.long[kind] * 1000) == (long_from, Decimal(usd))


def test_things_besides_tokens() -> None:
    assert only("sonar-pro", "https://api.perplexity.ai").prices["request"] * 1000 == 14
    assert only("gemini-2.5-flash-image", GOOGLE).prices["image_completion"] * 1000 == 30
    assert only("gpt-image-1", OPENAI).prices["image_prompt"] * 1000 == 10
    pages = only("mistral-ocr-latest", "https://api.mistral.ai/v1")
    assert "prompt" not in pages.prices
    assert pages.prices["page"] > 0


def test_a_price_by_the_time_of_the_day_is_the_dearest_of_the_day() -> None:
    for hour in (3, 20):
        with time_machine.travel(datetime(2026, 11, 30, hour, tzinfo=UTC)):
            found = only("deepseek-chat", "https://api.deepseek.com/v1")
            assert per_million(found)["completion"] == Decimal("1.1")
            assert any("time of the day" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "url", "labels", "source", "certainty"),
    [
        ("gpt-4o", OPENAI, (), "openai/gpt-4o", CERTAIN),
        ("gpt-4o", LOCAL, ("openai", "My proxy"), "openai/gpt-4o", LIKELY),
        ("gpt-4o", LOCAL, ("proxy", "OpenAI"), "openai/gpt-4o", LIKELY),
        ("gpt-4o", LOCAL, ("proxy", "Proxy"), "openai/gpt-4o", GUESSED),
        ("gpt-4o-2024-11-20", OPENAI, (), "openai/gpt-4o", CERTAIN),
        ("openai/gpt-4o", "https://openrouter.ai/api/v1", (), "openrouter/openai/gpt-4o", CERTAIN),
        ("gpt-4o", "https://x.openai.azure.com/openai/v1", (), "azure/gpt-4o", CERTAIN),
    ],
)
def test_a_provider_is_recognised_by_its_url_then_by_its_name(
    name: str, url: str, labels: tuple[str, ...], source: str, certainty: int
) -> None:
    found = find(name, url, *labels)
    assert (found[0].source, found[0].certainty) == (source, certainty)


def test_a_name_that_nobody_has_is_not_found() -> None:
    assert find("my-own-model") == []
    assert find("gpt-4o-of-mine-that-is-none", ANTHROPIC) == []
    assert find("", OPENAI) == []


def every_row() -> Iterator[tuple[types.Provider, types.ModelInfo]]:
    for provider in data.providers:
        for model in provider.models:
            yield provider, model


def list_prices(model: types.ModelInfo) -> list[types.ModelPrice]:
    return (
        [row.prices for row in model.prices] if isinstance(model.prices, list) else [model.prices]
    )


def test_every_row_of_the_list_can_be_read() -> None:
    rows = [published._read_row(provider, model, CERTAIN) for provider, model in every_row()]
    assert len(rows) > 2000
    for row in rows:
        assert {*row.prices, *row.long} <= set(BY_NAME)
        assert all(usd >= 0 for usd in (*row.prices.values(), *row.long.values()))
        assert (row.long_from is None) == (not row.long)


def test_every_price_of_the_list_is_taken_over_or_known_to_be_left_out() -> None:
    left_out = {
        name
        for _provider, model in every_row()
        for prices in list_prices(model)
        for name in vars(prices)
        if name not in KINDS and not published.IGNORED.search(name)
    }
    # These are told with the model. A price that is new in the list wants a decision.
    assert left_out == {
        "input_annotated_document_kpages",
        "input_mchars",
        "input_text_messages_kcount",
        "input_video_mtok",
        "output_citation_mtok",
        "output_reasoning_mtok",
        "output_video_mtok",
    }


def made(prices: Any, **more: Any) -> Published:
    model = types.ModelInfo("m", types.ClauseEquals("m"), prices=prices, **more)
    return published._read_row(types.Provider("p", "P", "x"), model, CERTAIN)


def price(usd: Any, **more: Any) -> types.ModelPrice:
    return types.ModelPrice(input_mtok=usd, output_mtok=Decimal(2), **more)


def tiers(base: str, **by_start: str) -> types.TieredPrices:
    listed = [types.Tier(int(name[1:]), Decimal(usd)) for name, usd in by_start.items()]
    return types.TieredPrices(Decimal(base), listed)


def test_of_several_lengths_the_first_begins_and_the_dearest_counts() -> None:
    found = made(price(tiers("1", _32000="2", _128000="3")))
    assert (found.long_from, found.long) == (32_001, {"prompt": Decimal("0.003")})
    assert any("limits of length" in note for note in found.notes)


def test_what_has_one_price_for_all_lengths_is_not_in_the_second_column() -> None:
    found = made(price(tiers("1", _10="2"), cache_read_mtok=Decimal("0.5")))
    assert (found.prices["cached_prompt"], set(found.long)) == (Decimal("0.0005"), {"prompt"})


def test_a_price_of_today_counts_and_one_of_tomorrow_is_told() -> None:
    rows = [
        types.ConditionalPrice(prices=price(Decimal(9))),
        types.ConditionalPrice(
            types.StartDateConstraint(date(2026, 11, 1)), prices=price(Decimal(5))
        ),
        types.ConditionalPrice(
            types.StartDateConstraint(date(2026, 12, 1)), prices=price(Decimal(7))
        ),
    ]
    with time_machine.travel(datetime(2026, 11, 30, 12, tzinfo=UTC)):
        found = made(rows)
        assert found.prices["prompt"] == Decimal("0.005")
        assert any("2026-12-01" in note for note in found.notes)
    with time_machine.travel(datetime(2026, 12, 1, tzinfo=UTC)):
        assert made(rows).prices["prompt"] == Decimal("0.007")


def test_a_night_that_crosses_midnight_is_seen() -> None:
    night = types.TimeOfDateConstraint(time(22, tzinfo=UTC), time(4, tzinfo=UTC))
    rows = [
        types.ConditionalPrice(prices=price(Decimal(1))),
        types.ConditionalPrice(night, prices=price(Decimal(8))),
    ]
    with time_machine.travel(datetime(2026, 11, 30, 12, tzinfo=UTC)):
        assert made(rows).prices["prompt"] == Decimal("0.008")


def test_what_cannot_be_said_here_is_told() -> None:
    found = made(
        price(Decimal(1), output_reasoning_mtok=Decimal(3), web_searches_kcount=Decimal(9))
    )
    assert [note for note in found.notes if "output_reasoning_mtok" in note]
    assert not any("web_searches" in note for note in found.notes)
    assert made(price(Decimal(1)), deprecated=True).notes
