"""Explains a completion: the tokens, their prices, and how these became whole credits."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from accounts.models import User
from credits.models import Transaction
from llmproxy.metering.price_kinds import PRICE_KINDS, TOKEN
from llmproxy.metering.pricing import Line, Prices
from llmproxy.models import Completion, UsageQuarter

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


def sum_refunds(user: User, rows: Iterable[Completion]) -> dict[int, int]:
    """Map the holds of the user's completions to the credits that were given back, if any were."""
    holds = [row.hold_id for row in rows if row.hold_id and row.charged]
    refunded = Transaction.objects.filter(
        user=user,
        type=Transaction.Type.USAGE,
        hold__in=holds,
        reversals__isnull=False,
    ).values_list("hold")
    return dict(refunded.annotate(Sum("reversals__amount"))) if holds else {}


def get_ending(completion: Completion) -> str:
    """Why the answer ended, as a code: the provider's finish reason, or what stopped the answer."""
    if completion.status == Completion.Status.INTERRUPTED:
        return "caller_left"
    if completion.status == Completion.Status.FAILED:
        return completion.error
    return completion.finish_reason or ("unknown" if completion.is_written else "completed")


def explain(completion: Completion) -> dict[str, Any]:
    """The receipt: all that a caller needs to compute `cost` again.

    Prices of tokens are in credits per 1,000 tokens, others in credits for one thing.
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
        "request_id": completion.request_id,
        "route": completion.route,
        "stream": completion.is_stream,
        "status": completion.status,
        "error": completion.error or None,
        "finish_reason": completion.finish_reason or None,
        "ended": get_ending(completion),
        "usage": _describe_usage(completion),
        **_describe_prices(completion),
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


def _describe_prices(completion: Completion) -> dict[str, Any]:
    """The prices that apply, and those of a long prompt, with the reason why these do or do not."""
    prices, usage = completion.prices, completion.usage
    described = describe_prices(prices.select(usage), format_decimal)
    long = describe_long(prices, format_decimal)
    if long is not None:
        long["applies"] = prices.is_long(usage)
    return {**described, "long_prompt": long}


def describe_offer(prices: Prices) -> dict[str, Any]:
    """The prices of a model as `GET /v1/models` has them, as numbers."""
    return {
        **describe_prices(prices.by_kind, float),
        "long_prompt": describe_long(prices, float),
    }


def describe_prices(
    by_kind: Mapping[str, Decimal], write: Callable[[Decimal], Any]
) -> dict[str, Any]:
    """The prices of tokens and of other things; `write` makes JSON of a number.

    A part without a price of its own is left out, except the two of caches.
    """
    resolved = Prices(by_kind)
    tokens: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for kind in PRICE_KINDS:
        if kind.has_columns or kind.name in by_kind:
            group = tokens if kind.unit is TOKEN else others
            group[kind.name] = write(resolved[kind.name])
    return {"credits_per_1k_tokens": tokens, "credits_each": others}


def describe_long(prices: Prices, write: Callable[[Decimal], Any]) -> dict[str, Any] | None:
    """From how many tokens a prompt is long, and its prices; None if the length does not matter."""
    if prices.long is None:
        return None
    tokens = describe_prices(prices.long, write)["credits_per_1k_tokens"]
    return {"from_tokens": prices.long_from, "credits_per_1k_tokens": tokens}


def _describe_arithmetic(completion: Completion) -> dict[str, Any]:
    lines = completion.prices.lines(completion.usage)
    return {
        "lines": list(map(_describe_line, lines)),
        "sum": format_decimal(completion.prices.exact(completion.usage)),
    }


def _describe_line(line: Line) -> dict[str, Any]:
    count, price = (
        ("tokens", "credits_per_1k_tokens")
        if line.kind.unit is TOKEN
        else ("count", "credits_each")
    )
    return {
        "kind": line.kind.name,
        count: line.count,
        price: format_decimal(line.price),
        "credits": format_decimal(line.amount),
    }


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_decimal(price: Decimal) -> str:
    """The number without trailing zeros and without an exponent."""
    return format(price.normalize(), "f")


def forget_names(user: User) -> None:
    """Erase the names of devices and API keys from the receipts and usage of a deleted account."""
    for model in (Completion, UsageQuarter):
        model.objects.filter(user=user).exclude(credential_name="").update(credential_name="")
