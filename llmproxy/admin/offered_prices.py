"""The prices that models would get from the list of their provider, shown before they are saved."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db.models.functions import Now
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from llmproxy.models import LanguageModel, Provider
from llmproxy.price_lists import published
from llmproxy.price_lists.proposals import HIGHEST, Rate, build_columns
from llmproxy.price_lists.provider_prices import build_stored
from llmproxy.price_lists.published import CERTAIN, GUESSED, Published
from llmproxy.receipts.explain import format_decimal
from llmproxy.upstream.model_listing import Offers


def describe_offer(prices: Mapping[str, Decimal] | None) -> str:
    """The prices of a list in words, for a million tokens; empty if there are none."""
    if not prices:
        return ""
    return _("%(prompt)s in, %(completion)s out, USD per million tokens") % {
        "prompt": format_decimal(prices["prompt"] * 1000),
        "completion": format_decimal(prices["completion"] * 1000),
    }


class OfferedPrices:
    """What some models of a provider would be sold at, and what they cost there."""

    def __init__(self, provider: Provider, names: list[str], offers: Offers, rate: Rate) -> None:
        self.provider, self.names, self.offers, self.rate = provider, names, offers, rate

    @cached_property
    def _offers(self) -> dict[str, Published]:
        """The prices of each model for which some are known, in US dollars."""
        found = {name: self._find(name) for name in self.names}
        return {name: offer for name, offer in found.items() if offer is not None}

    def _find(self, name: str) -> Published | None:
        """By the list of the provider, else by the published one if it knows the provider."""
        if prices := self.offers.prices.get(name):
            return Published(f"/models, {self.provider.slug}", CERTAIN, prices)
        rows = published.list_published(
            name=name, url=self.provider.url, labels=(self.provider.slug, self.provider.name)
        )
        sure = (row for row in rows if row.certainty < GUESSED and "prompt" in row.prices)
        return next(sure, None)

    @cached_property
    def columns(self) -> dict[str, dict[str, Any]]:
        """The columns of the new models by their names: prices in credits, and that they are on."""
        columns = {}
        for name, offer in self._offers.items():
            own = build_columns(offer, self.rate)
            if all(value <= HIGHEST for value in own.values() if isinstance(value, Decimal)):
                columns[name] = {**own, "is_active": True}
        return columns

    @property
    def costs(self) -> dict[str, dict[str, Any]]:
        """The columns of the new deployments by the names of the models."""
        return {
            name: {
                "provider_prices": build_stored(offer),
                "provider_prices_source": offer.source[:200],
                "provider_prices_at": Now(),
            }
            for name, offer in self._offers.items()
        }

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """What the page shows: each model, where its price is from, and the price before and after.

        A model that exists keeps its prices.
        """
        existing = LanguageModel.objects.filter(name__in=self.names)
        known = set(existing.values_list("name", flat=True))
        return [
            {
                "name": name,
                "keeps": name in known,
                "source": self._offers[name].source if name in self._offers else "",
                "lines": self._list_lines(name),
            }
            for name in self.names
        ]

    def _list_lines(self, name: str) -> list[dict[str, Any]]:
        fields = {field.name: field for field in LanguageModel._meta.concrete_fields}
        return [
            {"label": fields[column].verbose_name, "old": "–", "new": format_decimal(value)}
            for column, value in self.columns.get(name, {}).items()
            if isinstance(value, Decimal)
        ]

    @property
    def digest(self) -> str:
        """A checksum of all that the person sees: only that is imported."""
        shown = [
            (row["name"], row["keeps"], row["source"], [line["new"] for line in row["lines"]])
            for row in self.rows
        ]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:32]
