"""Finds a model in the published price list, and its prices in US dollars.

Source: genai-prices, https://github.com/pydantic/genai-prices (MIT).
"""

import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from genai_prices import types

PACKAGE = "genai-prices"
# The price kind of each price of the list, and for how many of our units it is: a price for a
# million tokens is for 1000 times 1,000 tokens. A later row replaces an earlier one.
KINDS: dict[str, tuple[str, int]] = {
    "input_mtok": ("prompt", 1000),
    "cache_read_mtok": ("cached_prompt", 1000),
    "cache_write_mtok": ("cache_write", 1000),
    "cache_write_5m_mtok": ("cache_write", 1000),
    "cache_write_1h_mtok": ("cache_write_1h", 1000),
    "input_audio_mtok": ("audio_prompt", 1000),
    "input_image_mtok": ("image_prompt", 1000),
    "output_mtok": ("completion", 1000),
    "output_audio_mtok": ("audio_completion", 1000),
    "output_image_mtok": ("image_completion", 1000),
    "input_document_kpages": ("page", 1000),
    "audio_hours": ("audio_second", 3600),
    "input_audio_hours": ("audio_second", 3600),
    "requests_kcount": ("request", 1000),
}
# Prices of what no route of ours offers, and parts of parts, which cost what their whole costs.
IGNORED = re.compile(r"(web|social|storage|rerank)_searches|code_executions|_tool_|cache_\w+_read")
CERTAIN, LIKELY, GUESSED = 0, 1, 2  # how the provider was recognised


@dataclass(frozen=True, slots=True)
class Published:
    """What the list says about a model, in US dollars for the unit of each price kind.

    `source` names the row of the list: `provider/model`. `long` has the prices of prompts of
    `long_from` tokens or more. `certainty` says how the provider was recognised: by its URL, by its
    name here, or only by the name of the model. `notes` are for people.
    """

    source: str
    certainty: int
    prices: Mapping[str, Decimal]
    long_from: int | None = None
    long: Mapping[str, Decimal] = field(default_factory=dict)
    context_tokens: int | None = None
    notes: tuple[str, ...] = ()


def get_version() -> str:
    """The name and version of the list, such as `genai-prices 0.2.3`."""
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


def list_published(*, name: str, url: str, labels: tuple[str, ...]) -> list[Published]:
    """What the list says about a model of this name.

    `url` and `labels` belong to the provider that serves it. If they tell who that is, only its
    rows are searched; else those of all makers to whom the name belongs.
    """
    from genai_prices.data import providers  # 30 MB that the gateway itself does not need

    found = [one for one in providers if url and re.match(one.api_pattern, url)]
    certainty = CERTAIN
    if not found:
        found = [one for one in providers if _is_called(one, labels)]
        certainty = LIKELY
    if not found:
        found = [one for one in providers if one.model_match and one.model_match.is_match(name)]
        certainty = GUESSED
    rows = (_find_row(provider, name, providers) for provider in found)
    return [_read_row(*row, certainty) for row in rows if row is not None]


def _is_called(provider: "types.Provider", labels: tuple[str, ...]) -> bool:
    return any(label.lower() in (provider.id, provider.name.lower()) for label in labels)


def _find_row(
    provider: "types.Provider", name: str, providers: "list[types.Provider]"
) -> "tuple[types.Provider, types.ModelInfo] | None":
    """The row of this name, which may begin with `models/`, as at Google."""
    for spelling in (name, name.removeprefix("models/")):
        if model := provider.find_model(spelling, all_providers=providers):
            return provider, model
    return None


def _read_row(provider: "types.Provider", model: "types.ModelInfo", certainty: int) -> Published:
    """The prices of today. Where they depend on the time of the day, the highest of each kind."""
    columns = [_read_columns(model.get_prices(moment)) for moment in _list_moments(model)]
    starts = sorted({start for column in columns for start in column.starts})
    return Published(
        source=f"{provider.id}/{model.id}",
        certainty=certainty,
        prices=_merge(column.prices for column in columns),
        # The second price applies to prompts of more tokens than `start`.
        long_from=starts[0] + 1 if starts else None,
        long=_merge(column.long for column in columns),
        context_tokens=model.context_window,
        notes=tuple(_list_notes(model, columns, starts)),
    )


@dataclass(slots=True)
class _Columns:
    """The two columns of prices, where the second one starts, and what is neither."""

    prices: dict[str, Decimal] = field(default_factory=dict)
    long: dict[str, Decimal] = field(default_factory=dict)
    starts: set[int] = field(default_factory=set)
    others: list[str] = field(default_factory=list)


def _read_columns(prices: "types.ModelPrice") -> _Columns:
    from genai_prices.types import TieredPrices

    listed = {name: price for name, price in vars(prices).items() if price is not None}
    columns = _Columns(others=[name for name in listed if name not in KINDS])
    for name, (kind, units) in KINDS.items():
        price = listed.get(name)
        if isinstance(price, TieredPrices):
            columns.starts |= {tier.start for tier in price.tiers}
            columns.long[kind] = max(tier.price for tier in price.tiers) / units
            price = price.base
        if price is not None:
            columns.prices[kind] = price / units
    return columns


def _merge(columns: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """The highest price of each kind."""
    merged: dict[str, Decimal] = {}
    for column in columns:
        for kind, price in column.items():
            merged[kind] = max(price, merged.get(kind, price))
    return merged


def _list_constraints(model: "types.ModelInfo") -> list[Any]:
    return [row.constraint for row in model.prices] if isinstance(model.prices, list) else []


def _list_moments(model: "types.ModelInfo") -> list[datetime]:
    """Now, and each moment of today at which the price changes."""
    from genai_prices.types import TimeOfDateConstraint

    now = datetime.now(UTC)
    times = {
        moment
        for constraint in _list_constraints(model)
        if isinstance(constraint, TimeOfDateConstraint)
        for moment in (constraint.start_time, constraint.end_time)
    }
    return [now, *(datetime.combine(now.date(), moment).astimezone(UTC) for moment in times)]


def _list_notes(
    model: "types.ModelInfo", columns: list[_Columns], starts: list[int]
) -> Iterator[str]:
    from genai_prices.types import StartDateConstraint

    if len(starts) > 1:
        yield _("There are several limits of length; the highest price applies from the first on.")
    if any(column.prices != columns[0].prices for column in columns):
        yield _("The price depends on the time of the day; this is the highest.")
    dates = [
        constraint.start_date
        for constraint in _list_constraints(model)
        if isinstance(constraint, StartDateConstraint)
        and constraint.start_date > datetime.now(UTC).date()
    ]
    if dates:
        yield _("From %(date)s on there are other prices.") % {"date": min(dates).isoformat()}
    if model.deprecated:
        yield _("The provider has announced the end of this model.")
    others = [name for name in columns[0].others if not IGNORED.search(name)]
    if others:
        yield _("Not taken over: %(names)s.") % {"names": ", ".join(sorted(others))}
