"""The meter of chat, and the arithmetic of prices."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.metering.meter import Meter, is_usage_only
from llmproxy.metering.price_kinds import PRICE_KINDS
from llmproxy.metering.pricing import Prices, Usage, estimated_tokens, held_tokens

KINDS = [kind.name for kind in PRICE_KINDS]
ONE, TENTH, FREE = (Prices(dict.fromkeys(KINDS, Decimal(price))) for price in ("1", "0.1", "0"))

prices = st.builds(
    Prices, st.fixed_dictionaries(dict.fromkeys(KINDS, st.decimals(0, 1000, places=6)))
)
tokens = st.integers(0, 10_000_000)


@pytest.mark.parametrize(
    ("price", "prompt", "completion", "cost"),
    [
        (ONE, 0, 0, 0),
        (ONE, 1, 0, 1),
        (ONE, 500, 500, 1),
        (ONE, 500, 501, 2),
        (TENTH, 9_999, 1, 1),
        (TENTH, 10_000, 1, 2),
        (FREE, 10_000, 10_000, 0),
    ],
)
def test_cost_is_rounded_up_once(price: Prices, prompt: int, completion: int, cost: int) -> None:
    assert price.cost(Usage(prompt, completion)) == cost


@given(prices, tokens, tokens, tokens)
def test_more_tokens_never_cost_less(
    price: Prices, prompt: int, completion: int, more: int
) -> None:
    assert price.cost(Usage(prompt, completion + more)) >= price.cost(Usage(prompt, completion))


@given(st.text())
def test_a_hold_assumes_more_tokens_than_an_estimate(text: str) -> None:
    size = len(text.encode(errors="replace"))
    assert held_tokens(size) >= estimated_tokens(size)


def reading(*answers: Any) -> tuple[int, int, int, str]:
    meter = Meter(prompt_bytes=400, max_completion_tokens=500)
    for answer in answers:
        meter.observe(answer)
    reading = meter.reading()
    return (
        reading.usage.prompt_tokens,
        reading.usage.cached_tokens,
        reading.usage.completion_tokens,
        reading.source,
    )


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def test_reported_usage_is_exact() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    assert reading(delta(content="Hello"), {"choices": [], "usage": usage}) == (9, 5, 4, "exact")


def test_what_was_written_to_a_cache_is_a_part_of_the_prompt() -> None:
    for read, written, believed in [
        (5, 3, (5, 3)),
        (5, 30, (5, 4)),
        (30, 3, (9, 0)),
        (0, "3", (0, 0)),
    ]:
        details = {"cached_tokens": read, "cache_write_tokens": written}
        meter = Meter(prompt_bytes=400, max_completion_tokens=500)
        meter.observe(
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 4,
                    "prompt_tokens_details": details,
                }
            }
        )
        usage = meter.reading().usage
        assert (usage.prompt_tokens, usage.cached_tokens, usage.cache_write_tokens) == (
            9,
            *believed,
        )


def test_nobody_pays_for_more_than_the_answer_was_allowed() -> None:
    assert reading({"usage": {"prompt_tokens": 9, "completion_tokens": 501}})[2:] == (500, "capped")
    assert reading({"usage": {"prompt_tokens": 2**39, "completion_tokens": 1}}) == (
        400,
        0,
        1,
        "capped",
    )
    assert reading(delta(content="x" * 100_000))[2:] == (500, "estimated")


@pytest.mark.parametrize(
    ("reported", "counted", "source"),
    [
        (30, 30, "exact"),
        (40_000, 40_000, "exact"),  # pages that a model found by itself
        (50_120, 50_120, "exact"),
        (50_121, 30, "capped"),
        (10**9, 30, "capped"),
    ],
)
def test_a_prompt_is_believed_up_to_what_a_provider_may_add(
    reported: int, counted: int, source: str
) -> None:
    meter = Meter(prompt_bytes=30, max_completion_tokens=500)
    usage = {"prompt_tokens": reported, "completion_tokens": 5, "total_tokens": reported + 5}
    meter.observe({"choices": [{"message": {"content": "text"}}], "usage": usage})
    reading = meter.reading()
    assert (reading.usage.prompt_tokens, reading.source) == (counted, source)


def test_an_answer_nested_without_end_is_survived() -> None:
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]
    assert reading(delta(content=nested), delta(content="x" * 40))[2] == 10


def test_usage_stays_known_when_more_follows_it() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    assert reading({"choices": [], "usage": usage}, delta(content="!"), {"usage": None})[2:] == (
        4,
        "exact",
    )


def test_nothing_generated_is_nothing_used() -> None:
    assert reading() == reading(delta(role="assistant", content=None)) == (0, 0, 0, "none")


def test_text_of_every_kind_is_estimated() -> None:
    call = [
        {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "look", "arguments": '{"a":1}'},
        }
    ]
    assert reading(delta(content="x" * 40))[2] == 10
    assert reading(delta(reasoning_content="x" * 40))[2] == 10
    assert reading(delta(tool_calls=call)) == (100, 0, 3, "estimated")
    assert (
        reading(
            {"choices": [{"message": {"content": "x" * 40}}, {"message": {"content": "x" * 40}}]}
        )[2]
        == 20
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_an_answer_of_any_shape_is_survived(answer: Any) -> None:
    reading(answer, {"choices": answer}, {"choices": [answer], "usage": answer, "id": answer})
    is_usage_only(answer)
