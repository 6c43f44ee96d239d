"""The refusals of the ledger. When one of them is raised, nothing was changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from accounts.toolbox.exceptions import Refusal
from credits import months


class LedgerRefusal(Refusal):
    """The base class of all refusals by credits/ledger.py."""


class InvalidAmount(LedgerRefusal):
    """The amount is zero, not whole, above the maximum, or negative where that is not allowed."""

    code = "invalid_amount"


class MissingReason(LedgerRefusal):
    code = "missing_reason"


class UnknownAccount(LedgerRefusal):
    status = 404
    code = "unknown_account"


class InsufficientCredits(LedgerRefusal):
    """The request needs `required` credits, and only `available` credits are available."""

    status = 402
    code = "insufficient_credits"

    def __init__(self, message: str, *, required: int, available: int) -> None:
        super().__init__(message)
        self.required = required
        self.available = available


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """The budget of a device or key in one month, in credits.

    `limit` is the budget, `spent` the charged part, `held` the part that is set aside for running
    completions. `month` is the first day of the month (UTC).
    """

    limit: int
    held: int
    spent: int
    month: date

    @property
    def left(self) -> int:
        return max(self.limit - self.held - self.spent, 0)

    @property
    def resets_at(self) -> datetime:
        return months.start_next_month(self.month)


class BudgetUsedUp(InsufficientCredits):
    """The balance would cover the amount, but the monthly budget of the device or key does not."""

    def __init__(self, message: str, *, required: int, available: int, usage: BudgetUsage) -> None:
        super().__init__(message, required=required, available=min(available, usage.left))
        self.usage = usage


class TooManyHolds(LedgerRefusal):
    """The user already has as many open holds as the plan allows."""

    status = 429
    code = "rate_limit_exceeded"


class NotRefundable(LedgerRefusal):
    """The transaction is neither a usage nor paid for, or it belongs to another user."""

    status = 409
    code = "not_refundable"


class AlreadyRefunded(LedgerRefusal):
    """The transaction has been refunded completely."""

    status = 409
    code = "already_refunded"


class NoDebt(LedgerRefusal):
    """The user owes nothing that could be written off."""

    status = 409
    code = "no_debt"


class HoldEnded(LedgerRefusal):
    """The hold has been released or captured already."""

    status = 409
    code = "hold_ended"


class IdempotencyConflict(LedgerRefusal):
    """The idempotency key was used for a different request."""

    status = 409
    code = "idempotency_conflict"


def build_refusal(refusal: Mapping[str, Any]) -> LedgerRefusal:
    """Return the exception for a refusal of the SQL functions: {"code": ..., facts}."""
    if refusal["code"] == InsufficientCredits.code:
        required, available = refusal["required"], refusal["available"]
        message = f"This needs {required} credits, and {available} are available."
        return InsufficientCredits(message, required=required, available=available)
    if refusal["code"] == "budget_used_up":
        usage = BudgetUsage(**{fact: refusal[fact] for fact in ("limit", "held", "spent", "month")})
        message = (
            f"This needs {refusal['required']} credits, and the monthly budget leaves {usage.left}."
        )
        return BudgetUsedUp(
            message, required=refusal["required"], available=refusal["available"], usage=usage
        )
    refusal_class, message = _REFUSALS[refusal["code"]]
    return refusal_class(message.format_map(refusal))


_REFUSALS: dict[str, tuple[type[LedgerRefusal], str]] = {
    "unknown_account": (UnknownAccount, "This account does not exist or is not active."),
    "too_many_holds": (
        TooManyHolds,
        "{open_holds} completions are running, as many as your plan allows at a time.",
    ),
    "hold_ended": (HoldEnded, "This hold was released or captured before."),
    "idempotency_conflict": (
        IdempotencyConflict,
        "This idempotency key was used for another request.",
    ),
    "payment_used": (IdempotencyConflict, "This payment has bought credits before."),
    "not_refundable": (
        NotRefundable,
        "Only a usage, a purchase or a paid subscription can be taken back.",
    ),
    "already_refunded": (AlreadyRefunded, "All of it has been taken back before."),
    "no_debt": (NoDebt, "This account owes nothing."),
    "more_than_owed": (InvalidAmount, "Only {owed} credits are owed."),
    "more_than_left": (InvalidAmount, "Only {left} credits of it are left to take back."),
}
