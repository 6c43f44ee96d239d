"""What a typical answer of a model costs its caller and the operator, and the margin on it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from llmproxy.metering.operator_costs import read_provider_prices
from llmproxy.metering.pricing import Usage
from llmproxy.models import Deployment, LanguageModel, UsageHour
from llmproxy.receipts.explain import format_decimal

DAYS = 7
ASSUMED = Usage(prompt_tokens=1000, completion_tokens=300)
LEAST_ANSWERS = 10  # fewer say little about a typical one
_AVERAGES = """
SELECT sum(answers)::bigint, sum(prompt_tokens)::numeric / sum(answers),
       sum(completion_tokens)::numeric / sum(answers), sum(cached_tokens)::numeric / sum(answers),
       sum(cache_write_tokens)::numeric / sum(answers)
  FROM usage_hours
 WHERE model = %(model)s AND hour >= now() - make_interval(days => %(days)s)
HAVING sum(answers) >= %(least)s
"""


@dataclass(frozen=True, slots=True)
class ProviderCost:
    """What an answer costs at a provider in US dollars; `is_measured` if by its real answers.

    `margin_percent` is what the price is above it, None if it is not known.
    """

    provider: str
    usd: Decimal | None
    is_measured: bool
    margin_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class TypicalAnswer:
    """An answer with the average tokens of `answers` recent ones; with assumed ones if that is 0.

    `credits` is its price, None without one; `usd` is the same in US dollars if that is known.
    """

    usage: Usage
    answers: int
    credits: Decimal | None
    usd: Decimal | None
    costs: list[ProviderCost]

    @property
    def price(self) -> str:
        """The credits as they are shown."""
        return "" if self.credits is None else format_decimal(self.credits)


def describe_model(model: LanguageModel) -> TypicalAnswer:
    """The typical answer of a model at its present prices."""
    usage, answers = _find_usage(model.name)
    prices = model.prices
    price = None if prices is None else prices.exact(usage)
    rate = settings.CREDITS_PER_USD
    usd = None if price is None or not rate else price / rate
    measured = _measure_costs(model.name) if answers else {}
    costs = [
        _build_cost(deployment, usage, usd, measured.get(deployment.provider.slug))
        for deployment in model.deployments.all()
        if deployment.is_active
    ]
    return TypicalAnswer(usage, answers, price, usd, costs)


def _build_cost(
    deployment: Deployment, usage: Usage, usd: Decimal | None, measured: Decimal | None
) -> ProviderCost:
    """By the provider's prices if they are known, because they are the present ones."""
    cost = measured
    if deployment.provider_prices is not None:
        cost = read_provider_prices(deployment.provider_prices).exact(usage)
    margin = None
    if cost and usd is not None:
        margin = 100 * (usd - cost) / cost
    is_measured = deployment.provider_prices is None and measured is not None
    return ProviderCost(str(deployment.provider), cost, is_measured, margin)


def _find_usage(model: str) -> tuple[Usage, int]:
    """The average tokens of recent answers, and their number; else ASSUMED and 0."""
    parameters: dict[str, Any] = {"model": model, "days": DAYS, "least": LEAST_ANSWERS}
    with connection.cursor() as cursor:
        cursor.execute(_AVERAGES, parameters)
        row = cursor.fetchone()
    if row is None:
        return ASSUMED, 0
    answers, prompt, completion, cached, written = row
    usage = Usage(
        prompt_tokens=round(prompt),
        completion_tokens=round(completion),
        cached_tokens=round(cached),
        cache_write_tokens=round(written),
    )
    return usage, answers


def _measure_costs(model: str) -> dict[str, Decimal]:
    """The average known cost of a recent answer in US dollars, by the slug of the provider."""
    sums: dict[str, tuple[Decimal, int]] = {}
    hours = UsageHour.objects.filter(
        hour__gte=Now() - timedelta(days=DAYS), model=model, provider_cost__isnull=False
    )
    for provider, cost, number in hours.values_list(
        "provider", "provider_cost", "costed_completions"
    ):
        total, count = sums.get(provider, (Decimal(0), 0))
        sums[provider] = (total + (cost or 0), count + (number or 0))
    return {slug: total / count for slug, (total, count) in sums.items() if count}
