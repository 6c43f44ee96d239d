"""From tokens to credits and back: pure arithmetic in decimals, rounded up once per completion."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Any

from llmproxy.metering.price_kinds import (
    BY_NAME,
    COLUMN_KINDS,
    COUNT_COLUMNS,
    EXTRA_COUNTS,
    EXTRA_KINDS,
    PRICE_KINDS,
    TOKEN_KINDS,
    PriceKind,
    list_parts,
)

# UTF-8 bytes per token. Prose has 3.0 (Thai, the least) to 3.35 (English). The estimate for a hold
# assumes more tokens than prose has. An estimate that is charged assumes fewer, because the user
# pays for its error.
HOLD_BYTES_PER_TOKEN = 2.5
ESTIMATE_BYTES_PER_TOKEN = 4.0
# The counts of each whole and of its parts.
_WHOLES = [
    (kind.count, [part.count for part in list_parts(kind)])
    for kind in PRICE_KINDS
    if list_parts(kind)
]


@dataclass(slots=True)
class Usage:
    """What one completion used: tokens, and things that have a price of their own.

    * Parts of `prompt_tokens`: `cached_tokens`, which the provider read from a cache;
      `cache_write_tokens`, which it wrote to one; `audio_prompt_tokens`; `image_prompt_tokens`.
    * `cache_write_1h_tokens` is the part of `cache_write_tokens` that is kept for an hour.
    * Parts of `completion_tokens`: `reasoning_tokens`, which are hidden and have no price of their
      own; `audio_completion_tokens`; `image_completion_tokens`.
    * Things in the request: `images`, `pages` of documents, `audio_seconds`; and `requests`, which
      is 1 for a completion of a model that has a price for it.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_prompt_tokens: int = 0
    image_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    image_completion_tokens: int = 0
    images: int = 0
    pages: int = 0
    audio_seconds: int = 0
    requests: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def bounded(self, *, prompt: int, completion: int) -> "Usage":
        """The usage, limited to these tokens; the parts of a whole together do not exceed it."""
        if self.prompt_tokens <= prompt and self.completion_tokens <= completion and self._fits:
            return self
        counts = self.counts
        counts["prompt_tokens"] = min(self.prompt_tokens, prompt)
        counts["completion_tokens"] = min(self.completion_tokens, completion)
        counts["reasoning_tokens"] = min(self.reasoning_tokens, counts["completion_tokens"])
        for whole, parts in _WHOLES:
            left = counts[whole]
            for part in parts:
                counts[part] = min(counts[part], left)
                left -= counts[part]
        return Usage(**counts)

    @property
    def _fits(self) -> bool:
        """True if the parts of each whole do not exceed it."""
        if self.reasoning_tokens > self.completion_tokens:
            return False
        return all(
            sum([getattr(self, part) for part in parts]) <= getattr(self, whole)
            for whole, parts in _WHOLES
        )

    @property
    def counts(self) -> dict[str, int]:
        """Each count by its name."""
        return {name: getattr(self, name) for name in (*COUNT_COLUMNS, *EXTRA_COUNTS)}

    @property
    def columns(self) -> dict[str, int]:
        """The counts that are columns of a completion's row, by their names."""
        return {name: getattr(self, name) for name in COUNT_COLUMNS}

    @property
    def extras(self) -> dict[str, int]:
        """The other counts, if they are not 0."""
        return {name: count for name in EXTRA_COUNTS if (count := getattr(self, name))}


@dataclass(slots=True)
class Line:
    """One line of a bill: the number of things of one kind, and their price in credits."""

    kind: PriceKind
    count: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """The amount in credits, not rounded."""
        return self.count * self.price / self.kind.unit.size


@dataclass(frozen=True)
class Prices:
    """The price of each kind by its name, in credits per `PriceKind.unit`.

    `long` has the prices of a completion whose prompt has `long_from` tokens or more; None if
    there is one price for all lengths. A kind that is missing costs what its whole costs.
    """

    by_kind: Mapping[str, Decimal]
    long_from: int | None = None
    long: Mapping[str, Decimal] | None = None

    def __getitem__(self, kind: str) -> Decimal:
        """The price of a prompt that is not long; 0 for things that have no price."""
        return _look_up(self.by_kind, BY_NAME[kind])

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The prices as text, by the names of their columns in a completion's row."""
        return {kind.column: str(self[kind.name]) for kind in COLUMN_KINDS}

    @property
    def extras(self) -> dict[str, Any]:
        """The prices that are no columns of a completion's row, as JSON; empty for most models."""
        own = {kind.name: str(self[kind.name]) for kind in EXTRA_KINDS if kind.name in self.by_kind}
        extras: dict[str, Any] = {"prices": own} if own else {}
        if self.long is not None:
            prices = {name: str(price) for name, price in self.long.items()}
            extras["long"] = {"from": self.long_from, "prices": prices}
        return extras

    def is_long(self, usage: Usage) -> bool:
        """True if the prices of a long prompt apply to all of this usage."""
        return self.long_from is not None and usage.prompt_tokens >= self.long_from

    def select(self, usage: Usage) -> Mapping[str, Decimal]:
        """The prices that apply to this usage, by the name of the kind."""
        if self.long is None or not self.is_long(usage):
            return self.by_kind
        units = {name: price for name, price in self.by_kind.items() if name not in _TOKEN_NAMES}
        return {**self.long, **units}

    def lines(self, usage: Usage) -> list[Line]:
        """The lines of the bill. Each token is in exactly one line.

        The kinds that have columns are always there, others if there is something of them.
        """
        prices = self.select(usage)
        kinds = PRICE_KINDS if usage.extras else COLUMN_KINDS
        counts = {kind.name: getattr(usage, kind.count) for kind in kinds}
        for kind in kinds:
            if kind.part_of:
                counts[kind.name] = min(counts[kind.name], counts[kind.part_of])
                counts[kind.part_of] -= counts[kind.name]
        return [
            Line(kind, counts[kind.name], _look_up(prices, kind))
            for kind in kinds
            if kind.has_columns
            or (counts[kind.name] and (kind.name in prices or kind.name in _TOKEN_NAMES))
        ]

    def exact(self, usage: Usage) -> Decimal:
        """The sum of the lines in credits, not rounded."""
        return sum([line.amount for line in self.lines(usage) if line.count], Decimal(0))

    def cost(self, usage: Usage) -> int:
        """The cost in whole credits, rounded up: at least 1 if something had a price, else 0."""
        return int(self.exact(usage).to_integral_value(rounding=ROUND_CEILING))


_TOKEN_NAMES = frozenset(kind.name for kind in TOKEN_KINDS)
_FREE = Decimal(0)


def _look_up(prices: Mapping[str, Decimal], kind: PriceKind) -> Decimal:
    price = prices.get(kind.name)
    if price is None:
        return _look_up(prices, BY_NAME[kind.part_of]) if kind.part_of else _FREE
    return price


def held_tokens(size: int) -> int:
    """A high estimate of the tokens in `size` bytes of UTF-8; the balance has to cover them."""
    return math.ceil(size / HOLD_BYTES_PER_TOKEN)


def estimated_tokens(size: int) -> int:
    """A low estimate of the tokens in `size` bytes of UTF-8, charged if no usage is reported."""
    return math.ceil(size / ESTIMATE_BYTES_PER_TOKEN)
