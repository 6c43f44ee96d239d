"""Explains a completion: the tokens, their prices, and how these became whole credits."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from accounts.models import User
from credits.models import Transaction
from llmproxy.metering.pricing import Line
from llmproxy.models import Completion

ROUNDING = "up to whole credits, once"
ATTEMPT_KEYS = ("provider", "error", "ms")  # the status of a provider is for the operator only


def recompute_cost(completion: Completion) -> int:
    """The cost by the row's own tokens and prices; 0 if nothing was held for the completion."""
    return completion.prices.cost(completion.usage) if completion.hold_id else 0


def list_refunds(completion: Completion) -> list[Transaction]:
    """The refunds of the charge, oldest first."""
    if not completion.hold_id:
        return []
    usage = Transaction.objects.filter(
        user=completion.user_id, hold=completion.hold_id, type=Transaction.Type.USAGE
    )
    return list(Transaction.objects.filter(reverses__in=usage).order_by("seq"))


def get_ending(completion: Completion) -> str:
    """Why the answer ended, as a code: the provider's finish reason, or what stopped the answer."""
    if completion.status == Completion.Status.INTERRUPTED:
        return "caller_left"
    if completion.status == Completion.Status.FAILED:
        return completion.error
    return completion.finish_reason or ("unknown" if completion.is_written else "completed")


def explain(completion: Completion) -> dict[str, Any]:
    """The receipt: all that a caller needs to compute `cost` again.

    Prices are in credits per 1,000 tokens.
    """
    refunds = list_refunds(completion)
    return {
        "id": completion.generation_id,
        "object": "generation",
        "created": int(completion.created_at.timestamp()),
        "model": completion.model,
        "provider": completion.provider,
        "attempts": [
            {name: attempt[name] for name in ATTEMPT_KEYS} for attempt in completion.attempts
        ],
        "called_by": _describe_credential(completion),
        "upstream_id": completion.upstream_id,
        "trace_id": completion.trace_id,
        "route": completion.route,
        "stream": completion.is_stream,
        "status": completion.status,
        "error": completion.error or None,
        "finish_reason": completion.finish_reason or None,
        "ended": get_ending(completion),
        "usage": _describe_usage(completion),
        "credits_per_1k_tokens": _describe_prices(completion),
        "arithmetic": _describe_arithmetic(completion),
        "rounding": ROUNDING,
        "recompute": recompute_cost(completion),
        "choices": completion.choices,
        "max_tokens": completion.max_tokens,
        "clamped_max_tokens": completion.clamped_max_tokens,
        "dropped_parameters": completion.dropped_parameters or [],
        "credits": {
            "held": completion.held,
            "cost": completion.cost,
            "charged": completion.charged,
            "uncollected": completion.uncollected,
            "balance_after": completion.balance_after,
            "refunded": sum(row.amount for row in refunds),
        },
        "refunds": [
            {"id": row.pk, "credits": row.amount, "created_at": _format_time(row.created_at)}
            for row in refunds
        ],
        "began_at": _format_time(completion.began_at),
        "first_byte_ms": completion.first_byte_ms,
        "total_ms": completion.total_ms,
    }


def _describe_credential(completion: Completion) -> dict[str, str] | None:
    """Kind, id and name of the device or API key; None for a browser."""
    kind, _, own_id = completion.credential.partition(":")
    return {"kind": kind, "id": own_id, "name": completion.credential_name} if kind else None


def _describe_usage(completion: Completion) -> dict[str, Any]:
    return {"source": completion.usage_source, **completion.usage.counts}


def _describe_prices(completion: Completion) -> dict[str, str]:
    return {
        line.kind: format_decimal(line.price) for line in completion.prices.lines(completion.usage)
    }


def _describe_arithmetic(completion: Completion) -> dict[str, Any]:
    lines = completion.prices.lines(completion.usage)
    return {
        "lines": list(map(_describe_line, lines)),
        "sum": format_decimal(completion.prices.exact(completion.usage)),
    }


def _describe_line(line: Line) -> dict[str, Any]:
    amounts = {
        "credits_per_1k_tokens": format_decimal(line.price),
        "credits": format_decimal(line.amount),
    }
    return {"kind": line.kind, "tokens": line.tokens, **amounts}


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_decimal(price: Decimal) -> str:
    """The number without trailing zeros and without an exponent."""
    return format(price.normalize(), "f")


def forget_names(user: User) -> None:
    """Erase the names of devices and API keys from the receipts of a deleted account."""
    Completion.objects.filter(user=user).exclude(credential_name="").update(credential_name="")
