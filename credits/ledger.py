"""The verbs of the ledger. All changes of a balance are made here.

Each verb is one call of a function in the database (credits/database/sql/). The function locks,
checks and writes in one transaction, so a killed process leaves either the whole change or none.
Locks are taken in the order user row → hold → grants. A verb that is called inside a transaction
of the caller commits with it; otherwise the change is committed when the verb returns.

Amounts are whole credits. A verb first takes away the expired credits of the user. If it refuses,
it raises a LedgerRefusal (credits/exceptions.py) and changes nothing else. What only reads is in
credits/balances.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, connection
from psycopg.types.json import Jsonb

from accounts.models import MAX_CREDITS, User
from credits.balances import Balance, balance, fetch_row
from credits.exceptions import InvalidAmount, MissingReason, UnknownAccount, build_refusal
from credits.models import Hold, Transaction

# The balance of a user is read through this module, because `lock` returns it, too.
__all__ = [
    "ADJUSTMENTS",
    "GRANTS",
    "MAX_AMOUNT",
    "MAX_DESCRIPTION",
    "MAX_KEY",
    "MAX_OPEN_HOLDS",
    "PRIORITY",
    "Balance",
    "Capture",
    "add",
    "adjust",
    "balance",
    "capture",
    "claw_back",
    "expire_holds",
    "hold",
    "lock",
    "refund",
    "release",
    "restore",
    "write_off",
]

MAX_AMOUNT = MAX_CREDITS
MAX_OPEN_HOLDS = 10_000  # per user, if the caller gives no limit
MAX_DESCRIPTION = 500  # characters
MAX_KEY = 255  # characters
PRIORITY = 100  # the default of a grant; a lower number is burned first
GRANTS = frozenset(
    {Transaction.Type.PURCHASE, Transaction.Type.BONUS, Transaction.Type.SUBSCRIPTION}
)
ADJUSTMENTS = frozenset({Transaction.Type.ADJUSTMENT, Transaction.Type.BONUS})


@dataclass(frozen=True, slots=True)
class Capture:
    """The result of a capture: cost = `charged` + `uncollected`.

    `uncollected` is the part of the cost that the available credits did not cover. `available` are
    the credits that the user has left. `seq` is the number of the transaction, None if nothing was
    charged.
    """

    charged: int
    uncollected: int
    balance_after: int
    available: int
    seq: int | None


def hold(
    *,
    user: User,
    amount: int,
    reference_id: str,
    seconds: int,
    at_least: int | None = None,
    max_open: int = MAX_OPEN_HOLDS,
    credential: str = "",
    budget: int | None = None,
) -> Hold:
    """Set credits aside for `seconds` and return the hold.

    The hold has `amount` credits, or all available credits if they are fewer, but never less than
    `at_least` (by default `amount`). `credential` is the device or API key that calls, empty for a
    browser. The held and spent credits of a credential are counted by calendar month (UTC), and
    with a `budget` a hold is at most the rest of the month's budget. `max_open` limits the open
    holds of the user. The same request with the same `reference_id` returns the same hold.

    Raises InsufficientCredits or BudgetUsedUp (fewer than `at_least` credits are left),
    TooManyHolds, IdempotencyConflict (the reference has a hold with other amounts), InvalidAmount,
    and UnknownAccount, also for an inactive user.
    """
    if not 0 <= (at_least := amount if at_least is None else at_least) <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"A hold is between 0 and {MAX_AMOUNT} credits.")
    if budget is not None and not credential:
        raise InvalidAmount("A budget is that of a device or key.")
    parameters = [user.pk, amount, at_least, reference_id, seconds, max_open, credential, budget]
    refusal, available, open_holds, month, held, spent, *columns = fetch_row(_HOLD, parameters)
    if refusal:
        facts = {
            "code": refusal,
            "required": at_least,
            "available": available,
            "open_holds": open_holds,
        }
        raise build_refusal(
            {**facts, "limit": budget, "month": month, "held": held, "spent": spent}
        )
    return Hold.from_db(connection.alias, _HOLD_COLUMNS, columns)


_HOLD_COLUMNS = ("id", "user_id", "amount", "state", "reference_id", "expires_at")
_HOLD = """
SELECT r.refusal, r.available, r.open_holds, (r.counted).month, (r.counted).held, (r.counted).spent,
       (r.hold).id, (r.hold).user_id, (r.hold).amount, (r.hold).state, (r.hold).reference_id,
       (r.hold).expires_at
  FROM ledger_hold(%s, %s, %s, %s, %s, %s, %s, %s) r
