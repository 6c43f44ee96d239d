"""From tokens to credits and back: pure arithmetic in decimals, rounded up once per completion."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

# UTF-8 bytes per token. Prose has 3.0 (Thai, the least) to 3.35 (English). The estimate for a hold
# assumes more tokens than prose has. An estimate that is charged assumes fewer, because the user
# pays for its error.
HOLD_BYTES_PER_TOKEN = 2.5
ESTIMATE_BYTES_PER_TOKEN = 4.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion.

    `cached_tokens`, which the provider read from a cache, and `cache_write_tokens`, which it wrote
    to one, are parts of `prompt_tokens`. `reasoning_tokens` is the hidden part of
    `completion_tokens`.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def bounded(self, *, prompt: int, completion: int) -> "Usage":
        """The usage, limited to these tokens; the parts of a whole together do not exceed it."""
        counts = self.counts
        counts["prompt_tokens"] = min(self.prompt_tokens, prompt)
        counts["completion_tokens"] = min(self.completion_tokens, completion)
        counts["reasoning_tokens"] = min(self.reasoning_tokens, counts["completion_tokens"])
        left = {kind.name: counts[kind.tokens] for kind in PRICE_KINDS}
        for kind in PRICE_KINDS:
            if kind.part_of:
                counts[kind.tokens] = min(counts[kind.tokens], left[kind.part_of])
                left[kind.part_of] -= counts[kind.tokens]
        return Usage(**counts)

    @property
    def counts(self) -> dict[str, int]:
        """Each count by its name, which is also that of its column."""
        return {name: getattr(self, name) for name in TOKEN_COUNTS}


@dataclass(frozen=True, slots=True)
class PriceKind:
    """A kind of tokens that has its own price.

    `tokens` is the name of their count, in `Usage` and in the row of a completion. The tokens of a
    kind that is `part_of` another kind are included in the count of that kind. They have its price
    if they have none of their own.
    """

    name: str
    label: Any
    label_on_receipts: Any
    tokens: str
    part_of: str | None = None

    @property
    def column(self) -> str:
        """The name of the price's column, in the tables of models and of completions."""
        return f"{self.name}_price"


# All code that uses prices reads this table (docs/adding-a-price-kind.md). A kind comes before its
# parts.
PRICE_KINDS = (
    PriceKind("prompt", _("prompt price"), _("Your request"), "prompt_tokens"),
    PriceKind(
        "cached_prompt",
        _("cached prompt price"),
        _("Your request, cached"),
        "cached_tokens",
        part_of="prompt",
    ),
    PriceKind(
        "cache_write",
        _("cache write price"),
        _("Your request, written to the cache"),
        "cache_write_tokens",
        part_of="prompt",
    ),
    PriceKind("completion", _("completion price"), _("Answer"), "completion_tokens"),
)
PRICE_COLUMNS = tuple(kind.column for kind in PRICE_KINDS)
PARTS = frozenset(kind.name for kind in PRICE_KINDS if kind.part_of)
TOKEN_COUNTS = (*(kind.tokens for kind in PRICE_KINDS), "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: the tokens of one kind and their price, in credits per 1,000."""

    kind: str
    tokens: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """The amount in credits, not rounded."""
        return self.tokens * self.price / 1000


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of each kind, in credits per 1,000 tokens, by the name of the kind."""

    by_kind: Mapping[str, Decimal]

    def __getitem__(self, kind: str) -> Decimal:
        return self.by_kind[kind]

    @property
    def columns(self) -> dict[str, str]:
        """The prices as text, by the names of their columns in a completion's row."""
        return {kind.column: str(self[kind.name]) for kind in PRICE_KINDS}

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """The lines of the bill. Each token is in exactly one line."""
        counts = {kind.name: getattr(usage, kind.tokens) for kind in PRICE_KINDS}
        for kind in PRICE_KINDS:
            if kind.part_of:
                counts[kind.name] = min(counts[kind.name], counts[kind.part_of])
                counts[kind.part_of] -= counts[kind.name]
        return tuple(Line(kind, tokens, self[kind]) for kind, tokens in counts.items())

    def exact(self, usage: Usage) -> Decimal:
        """The sum of the lines in credits, not rounded."""
        return sum((line.amount for line in self.lines(usage)), Decimal(0))

    def cost(self, usage: Usage) -> int:
        """The cost in whole credits, rounded up: at least 1 if a token had a price, else 0."""
        return int(self.exact(usage).to_integral_value(rounding=ROUND_CEILING))


def resolve_prices(row: Any, default: Decimal | None = None) -> Prices | None:
    """The prices in a row's columns.

    An empty one is replaced by the price of its whole, or by `default`. None if there is no price
    for a kind.
    """
    prices: dict[str, Decimal] = {}
    for kind in PRICE_KINDS:
        price = getattr(row, kind.column)
        if price is None:
            price = prices[kind.part_of] if kind.part_of else default
        if price is None:
            return None
        prices[kind.name] = price
    return Prices(prices)


def held_tokens(size: int) -> int:
    """A high estimate of the tokens in `size` bytes of UTF-8; the balance has to cover them."""
    return math.ceil(size / HOLD_BYTES_PER_TOKEN)


def estimated_tokens(size: int) -> int:
    """A low estimate of the tokens in `size` bytes of UTF-8, charged if no usage is reported."""
    return math.ceil(size / ESTIMATE_BYTES_PER_TOKEN)
