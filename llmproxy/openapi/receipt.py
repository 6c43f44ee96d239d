"""The receipt of a completion in the OpenAPI document."""

from typing import Any

from accounts.toolbox.openapi import Node, integer, record, string
from llmproxy.metering.price_kinds import (
    COLUMN_KINDS,
    COUNT_COLUMNS,
    EXTRA_COUNTS,
    PRICE_KINDS,
    TOKEN_KINDS,
)
from llmproxy.models import Completion

GENERATION_ID = "gen_0123456789abcdef01234567"
TOKENS = tuple(kind.name for kind in TOKEN_KINDS)
THINGS = tuple(kind.name for kind in PRICE_KINDS if kind not in TOKEN_KINDS)
# Only a model with a price of its own for one of these says it.
OPTIONAL = tuple(kind.name for kind in TOKEN_KINDS if kind not in COLUMN_KINDS)
_CREDITS = ("held", "cost", "charged", "uncollected", "refunded")
_DECIMAL = string("A decimal number, exact.")
_TIME = string(format="date-time")


def allow_null(kind: str, **more: Any) -> Node:
    return {"type": [kind, "null"], **more}


def build_list(item: Node, description: str) -> Node:
    return {"type": "array", "items": item, "description": description}


def describe_prices(number: Node, **more: Node) -> Node:
    """The properties in which a model or a receipt says its prices."""
    tokens = record(dict.fromkeys(TOKENS, number), optional=OPTIONAL)
    long = record({"from_tokens": integer(minimum=1), **more, "credits_per_1k_tokens": tokens})
    return {
        "credits_per_1k_tokens": tokens,
        "credits_each": record(
            dict.fromkeys(THINGS, number),
            optional=THINGS,
            description="What is charged beside tokens. A thing without a price costs nothing.",
        ),
        "long_prompt": {
            "anyOf": [long, {"type": "null"}],
            "description": "The prices of all tokens if the prompt has `from_tokens` or more.",
        },
    }


ATTEMPT = record(
    {
        "provider": string("The slug of the provider."),
        "error": string("A code for the failure; empty for the provider that answered."),
        "ms": integer("Milliseconds until the provider answered or failed.", minimum=0),
    }
)
LINE = {
    "anyOf": [
        record(
            {
                "kind": string(enum=list(TOKENS)),
                "tokens": integer(minimum=0),
                "credits_per_1k_tokens": _DECIMAL,
                "credits": _DECIMAL,
            }
        ),
        record(
            {
                "kind": string(enum=list(THINGS)),
                "count": integer(minimum=0),
                "credits_each": _DECIMAL,
                "credits": _DECIMAL,
            }
        ),
    ]
}
RECEIPT = record(
    {
        "id": string(examples=[GENERATION_ID]),
        "object": string(enum=["generation"]),
        "created": integer("Unix time of the charge."),
        "model": string(),
        "provider": string("The provider that was tried last."),
        "attempts": build_list(ATTEMPT, "Each provider that was tried, in order."),
        "called_by": allow_null(
            "object",
            properties={"kind": string(enum=["device", "key"]), "id": string(), "name": string()},
            description="The device or API key; null for a browser.",
        ),
        **{name: string() for name in ("upstream_id", "trace_id", "route")},
        "request_id": allow_null(
            "string", description="The `x-request-id` of the answer; null for old completions."
        ),
        "stream": {"type": "boolean"},
        "status": string(enum=list(Completion.Status.values)),
        "error": allow_null("string"),
        "finish_reason": allow_null("string"),
        "ended": string(
            "Why the completion ended: its finish reason, its error, or `caller_left`."
        ),
        "usage": record(
            {
                "source": string(enum=list(Completion.UsageSource.values)),
                **{name: integer(minimum=0) for name in (*COUNT_COLUMNS, *EXTRA_COUNTS)},
            },
            description="`prompt_tokens` and `completion_tokens` include all other tokens.",
        ),
        **describe_prices(_DECIMAL, applies={"type": "boolean"}),
        "arithmetic": record(
            {"lines": build_list(LINE, "Every token is in exactly one line."), "sum": _DECIMAL}
        ),
        "rounding": string(),
        "recompute": integer("`cost`, computed again from this row.", minimum=0),
        "choices": integer("The number of answers that were requested.", minimum=1),
        "max_tokens": allow_null("integer", description="The limit of each answer, in tokens."),
        "clamped_max_tokens": allow_null(
            "integer", description="The same limit, if the balance or a budget reduced it."
        ),
        "dropped_parameters": build_list(string(), "What of the request the provider did not get."),
        "credits": record(
            {
                **{name: integer(minimum=0) for name in _CREDITS},
                "balance_after": allow_null("integer"),
            }
        ),
        "refunds": build_list(
            record(
                {
                    "id": integer("The id of the transaction."),
                    "credits": integer(minimum=1),
                    "created_at": _TIME,
                }
            ),
            "The parts of the charge that an administrator refunded.",
        ),
        "began_at": _TIME,
        "first_byte_ms": allow_null("integer", description="Milliseconds from the beginning."),
        "total_ms": integer("Milliseconds from the beginning to the charge.", minimum=0),
    },
    description="All facts that are needed to compute `cost` again.",
)
