"""How a receipt looks in the OpenAPI document."""

from typing import Any

from accounts.toolbox.openapi import Node, integer, record, string
from llmproxy.metering.pricing import PRICE_KINDS, TOKEN_COUNTS
from llmproxy.models import Completion

GENERATION_ID = "gen_0123456789abcdef01234567"
PRICES = tuple(kind.name for kind in PRICE_KINDS)
_CREDITS = ("held", "cost", "charged", "uncollected", "refunded")
_DECIMAL = string("A decimal number, exact.")
_TIME = string(format="date-time")


def or_null(kind: str, **more: Any) -> Node:
    return {"type": [kind, "null"], **more}


def listed(item: Node, description: str) -> Node:
    return {"type": "array", "items": item, "description": description}


ATTEMPT = record(
    {
        "provider": string("Its slug."),
        "error": string("What went wrong, as a code; empty for the one that answered."),
        "ms": integer("Milliseconds until it answered or failed.", minimum=0),
    }
)
LINE = record(
    {
        "kind": string(enum=list(PRICES)),
        "tokens": integer(minimum=0),
        "credits_per_1k_tokens": _DECIMAL,
        "credits": _DECIMAL,
    }
)
RECEIPT = record(
    {
        "id": string(examples=[GENERATION_ID]),
        "object": string(enum=["generation"]),
        "created": integer("Unix time of the charge."),
        "model": string(),
        "provider": string("The one that was asked last."),
        "attempts": listed(ATTEMPT, "Each provider that was asked, in order."),
        "called_by": or_null(
            "object",
            properties={"kind": string(enum=["device", "key"]), "id": string(), "name": string()},
            description="The device or API key; null for a browser.",
        ),
        **{name: string() for name in ("upstream_id", "trace_id", "route")},
        "stream": {"type": "boolean"},
        "status": string(enum=list(Completion.Status.values)),
        "error": or_null("string"),
        "finish_reason": or_null("string"),
        "ended": string("Why it ended: the finish reason, the error, or `caller_left`."),
        "usage": record(
            {
                "source": string(enum=list(Completion.UsageSource.values)),
                **{name: integer(minimum=0) for name in TOKEN_COUNTS},
            },
            description="Cached and written tokens are part of the prompt's, reasoning tokens of the completion's.",
        ),
        "credits_per_1k_tokens": record(
            dict.fromkeys(PRICES, _DECIMAL), description="As they were when the completion began."
        ),
        "arithmetic": record(
            {"lines": listed(LINE, "Every token is in one of them."), "sum": _DECIMAL}
        ),
        "rounding": string(),
        "recompute": integer("`cost`, computed again from this row.", minimum=0),
        "choices": integer("Answers that were asked for.", minimum=1),
        "max_tokens": or_null("integer", description="That each of them was allowed."),
        "clamped_max_tokens": or_null(
            "integer", description="The same, if the balance or a budget set it."
        ),
        "credits": record(
            {**{name: integer(minimum=0) for name in _CREDITS}, "balance_after": or_null("integer")}
        ),
        "refunds": listed(
            record(
                {
                    "id": integer("Of the transaction."),
                    "credits": integer(minimum=1),
                    "created_at": _TIME,
                }
            ),
            "What an administrator gave back of the charge.",
        ),
        "began_at": _TIME,
        "first_byte_ms": or_null("integer", description="Milliseconds from the beginning."),
        "total_ms": integer("Milliseconds from the beginning to the charge.", minimum=0),
    },
    description="All that is needed to compute `cost` again.",
)
