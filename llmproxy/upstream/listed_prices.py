"""The prices that a provider's list of models has, in US dollars for the unit of each kind. Pure.

Sources: the model lists of OpenRouter (`pricing.prompt`, US dollars per token as text), Vercel's
gateway (`pricing.input`, likewise), and Together (`pricing.input`, US dollars per million tokens as
a number). What is written otherwise is not read.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

PER_TOKEN, PER_MILLION = Decimal(1000), Decimal("0.001")  # to the price of 1,000 tokens
HIGHEST = Decimal(10)  # US dollars for 1,000 tokens; more is another unit
NAMES = {
    "prompt": "prompt",
    "completion": "completion",
    "input": "prompt",
    "output": "completion",
    "input_cache_read": "cached_prompt",
    "cached_input": "cached_prompt",
    "input_cache_write": "cache_write",
}


def read_listed_prices(row: Any) -> dict[str, Decimal]:
    """The prices of a row of the list; empty if it does not tell both that of prompt and answer."""
    pricing = row.get("pricing") if isinstance(row, dict) else None
    if not isinstance(pricing, dict):
        return {}
    prices: dict[str, Decimal] = {}
    for name, kind in NAMES.items():
        if name in pricing and (price := _read_price(pricing[name])) is not None:
            prices.setdefault(kind, price)
    return prices if {"prompt", "completion"} <= prices.keys() else {}


def _read_price(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        price = Decimal(str(value)) * (PER_TOKEN if isinstance(value, str) else PER_MILLION)
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 <= price <= HIGHEST else None
