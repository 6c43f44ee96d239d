"""The public page of models and prices."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Plan, User
from credits.currencies import format_fraction
from credits.models import Package, PackagePrice
from llmproxy.models import Deployment, LanguageModel, Provider
from tests.pages import extract_text

pytestmark = pytest.mark.django_db


@pytest.fixture
def offer() -> Callable[..., LanguageModel]:
    """Put a model on sale, at a provider with these routes."""

    def make(name: str = "bright", *routes: str, **fields: Any) -> LanguageModel:
        prices = {"prompt_price": "0.5", "completion_price": "2"}
        model = LanguageModel.objects.create(name=name, **{**prices, **fields})
        endpoints = list(routes) or ["chat/completions", "messages"]
        provider, _made = Provider.objects.get_or_create(
            slug="-".join(endpoints)[:40].replace("/", "-"), defaults={"endpoints": endpoints}
        )
        Deployment.objects.create(model=model, provider=provider)
        return model

    return make


@pytest.fixture
def packages() -> None:
    for name, credits, amount in (("Small", 100, 500), ("Large", 1000, 3000)):
        package = Package.objects.create(name=name, credits=credits, price_usd=0)
        PackagePrice.objects.create(package=package, currency="usd", amount=amount)
        PackagePrice.objects.create(package=package, currency="thb", amount=amount * 35)


def read(client: Client, address: str = "/models", status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return extract_text(response)


def test_a_stranger_reads_what_a_model_costs(client: Client, offer: Any, packages: None) -> None:
    offer(cached_prompt_price="0.05", request_price="1", max_output_tokens=8192, sees_images=True)
    page = read(client)
    assert "bright" in page
    assert "0.5 $0.025" in page
    assert "2 $0.10" in page
    assert "Your request, cached: 0.05 per 1,000" in page
    assert "Request: 1 per request" in page
    # 1,000 tokens at 0.5, 500 at 2, and the request: 2.5 credits, rounded up.
    assert "3 $0.15" in page
    assert "answers up to 8,192 tokens" in page
    assert "sees images" in page
    assert "/v1: chat/completions · messages" in page
    assert "price of the package Small" in page


def test_money_is_shown_in_the_currency_of_the_address(
    client: Client, offer: Any, packages: None
) -> None:
    offer()
    assert "0.5 ฿0.875" in read(client, "/models?currency=thb")
    assert "0.5 $0.025" in read(client, "/models?currency=xxx")
    Package.objects.update(is_active=False)
    assert "$" not in read(client)


def test_models_are_searched_by_words_in_the_address(client: Client, offer: Any) -> None:
    for name in ("maker/Bright-2", "maker/dim", "other/bright"):
        offer(name)
    page = read(client, "/models?q=BRIGHT+maker")
    assert "maker/Bright-2" in page
    assert "other/bright" not in page
    assert "No model has “<b>” in its name" in read(client, "/models?q=%3Cb%3E").replace(
        "&lt;b&gt;", "<b>"
    )
    read(client, "/models?page=0", status=400)
    read(client, f"/models?q={'x' * 101}", status=400)
    assert "other/bright" in read(client, "/models?page=9999")


def test_300_models_are_pages_of_less_than_100_kb(
    client: Client, offer: Any, packages: None
) -> None:
    every = dict.fromkeys(("cached_prompt_price", "cache_write_price", "image_price"), "1.25")
    names = [f"a-maker-of-models/a-model-with-a-long-name-{number:03}" for number in range(300)]
    provider = offer("first", **every).providers.get()
    models = LanguageModel.objects.bulk_create(
        LanguageModel(name=name, prompt_price="0.5", completion_price="2", **every)
        for name in names
    )
    Deployment.objects.bulk_create(Deployment(model=model, provider=provider) for model in models)
    first = client.get("/models")
    assert len(first.content) < 100_000
    assert b"long-name-049" in first.content
    assert client.get("/models?page=7").content.count(b"<code id=") == 1
    last = client.get("/models?page=6")
    assert b"long-name-299" in last.content
    assert b"long-name-249<" not in last.content


def test_what_is_not_sold_is_not_shown(client: Client, offer: Any, settings: Any) -> None:
    settings.WEB_LLM_CREDIT_PER_1K_TOKENS = None
    offer("hidden", is_active=False)
    offer("unpriced", completion_price=None)
    Provider.objects.filter(pk=offer("lonely", "responses").providers.get().pk).update(
        is_active=False
    )
    page = read(client)
    assert not any(name in page for name in ("hidden", "unpriced", "lonely"))
    assert "no model for sale" in page


def test_a_model_outside_the_plan_is_marked(client: Client, offer: Any, make_user: Any) -> None:
    offer("first")
    offer("second")
    user: User = make_user()
    Plan.objects.filter(pk=user.plan_id).update(allowed_models=["first"])
    client.force_login(user)
    assert read(client).count("not in your plan") == 1
    assert "not in your plan" not in read(Client())


def test_embeddings_have_no_answer_to_pay_for(client: Client, offer: Any) -> None:
    offer("vectors", "embeddings", prompt_price="0.1", context_tokens=8000)
    page = read(client)
    assert "0.1 – 1" in page
    assert "answers up to" not in page
    assert "8,000 tokens in all" in page


def test_prices_of_long_prompts_are_shown(client: Client, offer: Any) -> None:
    offer(long_from_tokens=200_000, long_prompt_price="9")
    assert "For requests of 200,000 tokens or more: Your request 9 · Answer 2" in read(client)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("0.00123456", "usd", "$0.00123"),
        ("0", "usd", "$0.00"),
        ("1234.5", "usd", "$1,234.50"),
        ("0.5", "jpy", "¥0.5"),
        ("12", "jpy", "¥12"),
        ("0.000000001", "thb", "฿0.00"),
        ("0.0251", "chf", "0.0251 CHF"),
    ],
)
def test_small_amounts_keep_three_digits(amount: str, currency: str, shown: str) -> None:
    assert format_fraction(Decimal(amount), currency) == shown
