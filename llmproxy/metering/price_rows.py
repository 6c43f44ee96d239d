"""Reads prices from the row of a model, which says what it costs now, and of a completion."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from llmproxy.metering.price_kinds import COLUMN_KINDS, PRICE_KINDS, TOKEN_KINDS
from llmproxy.metering.pricing import Prices


def read_prices(row: Any, default: Decimal | None = None) -> Prices | None:
    """The prices in the row of a model; `default` replaces an empty price of a whole.

    None if there is no price for the prompt or the completion.
    """
    by_kind = {
        kind.name: price for kind in PRICE_KINDS if (price := getattr(row, kind.column)) is not None
    }
    for whole in COLUMN_KINDS:
        if whole.name not in by_kind and whole.part_of is None:
            if default is None:
                return None
            by_kind[whole.name] = default
    if row.long_from_tokens is None:
        return Prices(by_kind)
    long: dict[str, Decimal] = {}
    for kind in TOKEN_KINDS:
        price = getattr(row, kind.long_column)
        # What has no second price keeps its first one.
        if (price := by_kind.get(kind.name) if price is None else price) is not None:
            long[kind.name] = price
    return Prices(by_kind, row.long_from_tokens, long)


def read_frozen_prices(row: Any) -> Prices:
    """The prices in the row of a completion."""
    by_kind = {
        kind.name: price
        for kind in COLUMN_KINDS
        if (price := getattr(row, kind.column)) is not None
    }
    return build_prices(by_kind, row.extras)


def read_granted_prices(texts: Mapping[str, str], extras: Mapping[str, Any] | None) -> Prices:
    """The prices of an admission: decimal texts by kind, and `extras` as in `build_prices`."""
    if extras:
        return build_prices(parse_prices(texts), extras)
    return _read_plain_prices(tuple(texts.items()))


@lru_cache(maxsize=1000)  # few models differ in their prices
def _read_plain_prices(texts: tuple[tuple[str, str], ...]) -> Prices:
    return Prices(parse_prices(dict(texts)))


def build_prices(by_kind: dict[str, Decimal], extras: Mapping[str, Any] | None) -> Prices:
    """The prices from those that have columns, and from `completions.extras`."""
    if not extras:
        return Prices(by_kind)
    by_kind |= parse_prices(extras.get("prices") or {})
    long = extras.get("long")
    return Prices(by_kind, long["from"], parse_prices(long["prices"])) if long else Prices(by_kind)


def parse_prices(texts: Mapping[str, str]) -> dict[str, Decimal]:
    """Prices by kind, from their decimal texts."""
    return {kind: Decimal(price) for kind, price in texts.items()}
