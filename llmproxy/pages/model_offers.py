"""What the page of models says about one: prices in credits and money, limits, routes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from credits.shop.offers import CreditPrice
from llmproxy.metering.price_kinds import PRICE_KINDS, PriceKind
from llmproxy.metering.pricing import Prices, Usage
from llmproxy.models import Endpoint, LanguageModel
from llmproxy.receipts.explain import format_decimal

# A typical answer reads about two pages of English and writes one.
TYPICAL_PROMPT_TOKENS = 1000
TYPICAL_ANSWER_TOKENS = 500
ALWAYS_SHOWN = ("prompt", "completion")


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """One price: `credits` for `unit`, and the same in money; empty if nothing is for sale."""

    kind: PriceKind
    credits: str
    money: str

    @property
    def label(self) -> Any:
        return self.kind.label_on_receipts

    @property
    def unit(self) -> Any:
        return self.kind.unit.label


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """One model on the page. `long` are the prices of a prompt of `long_from` tokens or more."""

    model: LanguageModel
    prompt: ShownPrice
    completion: ShownPrice | None
    others: list[ShownPrice]
    long_from: int | None
    long: list[ShownPrice]
    typical_credits: int
    typical_money: str
    routes: list[str]
    is_included: bool


def describe_model(
    model: LanguageModel, prices: Prices, *, credit: CreditPrice | None, is_included: bool
) -> ModelOffer:
    """Describe a model with these prices. `deployments` are prefetched."""
    routes = list_routes(model)
    writes = routes != [Endpoint.EMBEDDINGS.value]
    shown = {price.kind.name: price for price in _show_prices(prices, credit)}
    typical = prices.cost(_build_typical_usage(prices, writes=writes))
    long = _show_prices(Prices(prices.long), credit) if prices.long else []
    return ModelOffer(
        model=model,
        prompt=shown.pop("prompt"),
        completion=shown.pop("completion") if writes else None,
        others=[price for name, price in shown.items() if name != "completion"],
        long_from=prices.long_from if prices.long else None,
        long=long,
        typical_credits=typical,
        typical_money=credit.format_cost(Decimal(typical)) if credit else "",
        routes=routes,
        is_included=is_included,
    )


def list_routes(model: LanguageModel) -> list[str]:
    """Return the routes on which a provider serves this model, as paths after `/v1/`."""
    served = {
        endpoint
        for row in model.deployments.all()
        if row.is_active and row.provider.is_active
        for endpoint in row.provider.endpoints
    }
    return [endpoint.value for endpoint in Endpoint if endpoint in served]


def _show_prices(prices: Prices, credit: CreditPrice | None) -> list[ShownPrice]:
    """Return those that the model has; a part without a price of its own costs as its whole."""
    return [
        ShownPrice(
            kind,
            format_decimal(prices[kind.name]),
            credit.format_cost(prices[kind.name]) if credit else "",
        )
        for kind in PRICE_KINDS
        if kind.name in prices.by_kind or kind.name in ALWAYS_SHOWN
    ]


def _build_typical_usage(prices: Prices, *, writes: bool) -> Usage:
    return Usage(
        TYPICAL_PROMPT_TOKENS,
        TYPICAL_ANSWER_TOKENS if writes else 0,
        requests=int("request" in prices.by_kind),
    )
