"""A completion explained: what was used, at which prices, and how that became whole credits."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmproxy.credentials import described
from llmproxy.models import Completion
from llmproxy.pricing import Usage


@dataclass(slots=True)
class Receipt:
    """What the answer itself says of its charge; the row of the completion says all. `created` is Unix time."""

    generation_id: str
    model: str
    upstream_id: str
    usage: Usage
    charged: int
    balance_after: int | None
    created: int

    @classmethod
    def of(cls, row: Completion) -> "Receipt":
        created = int(row.created_at.timestamp())
        return cls(row.generation_id, row.model, row.upstream_id, row.usage, row.charged, row.balance_after, created)


def explain(completion: Completion) -> dict[str, Any]:
    """Everything a caller needs to compute `cost` again: prices are in credits per 1,000 tokens."""
    return {
        "id": completion.generation_id,
        "object": "generation",
        "created": int(completion.created_at.timestamp()),
        "model": completion.model,
        "provider": completion.provider,
        "called_by": described(completion.credential, completion.credential_name),
        "upstream_id": completion.upstream_id,
        "trace_id": completion.trace_id,
        "route": completion.route,
        "stream": completion.is_stream,
        "status": completion.status,
        "error": completion.error or None,
        "finish_reason": completion.finish_reason or None,
        "usage": {
            "source": completion.usage_source,
            "prompt_tokens": completion.prompt_tokens,
            "cached_tokens": completion.cached_tokens,
            "completion_tokens": completion.completion_tokens,
        },
        "credits_per_1k_tokens": {
            "prompt": _plain(completion.prompt_price),
            "cached_prompt": _plain(completion.cached_prompt_price),
            "completion": _plain(completion.completion_price),
        },
        "rounding": "up to whole credits, once",
        "clamped_max_tokens": completion.clamped_max_tokens,
        "credits": {
            "held": completion.held,
            "cost": completion.cost,
            "charged": completion.charged,
            "uncollected": completion.uncollected,
            "balance_after": completion.balance_after,
        },
        "first_byte_ms": completion.first_byte_ms,
        "total_ms": completion.total_ms,
    }


def _plain(price: Decimal) -> str:
    """Without trailing zeros and without an exponent."""
    return format(price.normalize(), "f")
