"""What a typical answer costs: by recent answers, else by assumed tokens; and its margin."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmproxy.models import Deployment, LanguageModel, Provider, UsageHour
from llmproxy.receipts.typical_answers import describe_model
from tests.admin_forms import read_form
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
PRICES = {"prices": {"prompt": "0.002", "completion": "0.01"}}  # US dollars per 1,000 tokens


@pytest.fixture
def model(settings: Any) -> LanguageModel:
    settings.CREDITS_PER_USD = Decimal(100)
    cloud = Provider.objects.create(slug="cloud", name="Cloud", base_url="http://10.0.0.1/v1")
    row = LanguageModel.objects.create(
        name="gpt", prompt_price=Decimal("0.4"), completion_price=Decimal(2)
    )
    Deployment.objects.create(model=row, provider=cloud, provider_prices=PRICES)
    return row


def answer(number: int, *, ago: int = 1, **fields: Any) -> None:
    hour = (timezone.now() - timedelta(days=ago)).replace(minute=0, second=0, microsecond=0)
    values = {"failures": 0, "charged": 0, "uncollected": 0, "prompt_tokens": 500 * number}
    UsageHour.objects.create(
        hour=hour,
        provider="cloud",
        model="gpt",
        **{**values, "answers": number, "completion_tokens": 100 * number, **fields},
    )


def test_without_answers_tokens_are_assumed_and_said_so(model: LanguageModel) -> None:
    answer(9)
    answer(500, ago=9)
    typical = describe_model(model)
    assert (typical.answers, typical.usage.prompt_tokens) == (0, 1000)
    assert (typical.credits, typical.usd) == (Decimal("1.0"), Decimal("0.01"))
    (cost,) = typical.costs
    assert (cost.usd, cost.margin_percent) == (Decimal("0.005"), Decimal(100))


def test_recent_answers_say_what_is_typical(model: LanguageModel) -> None:
    answer(20, cached_tokens=2000)
    typical = describe_model(model)
    assert (typical.answers, typical.usage.prompt_tokens, typical.usage.cached_tokens) == (
        20,
        500,
        100,
    )
    assert typical.credits == Decimal("0.4")


def test_a_reported_cost_counts_where_prices_are_not_known(model: LanguageModel) -> None:
    Deployment.objects.update(provider_prices=None)
    assert describe_model(model).costs[0].usd is None
    answer(20, provider_cost=Decimal("0.16"), costed_completions=16)
    (cost,) = describe_model(model).costs
    assert cost.is_measured
    assert (cost.usd, cost.margin_percent) == (Decimal("0.01"), Decimal(-60))


def test_without_a_rate_there_is_no_margin(model: LanguageModel, settings: Any) -> None:
    settings.CREDITS_PER_USD = None
    typical = describe_model(model)
    assert (typical.usd, typical.costs[0].margin_percent) == (None, None)


def test_the_page_of_a_model_shows_a_changed_price_with_its_margin(
    model: LanguageModel, client: Client, make_user: Any
) -> None:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    address = f"/admin/llmproxy/languagemodel/{model.pk}/change/"
    with CaptureQueriesContext(connection) as queries:
        page = client.get(address)
    assert "Margin 100.0 %" in extract_text(page)
    assert not [query for query in queries if "FROM completions" in query["sql"]]
    sent = {**read_form(page), "completion_price": "0.333333", "_continue": "1"}
    text = extract_text(client.post(address, sent, follow=True))
    assert "Margin 0.0 %" in text
    assert "Cloud takes 0.005000 USD." in text