"""


def capture(
    *, hold: Hold, cost: int, description: str = "", metadata: Mapping[str, Any] | None = None
) -> Capture:
    """Charge the real `cost` of a completion, and end its hold.

    The cost is taken from the hold, then from the available credits, never below zero; the rest of
    the hold is freed. An expired hold has no credits left, so it is charged from the available
    credits alone. The same capture again returns the same result. Raises InvalidAmount, and
    HoldEnded if the hold was released, or was captured with another cost.
    """
    if not 0 <= cost <= MAX_AMOUNT:
        raise InvalidAmount(f"A cost is between 0 and {MAX_AMOUNT} credits.")
    refusal, *captured = fetch_row(
        _CAPTURE, [hold.user_id, hold.pk, cost, description, Jsonb(dict(metadata or {}))]
    )
    if refusal:
        raise build_refusal({"code": refusal})
    return Capture(*captured)


_CAPTURE = """
SELECT refusal, charged, uncollected, balance_after, available, seq
  FROM ledger_capture(%s, %s, %s, %s, %s)
"""


def release(*, hold: Hold) -> bool:
    """End a hold without a charge. Return False, and change nothing, if it has ended already."""
    return bool(fetch_row("SELECT ledger_release(%s, %s)", [hold.user_id, hold.pk])[0])


def expire_holds(*, user: User | None = None, limit: int = 1000) -> int:
    """End the holds and grants that have expired, and return the number of these holds.

    The clock of the database decides. At most `limit` users are handled, each in its own
    transaction. Users whose row is locked are left for the next call, so that several sweepers and
    a busy account never wait for each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"user": user.pk if user else None, "limit": limit})
        user_ids = [user_id for (user_id,) in cursor.fetchall()]
    return sum(fetch_row("SELECT ledger_sweep(%s)", [user_id])[0] for user_id in user_ids)


_DUE = """
(SELECT user_id FROM credit_holds
  WHERE state = 'open' AND expires_at <= clock_timestamp()
    AND user_id = COALESCE(%(user)s, user_id) LIMIT %(limit)s)
 UNION
(SELECT user_id FROM credit_grants
  WHERE is_live AND expires_at <= clock_timestamp()
    AND user_id = COALESCE(%(user)s, user_id) LIMIT %(limit)s)
 ORDER BY 1 LIMIT %(limit)s
"""


def add(
    *,
    user: User,
    amount: int,
    type: str,
    description: str,
    idempotency_key: str,
    reference_id: str = "",
    metadata: Mapping[str, Any] | None = None,
    expires_at: datetime | None = None,
    priority: int = PRIORITY,
    allowance: str | None = None,
) -> Transaction:
    """Grant credits for a purchase, a bonus or a subscription; return the transaction.

    The same request with the same `idempotency_key` is done once. Purchased credits never expire.
    `reference_id` is the payment of a purchase or the paid invoice of a subscription, which can buy
    only once. What was paid for first pays the debt of a lost dispute. Grants with the lowest
    `priority` are burned first, then those that expire soonest. `allowance` is the name of a
    monthly allowance (plan/year-month).

    Raises InvalidAmount, UnknownAccount, and IdempotencyConflict if the key was used for another
    request or the payment for another purchase.
    """
    if type not in GRANTS:
        raise InvalidAmount(f"Credits are not granted as {type}.")
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount to grant is between 1 and {MAX_AMOUNT} credits.")
    if type == Transaction.Type.PURCHASE and expires_at is not None:
        raise InvalidAmount("Purchased credits do not expire.")
    request = {
        "type": str(type),
        "amount": amount,
        "reference_id": reference_id,
        "priority": priority,
        "expires_at": _format_time(expires_at),
        **({"allowance": allowance} if allowance else {}),
    }
    return _post(user, "add", idempotency_key, request, description, metadata)


def adjust(
    *,
    user: User,
    amount: int,
    reason: str,
    actor: User | None,
    type: str = Transaction.Type.ADJUSTMENT,
    idempotency_key: str | None = None,
    expires_at: datetime | None = None,
) -> Transaction:
    """Add credits, or take them (a negative `amount`), as a correction; return the transaction.

    The user reads the `reason`. `actor` is the administrator, or None for the command line. Without
    an `idempotency_key` each call is a new correction. `expires_at` is for added credits only.

    Raises InvalidAmount, MissingReason, InsufficientCredits (held credits cannot be taken),
    IdempotencyConflict, UnknownAccount.
    """
    if amount == 0 or abs(amount) > MAX_AMOUNT:
        raise InvalidAmount(
            f"An adjustment is a whole number up to {MAX_AMOUNT} credits, up or down, not zero."
        )
    if type not in ADJUSTMENTS or (type == Transaction.Type.BONUS and amount < 0):
        raise InvalidAmount(
            "An adjustment is an adjustment in either direction, or a bonus upwards."
        )
    if expires_at is not None and amount < 0:
        raise InvalidAmount("Only credits that are given can expire.")
    request = {
        "type": str(type),
        "amount": amount,
        "actor": _get_id(actor),
        "expires_at": _format_time(expires_at),
    }
    return _post(user, "adjust", idempotency_key, request, _require_reason(reason))


