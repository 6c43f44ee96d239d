"""What providers take from the operator, in US dollars, as it is stored with their deployments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from llmproxy.metering.operator_costs import read_provider_prices
from llmproxy.metering.price_kinds import PRICE_KINDS, TOKEN, TOKEN_KINDS
from llmproxy.models import Deployment, LanguageModel
from llmproxy.price_lists import published
from llmproxy.price_lists.published import GUESSED, Published

SMALLEST = Decimal("0.000000000001")  # US dollars, for the unit of a price kind
MILLION = 1000  # times the unit of tokens, which is 1,000 of them


@dataclass(frozen=True, slots=True)
class CostChange:
    """The prices of the provider of a deployment, before and after; None if none are known."""

    deployment: Deployment
    old: dict[str, Any] | None
    new: dict[str, Any]
    source: str

    def list_lines(self) -> Iterator[tuple[str, Decimal | None, Decimal | None]]:
        """Yield each price that changes: its name, and the old and the new one.

        They are in US dollars, for a million tokens or one thing.
        """
        old, new = (flatten(prices) for prices in (self.old, self.new))
        for name in dict.fromkeys((*new, *old)):
            if old.get(name) != new.get(name):
                yield name, old.get(name), new.get(name)

    def apply(self) -> bool:
        """Store the new prices; False, and nothing is stored, if the old ones have changed."""
        row = Deployment.objects.select_for_update(no_key=True).filter(pk=self.deployment.pk)
        current = row.first()
        if current is None or current.provider_prices != self.old:
            return False
        row.update(
            provider_prices=self.new,
            provider_prices_source=self.source[:200],
            provider_prices_at=Now(),
        )
        return True

    def describe(self) -> str:
        """The change in the words of the administrators' log, which are not translated."""
        lines = (f"{name} {_write(old)} → {_write(new)}" for name, old, new in self.list_lines())
        return f"{self.deployment.provider.slug} takes, in USD: {'; '.join(lines)}"


def list_changes(model: LanguageModel, chosen: Published | None) -> Iterator[CostChange]:
    """Yield the deployments of a model for which the list has other prices than are stored.

    `chosen` is the row that somebody chose for the model. A row that was found only by the name of
    the model counts only if it is that one: prices of an unknown provider are a guess.
    """
    for deployment in model.deployments.all():
        row = _find_row(deployment, model, chosen)
        if row is not None and deployment.provider_prices != (new := build_stored(row)):
            source = f"{published.get_version()}, {row.source}"
            yield CostChange(deployment, deployment.provider_prices, new, source)


def _find_row(
    deployment: Deployment, model: LanguageModel, chosen: Published | None
) -> Published | None:
    provider = deployment.provider
    rows = published.list_published(
        name=deployment.upstream_name or model.name,
        url=provider.url,
        labels=(provider.slug, provider.name),
    )
    priced = [row for row in rows if "prompt" in row.prices]
    confirmed = (chosen.source, chosen.certainty) if chosen else None
    same = [row for row in priced if (row.source, row.certainty) == confirmed]
    return next(iter(same or [row for row in priced if row.certainty < GUESSED]), None)


def build_stored(row: Published) -> dict[str, Any]:
    """Return the prices as `Deployment.provider_prices` has them."""
    stored: dict[str, Any] = {"prices": _write_prices(row.prices)}
    if row.long_from is not None:
        # What has no second price keeps its first one.
        tokens = {kind.name for kind in TOKEN_KINDS}
        first = {name: usd for name, usd in row.prices.items() if name in tokens}
        stored["long"] = {"from": row.long_from, "prices": _write_prices(first | dict(row.long))}
    return stored


def flatten(stored: Mapping[str, Any] | None) -> dict[str, Decimal]:
    """Return stored prices by their labels, in US dollars for a million tokens or one thing."""
    if stored is None:
        return {}
    prices = read_provider_prices(stored)
    shown: dict[str, Decimal] = {}
    for kind in PRICE_KINDS:
        factor = MILLION if kind.unit is TOKEN else 1
        if kind.name in prices.by_kind:
            shown[str(kind.label)] = prices.by_kind[kind.name] * factor
        if kind.name in (prices.long or {}):
            label = _("long prompt: {price}").format(price=kind.label)
            shown[label] = (prices.long or {})[kind.name] * factor
    return shown


def _write_prices(prices: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: format(usd.quantize(SMALLEST).normalize(), "f") for name, usd in prices.items()}


def _write(usd: Decimal | None) -> str:
    return "–" if usd is None else format(usd.normalize(), "f")
