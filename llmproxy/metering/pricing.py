"""From tokens to credits and back: pure arithmetic in decimals, rounded up once per completion."""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

# UTF-8 bytes per token. Prose has 3.0 (Thai, the least) to 3.35 (English). The estimate for a hold
# assumes more tokens than prose has. An estimate that is charged assumes fewer, because the user
# pays for its error.
HOLD_BYTES_PER_TOKEN = 2.5
ESTIMATE_BYTES_PER_TOKEN = 4.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion.

    Parts of `prompt_tokens` are `cached_tokens`, which the provider had cached, and `cache_write_tokens`, which it
    put there; `reasoning_tokens` is the part of `completion_tokens` that is not shown.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: so many tokens of one kind, at a price in credits per 1,000."""

    kind: str
    tokens: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Exact credits, before any rounding."""
        return self.tokens * self.price / 1000


@dataclass(frozen=True, slots=True)
class Prices:
    """Credits per 1,000 tokens of each kind."""

    prompt: Decimal
    cached_prompt: Decimal
    completion: Decimal
    cache_write: Decimal

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """The bill, line by line; every token is in one of them."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        written = min(usage.cache_write_tokens, usage.prompt_tokens - cached)
        return (
            Line("prompt", usage.prompt_tokens - cached - written, self.prompt),
            Line("cached_prompt", cached, self.cached_prompt),
            Line("cache_write", written, self.cache_write),
            Line("completion", usage.completion_tokens, self.completion),
        )

    def exact(self, usage: Usage) -> Decimal:
        """The sum of the lines."""
        return sum((line.amount for line in self.lines(usage)), Decimal(0))

    def cost(self, usage: Usage) -> int:
        """Whole credits: rounded up, at least 1 for any priced token, 0 where there was none."""
        return int(self.exact(usage).to_integral_value(rounding=ROUND_CEILING))


def held_tokens(size: int) -> int:
    """A high estimate of the tokens in `size` bytes of UTF-8; the balance has to cover them."""
    return math.ceil(size / HOLD_BYTES_PER_TOKEN)


def estimated_tokens(size: int) -> int:
    """A low estimate of the tokens in `size` bytes of UTF-8, charged if no usage is reported."""
    return math.ceil(size / ESTIMATE_BYTES_PER_TOKEN)