def refund(
    *,
    transaction: Transaction,
    amount: int | None,
    reason: str,
    actor: User | None,
    idempotency_key: str,
) -> Transaction:
    """Reverse a usage or what was paid for, or a part of it; return the new transaction.

    The credits of a usage return to the grants that they came from; those of a purchase or of a
    paid subscription are taken from the balance. `amount` is None for all that has not been
    reversed yet.

    Raises NotRefundable, AlreadyRefunded, InvalidAmount (more than is left), InsufficientCredits
    (the credits are used or held), MissingReason, IdempotencyConflict.
    """
    return _reverse("refund", transaction, amount, reason, actor, idempotency_key)


def claw_back(
    *,
    transaction: Transaction,
    amount: int | None,
    reason: str,
    idempotency_key: str,
    actor: User | None = None,
) -> Transaction:
    """Reverse a purchase or paid subscription after a dispute; return the new transaction.

    The available credits are taken, and the rest becomes the user's debt. `amount` is None for all
    that has not been reversed yet. Raises NotRefundable (nothing was paid for the transaction),
    AlreadyRefunded, InvalidAmount, MissingReason, IdempotencyConflict.
    """
    return _reverse("claw_back", transaction, amount, reason, actor, idempotency_key)


def restore(
    *, transaction: Transaction, reason: str, idempotency_key: str, actor: User | None = None
) -> Transaction:
    """Undo the reversal of a payment after the dispute was won; return the new transaction.

    `transaction` is the reversal. The debt that is still owed is cancelled first, and the rest
    returns as credits, except debt of the reversal that was written off since then. Raises
    NotRefundable (not the reversal of a payment), AlreadyRefunded, MissingReason,
    IdempotencyConflict.
    """
    return _reverse("restore", transaction, None, reason, actor, idempotency_key)


def write_off(
    *, user: User, amount: int | None, reason: str, actor: User | None, idempotency_key: str
) -> Transaction:
    """Lower the user's debt without a payment; return the new transaction, which moves no credits.

    `amount` is None for all of the debt. The user reads the `reason`. `actor` is the administrator.
    Raises NoDebt, InvalidAmount (more than is owed), MissingReason, IdempotencyConflict,
    UnknownAccount.
    """
    _require_amount_or_none(amount)
    request = {"amount": amount, "actor": _get_id(actor)}
    return _post(user, "write_off", idempotency_key, request, _require_reason(reason))


def lock(user: User) -> Balance:
    """Lock the user's row until the transaction of the caller ends; return the balance.

    Credits and holds that have expired end first, as in every verb. So amounts that are computed
    from this balance and from credits/balances.py stay true until a verb is called. Raises
    UnknownAccount, and TransactionManagementError outside `atomic()`.
    """
    if not User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user.pk):
        raise build_refusal({"code": UnknownAccount.code})
    fetch_row("SELECT ledger_sweep(%s)", [user.pk])
    return balance(user)


def _reverse(
    verb: str,
    transaction: Transaction,
    amount: int | None,
    reason: str,
    actor: User | None,
    key: str,
) -> Transaction:
    _require_amount_or_none(amount)
    request = {"transaction": transaction.pk, "amount": amount, "actor": _get_id(actor)}
    return _post(transaction.user, verb, key, request, _require_reason(reason))


def _post(
    user: User,
    verb: str,
    key: str | None,
    request: Mapping[str, Any],
    description: str,
    metadata: Mapping[str, Any] | None = None,
) -> Transaction:
    """Call `verb` once per key and return its transaction, or raise its refusal.

    The same request with the same key has the same outcome, also if it was refused.
    """
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise InvalidAmount(f"An idempotency key has between 1 and {MAX_KEY} characters.")
    note = {"description": description[:MAX_DESCRIPTION], "metadata": dict(metadata or {})}
    try:
        transaction_id, refusal = fetch_row(
            _POST, [user.pk, verb, key, Jsonb(dict(request)), Jsonb(note)]
        )
    except IntegrityError as error:
        # Two accounts used the same payment at the same time.
        if "credit_transactions_once_per_payment" not in str(error):
            raise
        raise build_refusal({"code": "payment_used"}) from None
    if refusal:
        raise build_refusal(json.loads(refusal))
    return Transaction.objects.get(pk=transaction_id)


_POST = "SELECT transaction_id, refusal::text FROM ledger_post(%s, %s, %s, %s, %s)"


def _require_amount_or_none(amount: int | None) -> None:
    """Raise InvalidAmount for an amount out of bounds. None stands for everything."""
    if amount is not None and not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount to take back is between 1 and {MAX_AMOUNT} credits.")


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise MissingReason("Give a reason: the user and the next administrator will read it.")
    return reason.strip()


def _get_id(actor: User | None) -> int | None:
    return actor.pk if actor else None


def _format_time(moment: datetime | None) -> str | None:
    """Format a time in UTC, so that the same moment in two time zones is the same request."""
    if moment is not None and moment.tzinfo is None:
        raise InvalidAmount("A time has to say its zone.")
    return moment.astimezone(UTC).isoformat() if moment else None
