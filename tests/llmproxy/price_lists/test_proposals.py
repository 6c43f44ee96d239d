"""From the published list to the prices of models: the conversion, the choice and the diff."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.models import Deployment, LanguageModel, Provider
from llmproxy.price_lists import published
from llmproxy.price_lists.proposals import PricesChanged, Proposal, Rate, propose
from llmproxy.price_lists.published import CERTAIN, Published

pytestmark = pytest.mark.django_db

RATE = Rate(Decimal(100), Decimal(20))  # a dollar is 100 credits, and we add a fifth
URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai",
    "openrouter": "https://openrouter.ai/api/v1",
    "proxy": "http://10.0.0.1/v1",
}


@pytest.fixture
def make() -> Any:
    """Make a model that these providers serve, under their own names for it."""

    def make_model(name: str, *served: str | tuple[str, str], **fields: Any) -> LanguageModel:
        model = LanguageModel.objects.create(**{"name": name, "context_tokens": 1000, **fields})
        for order, one in enumerate(served):
            slug, own_name = one if isinstance(one, tuple) else (one, "")
            provider, _made = Provider.objects.get_or_create(
                slug=slug, defaults={"name": slug.title(), "base_url": URLS[slug]}
            )
            Deployment.objects.create(
                model=model, provider=provider, upstream_name=own_name, order=order
            )
        return model

    return make_model


def proposal(model: LanguageModel, **choices: str) -> Proposal:
    (found,) = propose([model], RATE, choices)
    return found


def changes(found: Proposal) -> dict[str, Any]:
    return {change.column: change.new for change in found.changes}


@given(
    st.decimals(0, 1000, places=9),
    st.decimals(Decimal("0.01"), 10_000, places=3),
    st.integers(-99, 1000),
)
def test_a_price_is_rounded_up_to_six_places(usd: Decimal, rate: Decimal, margin: int) -> None:
    price = Rate(rate, Decimal(margin)).convert(usd)
    exact = usd * rate * (100 + margin) / 100
    assert 0 <= price - exact < Decimal("0.000001")
    assert price.as_tuple().exponent == -6


def test_a_model_gets_the_prices_of_its_provider(make: Any) -> None:
    found = proposal(make("gpt-4o", "openai"))
    assert (found.is_certain, found.problem) == (True, "")
    # 2.5, 1.25 and 10 dollars a million are 0.3, 0.15 and 1.2 credits a thousand.
    assert changes(found) == {
        "prompt_price": Decimal("0.3"),
        "cached_prompt_price": Decimal("0.15"),
        "completion_price": Decimal("1.2"),
    }


def test_an_unknown_context_is_filled_and_a_known_one_stays(make: Any) -> None:
    unknown = proposal(make("gpt-4o", "openai", context_tokens=None))
    assert changes(unknown)["context_tokens"] == 128_000
    assert "context_tokens" not in changes(proposal(make("gpt-4o-mini", "openai")))


def test_the_second_column_is_filled_and_emptied(make: Any) -> None:
    found = proposal(make("claude-sonnet-4-5", "anthropic"))
    assert changes(found) == {
        "prompt_price": Decimal("0.36"),
        "cached_prompt_price": Decimal("0.036"),
        "cache_write_price": Decimal("0.45"),
        "cache_write_1h_price": Decimal("0.72"),
        "completion_price": Decimal("1.8"),
        "long_from_tokens": 200_001,
        "long_prompt_price": Decimal("0.72"),
        "long_cached_prompt_price": Decimal("0.072"),
        "long_cache_write_price": Decimal("0.9"),
        "long_cache_write_1h_price": Decimal("1.44"),
        "long_completion_price": Decimal("2.7"),
    }
    other = make("gpt-4o", "openai", long_from_tokens=9, long_prompt_price=3, request_price=2)
    emptied = changes(proposal(other))
    assert (emptied["long_from_tokens"], emptied["long_prompt_price"]) == (None, None)
    assert "request_price" not in emptied  # it may be the operator's own


def test_what_is_the_same_is_no_change(make: Any) -> None:
    model = make("gpt-4o", "openai")
    proposal(model).apply()
    model.refresh_from_db()
    again = proposal(model)
    assert (again.changes, again.is_possible, again.chosen is not None) == ((), False, True)


def test_prices_that_were_edited_after_the_comparison_are_not_overwritten(make: Any) -> None:
    model = make("gpt-4o", "openai")
    found = proposal(model)
    LanguageModel.objects.filter(pk=model.pk).update(prompt_price=77)
    with pytest.raises(PricesChanged, match="gpt-4o"):
        found.apply()
    model.refresh_from_db()
    assert (model.prompt_price, model.completion_price) == (77, None)


def test_the_name_at_the_provider_counts(make: Any) -> None:
    found = proposal(make("fast", ("openai", "gpt-4o-mini")))
    assert found.chosen is not None
    assert (found.chosen.source, found.is_certain) == ("openai/gpt-4o-mini", True)


def test_of_several_providers_the_dearest_is_proposed_and_has_to_be_confirmed(make: Any) -> None:
    model = make("gpt", ("openai", "gpt-4o-mini"), ("openrouter", "openai/gpt-4o"))
    found = proposal(model)
    assert [one.source for one in found.candidates] == [
        "openai/gpt-4o-mini",
        "openrouter/openai/gpt-4o",
    ]
    assert found.chosen is found.candidates[1]
    assert (found.is_possible, found.is_certain) == (True, False)
    assert proposal(model, gpt="openai/gpt-4o-mini").is_certain
    assert not proposal(model, gpt="openai/gpt-4o").is_possible


def test_several_providers_with_the_same_prices_are_certain(make: Any) -> None:
    found = proposal(make("gpt", ("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o")))
    assert found.is_certain == (found.candidates[0].prices == found.candidates[1].prices)


@pytest.mark.parametrize(
    ("served", "problem"),
    [
        (("proxy", "gpt-4o"), "Only the name of the model was recognised"),
        (("proxy", "my-own"), "does not have this model"),
        (("openai", "my-own"), "does not have this model"),
        (("openrouter", "meta-llama/llama-3.3-70b-instruct:free"), "no price by tokens"),
    ],
)
def test_what_is_not_certain_says_why(make: Any, served: tuple[str, str], problem: str) -> None:
    found = proposal(make("mine", served))
    assert not found.is_certain
    assert problem in found.problem


def test_what_is_said_to_be_free_has_to_be_confirmed(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Published("p/free", CERTAIN, {"prompt": Decimal(0), "completion": Decimal(0)})
    monkeypatch.setattr(published, "list_published", lambda **_: [free])
    found = proposal(make("gpt-4o", "openai", prompt_price=1))
    assert (found.is_possible, found.is_certain) == (True, False)
    assert "is free" in found.problem


def test_a_model_without_a_provider_is_left_out(make: Any) -> None:
    assert proposal(make("gpt-4o")).problem
    assert proposal(make("gpt-4o-mini")).candidates == ()


def test_a_provider_that_is_switched_off_does_not_count(make: Any) -> None:
    model = make("gpt", ("openai", "gpt-4o-mini"), ("openrouter", "openai/gpt-4o"))
    Provider.objects.filter(slug="openrouter").update(is_active=False)
    assert [one.source for one in proposal(model).candidates] == ["openai/gpt-4o-mini"]


def test_an_embedding_has_no_answer_to_pay_for(make: Any) -> None:
    found = changes(proposal(make("text-embedding-3-small", "openai")))
    assert found == {"prompt_price": Decimal("0.0024"), "completion_price": 0}


def test_a_price_that_no_column_can_hold_is_left_out(make: Any) -> None:
    (found,) = propose([make("gpt-4o", "openai")], Rate(Decimal(10**9), Decimal(0)))
    assert (found.is_possible, "too high" in found.problem) == (False, True)


def test_the_log_says_list_rate_and_change(make: Any) -> None:
    text = proposal(make("gpt-4o", "openai", prompt_price=1)).describe(RATE)
    assert "genai-prices" in text
    assert "100 credits per USD and a margin of 20 %" in text
    assert "prompt_price 1 → 0.3; cached_prompt_price – → 0.15" in text
