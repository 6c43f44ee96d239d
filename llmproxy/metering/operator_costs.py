"""What the operator pays a provider, as some answers say it, or by the prices of a deployment.

It is for the operator, not for callers. Pure. Sources: the API references of OpenRouter
(`usage.cost`, `cost_details`, `is_byok`), xAI (`cost_in_usd_ticks`), Perplexity
(`usage.cost.total_cost`), DeepInfra (`estimated_cost`), Vercel (`provider_metadata.gateway.cost`),
LiteLLM and NanoGPT.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from llmproxy.metering.places import BY_PROVIDER, REPEATED
from llmproxy.metering.price_rows import build_prices, parse_prices
from llmproxy.metering.pricing import Prices, Usage

Answer = dict[str, Any]

MAX_USD = 10_000  # more is no cost of one answer
SMALLEST = Decimal("0.0000000001")  # US dollars, as a row can have them
MAX_DEPTH = 6
TICKS = 10_000_000_000  # in one US dollar
# Members that callers do not get, however a provider spells them: its prices, and our account.
WITHHELD = re.compile(
    r"cost|pric(e|ing)|usd|byok|credit|spen[dt]|balance|charge|billing|discount"
    r"|account|organi[sz]ation|\borg_id|tenant|workspace|project_id|_hidden_params",
    re.IGNORECASE,
)
# What the model generated or found, or what the caller sent: it is passed on as it is.
CONTENT = REPEATED | frozenset(
    """
    annotations citations content data delta error images instructions item logprobs output part
    refusal related_questions search_results videos
    """.split()  # noqa: SIM905
)
# The names of the whole cost in US dollars, without underscores and in lower case.
WHOLE = frozenset(
    """
    cost totalcost estimatedcost responsecost costusd totalcostusd usdcost costinusd totalcostinusd
    """.split()  # noqa: SIM905
)
NUMBER = re.compile(r"\d{1,20}(\.\d{1,30})?([eE][+-]?\d{1,2})?\Z")


@lru_cache(maxsize=10_000)
def is_withheld(name: str) -> bool:
    """Whether callers do not get a member of this name."""
    return WITHHELD.search(name) is not None


def find(answer: Answer) -> Iterator[Answer]:
    """Yield the objects that contain something that callers do not get, besides usage objects."""
    if any(map(is_withheld, answer)):
        yield answer
    for name in BY_PROVIDER & answer.keys():
        provider = answer[name]
        for reported in provider.values() if isinstance(provider, dict) else ():
            if isinstance(reported, dict) and is_among(reported):
                yield reported


def is_among(reported: Answer) -> bool:
    """Whether a usage object contains something that callers do not get."""
    return any(
        is_withheld(name) or (isinstance(value, dict) and any(map(is_withheld, value)))
        for name, value in reported.items()
    )


def read_usd(reported: Answer) -> float | None:
    """The cost in this object, in US dollars; None if there is none. Of several the largest."""
    found = [usd for name, value in reported.items() for usd in _read_member(name, value)]
    if reported.get("is_byok") is True:  # then `cost` is only OpenRouter's own fee
        found.append(sum(found[:1]) + sum(_read_upstream(reported.get("cost_details"))))
    return max(found, default=None)


def _read_member(name: str, value: Any) -> Iterator[float]:
    plain = name.replace("_", "").lower()
    if plain == "costinusdticks":
        yield from (ticks / TICKS for ticks in _read_number(value, MAX_USD * TICKS))
    elif plain in WHOLE and isinstance(value, dict):
        yield from _read_number(value.get("total_cost"))
    elif plain in WHOLE:
        yield from _read_number(value)


def _read_upstream(details: Any) -> Iterator[float]:
    if isinstance(details, dict):
        yield from _read_number(details.get("upstream_inference_cost"))


def _read_number(value: Any, most: float = MAX_USD) -> Iterator[float]:
    """Yield the number, if it is one that a cost can be."""
    if isinstance(value, str) and NUMBER.match(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < most:
        yield float(value)


def withhold(answer: Answer, depth: int = 0) -> Answer:
    """Return a copy of an answer or a chunk without what callers do not get."""
    kept: Answer = {}
    for name, value in answer.items():
        if is_withheld(name):
            continue
        if name == "choices" and isinstance(value, list):
            kept[name] = [_withhold_from_choice(choice) for choice in value]
        elif name in ("response", "message") and isinstance(value, dict) and not depth:
            kept[name] = withhold(value, 1)
        else:
            kept[name] = value if name in CONTENT else _strip(value)
    return kept


def _withhold_from_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    kept = {name: value for name, value in choice.items() if not is_withheld(name)}
    for name in ("delta", "message"):
        if isinstance(inner := kept.get(name), dict):
            kept[name] = {
                member: _strip(value) if member in BY_PROVIDER or member == "usage" else value
                for member, value in inner.items()
            }
    for name in BY_PROVIDER | {"usage"}:
        if name in kept:
            kept[name] = _strip(kept[name])
    return kept


def _strip(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {
            name: _strip(inner, depth + 1) for name, inner in value.items() if not is_withheld(name)
        }
    return [_strip(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def read_provider_prices(stored: Mapping[str, Any]) -> Prices:
    """The prices in `Deployment.provider_prices`, in US dollars for the unit of each kind."""
    return build_prices(parse_prices(stored["prices"]), stored)


@lru_cache(maxsize=1000)  # there is one text for each deployment
def _read_text(stored: str) -> Prices:
    return read_provider_prices(json.loads(stored))


def compute_usd(stored: str, usage: Usage) -> str | None:
    """The cost in US dollars as decimal text; None if it is no possible cost of one answer.

    `stored` is the JSON text of `Deployment.provider_prices`.
    """
    prices = _read_text(stored)
    if "request" in prices.by_kind and not usage.requests:
        usage = replace(usage, requests=1)  # our own price may not have a part for it
    try:
        usd = prices.exact(usage).quantize(SMALLEST)
    except InvalidOperation:  # more digits than a decimal has
        return None
    return format(usd, "f") if 0 <= usd < MAX_USD else None
