"""The only place where a balance changes.

A verb is one call of a function in the database (credits/database/sql/), so lock, check and write cannot be
separated, and a killed process leaves either all of it or nothing. Locks are taken in the order user row →
hold → grants. A verb called inside a caller's transaction commits with it; otherwise it has committed
when it returns. Before anything else it takes away what has expired of that user.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, connection
from psycopg.types.json import Jsonb

from accounts.models import MAX_CREDITS, User
from credits.exceptions import (
    AlreadyRefunded,
    BudgetUsage,
    BudgetUsedUp,
    HoldEnded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    LedgerRefusal,
    MissingReason,
    NotRefundable,
    TooManyHolds,
    UnknownAccount,
)
from credits.models import Hold, Transaction

MAX_AMOUNT = MAX_CREDITS
MAX_OPEN_HOLDS = 10_000  # per user, where no plan says less
MAX_DESCRIPTION = 500  # characters
MAX_KEY = 255
PRIORITY = 100  # of a grant that nobody prefers; lower burns first
GRANTS = frozenset(
    {Transaction.Type.PURCHASE, Transaction.Type.BONUS, Transaction.Type.SUBSCRIPTION}
)
ADJUSTMENTS = frozenset({Transaction.Type.ADJUSTMENT, Transaction.Type.BONUS})


@dataclass(frozen=True, slots=True)
class Balance:
    """Whole credits of one user at one moment; `available` = `credits` − `held`."""

    credits: int
    held: int
    plan: str
    debt: int = 0

    @property
    def available(self) -> int:
        return self.credits - self.held


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture did: `uncollected` is the part of the cost that the balance did not cover."""

    charged: int
    uncollected: int
    balance_after: int
    available: int
    seq: int | None


def balance(user: User) -> Balance:
    """The user's balance as committed now."""
    columns = ("credits", "credits_held", "plan_id", "credits_debt")
    row = User.objects.filter(pk=user.pk).values_list(*columns).first()
    if row is None:
        raise _refused({"code": UnknownAccount.code})
    return Balance(*row)


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
    """Set aside `amount` credits for `seconds`, or what is available if that is `at_least` so much.

    What `credential` (a device or API key; empty for a browser) holds and spends is counted by calendar
    month, UTC; with a `budget` it gets no more than that leaves. The same reference again gives the same
    hold. Raises InsufficientCredits, BudgetUsedUp, TooManyHolds, IdempotencyConflict, UnknownAccount (also
    for an inactive user).
    """
    if not 0 <= (at_least := amount if at_least is None else at_least) <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"A hold is between 0 and {MAX_AMOUNT} credits.")
    if budget is not None and not credential:
        raise InvalidAmount("A budget is that of a device or key.")
    asked = [user.pk, amount, at_least, reference_id, seconds, max_open, credential, budget]
    refusal, available, open_holds, month, used_held, used_spent, *held = _row(_HOLD, asked)
    if refusal:
        facts = {
            "code": refusal,
            "required": at_least,
            "available": available,
            "open_holds": open_holds,
        }
        raise _refused(
            {**facts, "limit": budget, "month": month, "held": used_held, "spent": used_spent}
        )
    return Hold.from_db(connection.alias, _HELD, held)


_HELD = ("id", "user_id", "amount", "state", "reference_id", "expires_at")
_HOLD = """
SELECT r.refusal, r.available, r.open_holds, (r.counted).month, (r.counted).held, (r.counted).spent,
       (r.hold).id, (r.hold).user_id, (r.hold).amount, (r.hold).state, (r.hold).reference_id, (r.hold).expires_at
  FROM ledger_hold(%s, %s, %s, %s, %s, %s, %s, %s) r
"""


def capture(
    *, hold: Hold, cost: int, description: str = "", metadata: Mapping[str, Any] | None = None
) -> Capture:
    """Charge the real `cost`: from the hold, then from what is available, never below zero.

    A hold that expired meanwhile is charged by the same rule. The same cost again gives the same
    answer; raises HoldEnded if the hold was released, or captured with another cost.
    """
    if not 0 <= cost <= MAX_AMOUNT:
        raise InvalidAmount(f"A cost is between 0 and {MAX_AMOUNT} credits.")
    refusal, *captured = _row(
        _CAPTURE, [hold.user_id, hold.pk, cost, description, Jsonb(dict(metadata or {}))]
    )
    if refusal:
        raise _refused({"code": refusal})
    return Capture(*captured)


_CAPTURE = """
SELECT refusal, charged, uncollected, balance_after, available, seq FROM ledger_capture(%s, %s, %s, %s, %s)
"""


def release(*, hold: Hold) -> bool:
    """Give a hold back uncharged; False if it has ended already, and it stays as it is."""
    return bool(_row("SELECT ledger_release(%s, %s)", [hold.user_id, hold.pk])[0])


