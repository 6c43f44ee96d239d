"""What the ledger refuses. After each of these nothing has changed."""

from dataclasses import dataclass
from datetime import date, datetime

from accounts.toolbox.exceptions import Refusal
from credits import months


class LedgerRefusal(Refusal):
    """Base of all refusals by credits/ledger.py."""


class InvalidAmount(LedgerRefusal):
    """Zero, negative where it must not be, not whole, or over the bound."""

    code = "invalid_amount"


class MissingReason(LedgerRefusal):
    code = "missing_reason"


class UnknownAccount(LedgerRefusal):
    status = 404
    code = "unknown_account"


class InsufficientCredits(LedgerRefusal):
    """`required` credits were asked for, `available` are there."""

    status = 402
    code = "insufficient_credits"

    def __init__(self, message: str, *, required: int, available: int) -> None:
        super().__init__(message)
        self.required = required
        self.available = available


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """What a device or key may spend in `month` (its first day, UTC), has spent of it, and holds for what runs."""

    limit: int
    held: int
    spent: int
    month: date

    @property
    def left(self) -> int:
        return max(self.limit - self.held - self.spent, 0)

    @property
    def resets_at(self) -> datetime:
        return months.begin_next(self.month)


class BudgetUsedUp(InsufficientCredits):
    """The balance would cover it, the monthly budget of the device or key does not."""

    def __init__(self, message: str, *, required: int, available: int, usage: BudgetUsage) -> None:
        super().__init__(message, required=required, available=min(available, usage.left))
        self.usage = usage


class TooManyHolds(LedgerRefusal):
    """As many completions run at the same time as the plan allows."""

    status = 429
    code = "rate_limit_exceeded"


class NotRefundable(LedgerRefusal):
    """Neither a usage nor a purchase, or somebody else's."""

    status = 409
    code = "not_refundable"


class AlreadyRefunded(LedgerRefusal):
    """Nothing of it is left to refund."""

    status = 409
    code = "already_refunded"


class HoldEnded(LedgerRefusal):
    """The hold was released, or captured before."""

    status = 409
    code = "hold_ended"


class IdempotencyConflict(LedgerRefusal):
    """The key was used for another request."""

    status = 409
    code = "idempotency_conflict"
