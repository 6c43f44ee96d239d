"""A completion explained: what was used, at which prices, and how that became whole credits."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from accounts.models import User
from credits.models import Transaction
from llmproxy.metering.pricing import Line
from llmproxy.models import Completion

ROUNDING = "up to whole credits, once"
ATTEMPT = (
    "provider",
    "error",
    "ms",
)  # what callers may know; a provider's status is between it and us


def recompute(completion: Completion) -> int:
    """The cost from the row's own tokens and prices; whoever nothing was held for pays nothing."""
    return completion.prices.cost(completion.usage) if completion.hold_id else 0


def refunds(completion: Completion) -> list[Transaction]:
    """What came back of the charge, the first first."""
    if not completion.hold_id:
        return []
    usage = Transaction.objects.filter(
        user=completion.user_id, hold=completion.hold_id, type=Transaction.Type.USAGE
    )
    return list(Transaction.objects.filter(reverses__in=usage).order_by("seq"))


def ended(completion: Completion) -> str:
    """Why the answer ended: what the provider said, or what cut it."""
    if completion.status == Completion.Status.INTERRUPTED:
        return "caller_left"
    if completion.status == Completion.Status.FAILED:
        return completion.error
    return completion.finish_reason or ("unknown" if completion.is_written else "completed")


def explain(completion: Completion) -> dict[str, Any]:
    """Everything a caller needs to compute `cost` again: prices are in credits per 1,000 tokens."""
    back = refunds(completion)
    return {
        "id": completion.generation_id,
        "object": "generation",
        "created": int(completion.created_at.timestamp()),
        "model": completion.model,
        "provider": completion.provider,
        "attempts": [{name: attempt[name] for name in ATTEMPT} for attempt in completion.attempts],
        "called_by": _called_by(completion),
        "upstream_id": completion.upstream_id,
        "trace_id": completion.trace_id,
        "route": completion.route,
        "stream": completion.is_stream,
        "status": completion.status,
        "error": completion.error or None,
        "finish_reason": completion.finish_reason or None,
        "ended": ended(completion),
        "usage": _usage(completion),
        "credits_per_1k_tokens": _prices(completion),
        "arithmetic": _arithmetic(completion),
        "rounding": ROUNDING,
        "recompute": recompute(completion),
        "choices": completion.choices,
        "max_tokens": completion.max_tokens,
        "clamped_max_tokens": completion.clamped_max_tokens,
        "credits": {
            "held": completion.held,
            "cost": completion.cost,
            "charged": completion.charged,
            "uncollected": completion.uncollected,
            "balance_after": completion.balance_after,
            "refunded": sum(row.amount for row in back),
        },
        "refunds": [
            {"id": row.pk, "credits": row.amount, "created_at": _time(row.created_at)}
            for row in back
        ],
        "began_at": _time(completion.began_at),
        "first_byte_ms": completion.first_byte_ms,
        "total_ms": completion.total_ms,
    }


def _called_by(completion: Completion) -> dict[str, str] | None:
    """Kind, id and name of the device or API key; None for a browser."""
    kind, _, own_id = completion.credential.partition(":")
    return {"kind": kind, "id": own_id, "name": completion.credential_name} if kind else None


def _usage(completion: Completion) -> dict[str, Any]:
    return {"source": completion.usage_source, **completion.usage.counts}


def _prices(completion: Completion) -> dict[str, str]:
    return {line.kind: plain(line.price) for line in completion.prices.lines(completion.usage)}


def _arithmetic(completion: Completion) -> dict[str, Any]:
    lines = completion.prices.lines(completion.usage)
    return {
        "lines": list(map(_line, lines)),
        "sum": plain(completion.prices.exact(completion.usage)),
    }


def _line(line: Line) -> dict[str, Any]:
    amounts = {"credits_per_1k_tokens": plain(line.price), "credits": plain(line.amount)}
    return {"kind": line.kind, "tokens": line.tokens, **amounts}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(price: Decimal) -> str:
    """Without trailing zeros and without an exponent."""
    return format(price.normalize(), "f")


def forget_names(user: User) -> None:
    """Erase the names of devices and API keys from the receipts of a deleted account."""
    Completion.objects.filter(user=user).exclude(credential_name="").update(credential_name="")