def expire_holds(*, user: User | None = None, limit: int = 1000) -> int:
    """End holds and grants past their expiry by the database's clock; returns how many holds.

    Up to `limit` users, each in a transaction of its own. Who is being charged just now is left
    for the next time, so that several sweepers, and a busy account, never wait for one another.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"user": user.pk if user else None, "limit": limit})
        due = [pk for (pk,) in cursor.fetchall()]
    return sum(_row("SELECT ledger_sweep(%s)", [pk])[0] for pk in due)


_DUE = """
(SELECT user_id FROM credit_holds
  WHERE state = 'open' AND expires_at <= clock_timestamp() AND user_id = COALESCE(%(user)s, user_id) LIMIT %(limit)s)
 UNION
(SELECT user_id FROM credit_grants
  WHERE is_live AND expires_at <= clock_timestamp() AND user_id = COALESCE(%(user)s, user_id) LIMIT %(limit)s)
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
    """Grant credits: a purchase, a bonus or a subscription. The same key grants once.

    Purchased credits never expire, and pay the debt of a lost dispute first. Burned first is the
    lowest `priority`, then what expires soonest. `allowance` names a monthly one (plan/year-month).
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
        "expires_at": _iso(expires_at),
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
    """Correct a balance by hand, up or down, with a reason; `actor` is None for the command line.

    Raises InvalidAmount, MissingReason, InsufficientCredits (held credits cannot be taken).
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
        "actor": _pk(actor),
        "expires_at": _iso(expires_at),
    }
    return _post(user, "adjust", idempotency_key, request, _reason(reason))


def refund(
    *,
    transaction: Transaction,
    amount: int | None,
    reason: str,
    actor: User | None,
    idempotency_key: str,
) -> Transaction:
    """Take back a usage (its credits return to the grants they came from) or a purchase (they leave the balance).

    `amount` is in credits, None for all that is left to refund. Raises NotRefundable, AlreadyRefunded,
    InvalidAmount (more than is left), InsufficientCredits, IdempotencyConflict.
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
    """Take back a purchase whose payment was disputed: what is available, and the rest as debt."""
    return _reverse("claw_back", transaction, amount, reason, actor, idempotency_key)


def restore(
    *, transaction: Transaction, reason: str, idempotency_key: str, actor: User | None = None
) -> Transaction:
    """Undo the reversal of a purchase (the dispute was won): what is owed is forgiven first, the rest comes back."""
    return _reverse("restore", transaction, None, reason, actor, idempotency_key)


def refundable(transaction: Transaction) -> int:
    """How many credits of a usage or purchase can still be refunded; 0 for any other row."""
    if transaction.type not in (Transaction.Type.USAGE, Transaction.Type.PURCHASE):
        return 0
    return int(_row("SELECT ledger_refundable(%s, %s)", [transaction.user_id, transaction.pk])[0])


def _reverse(
    verb: str,
    transaction: Transaction,
    amount: int | None,
    reason: str,
    actor: User | None,
    key: str,
) -> Transaction:
    if amount is not None and not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount to take back is between 1 and {MAX_AMOUNT} credits.")
    request = {"transaction": transaction.pk, "amount": amount, "actor": _pk(actor)}
    return _post(transaction.user, verb, key, request, _reason(reason))


def _post(
    user: User,
    verb: str,
    key: str | None,
    request: Mapping[str, Any],
    description: str,
    metadata: Mapping[str, Any] | None = None,
) -> Transaction:
    """Do it once per key; the same request again has the same outcome, a refusal included."""
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise InvalidAmount(f"An idempotency key has between 1 and {MAX_KEY} characters.")
    note = {"description": description[:MAX_DESCRIPTION], "metadata": dict(metadata or {})}
    try:
        posted, refusal = _row(_POST, [user.pk, verb, key, Jsonb(dict(request)), Jsonb(note)])
    except IntegrityError as error:
        if "credit_transactions_once_per_payment" not in str(error):
            raise
        raise _refused({"code": "payment_used"}) from None  # by two accounts at once
    if refusal:
        raise _refused(json.loads(refusal))
    return Transaction.objects.get(pk=posted)


_POST = "SELECT transaction_id, refusal::text FROM ledger_post(%s, %s, %s, %s, %s)"


def _refused(refusal: Mapping[str, Any]) -> LedgerRefusal:
    """The exception for a refusal as the functions name it."""
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
    kind, message = _REFUSALS[refusal["code"]]
    return kind(message.format_map(refusal))


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
    "not_refundable": (NotRefundable, "Only a usage or a purchase can be taken back."),
    "already_refunded": (AlreadyRefunded, "All of it has been taken back before."),
    "more_than_left": (InvalidAmount, "Only {left} credits of it are left to take back."),
}


def _reason(reason: str) -> str:
    if not reason.strip():
        raise MissingReason("Give a reason: the user and the next administrator will read it.")
    return reason.strip()


def _pk(actor: User | None) -> int | None:
    return actor.pk if actor else None


def _iso(moment: datetime | None) -> str | None:
    """In UTC, so that the same moment is the same request."""
    if moment is not None and moment.tzinfo is None:
        raise InvalidAmount("A time has to say its zone.")
    return moment.astimezone(UTC).isoformat() if moment else None


def _row(statement: str, params: Sequence[Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
