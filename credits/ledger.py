"""The only place where a balance changes.

Every verb is one statement, so lock, check and write cannot be separated, and a killed process
leaves either all of it or nothing. Locks are taken in the order user row → hold. A verb called
inside a caller's transaction commits with it; otherwise it has committed when it returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection
from django.db.models.functions import Now
from django.db.transaction import atomic
from psycopg.types.json import Jsonb

from accounts.models import User
from credits.exceptions import (
    HoldEnded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    MissingReason,
    TooManyHolds,
    UnknownAccount,
)
from credits.models import Hold, Transaction

MAX_AMOUNT = 1_000_000_000  # credits in one movement
MAX_OPEN_HOLDS = 10_000  # per user, where no plan says less
GRANTS = frozenset({Transaction.Type.PURCHASE, Transaction.Type.BONUS, Transaction.Type.SUBSCRIPTION})
ADJUSTMENTS = frozenset({Transaction.Type.ADJUSTMENT, Transaction.Type.BONUS})


@dataclass(frozen=True, slots=True)
class Balance:
    """Whole credits of one user at one moment; `available` = `credits` − `held`."""

    credits: int
    held: int
    plan: str

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
    row = User.objects.filter(pk=user.pk).values_list("credits", "credits_held", "plan_id").first()
    if row is None:
        raise UnknownAccount("This account does not exist.")
    return Balance(*row)


def hold(
    *,
    user: User,
    amount: int,
    reference_id: str,
    seconds: int,
    at_least: int | None = None,
    max_open: int = MAX_OPEN_HOLDS,
) -> Hold:
    """Set aside `amount` credits for `seconds`, or what is available if that is `at_least` so much.

    Raises InsufficientCredits, TooManyHolds, UnknownAccount (also for an inactive user).
    """
    if not 0 <= (at_least := amount if at_least is None else at_least) <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"A hold is between 0 and {MAX_AMOUNT} credits.")
    request = {
        "user": user.pk,
        "amount": amount,
        "at_least": at_least,
        "reference_id": reference_id,
        "seconds": seconds,
        "max_open": max_open,
    }
    row = _row(_HOLD, request)
    # Holds of a worker that died count as spent until they expire; here nobody waits for the sweeper.
    if row and row["id"] is None and expire_holds(user=user):
        row = _row(_HOLD, request)
    return _held(row, request)


_HOLD = """
WITH account AS MATERIALIZED (
    SELECT id, credits - credits_held AS available, open_holds,
           LEAST(%(amount)s, credits - credits_held) AS amount
      FROM users WHERE id = %(user)s AND is_active
       FOR NO KEY UPDATE
), reserved AS (
    UPDATE users u SET credits_held = u.credits_held + a.amount, open_holds = u.open_holds + 1
      FROM account a
     WHERE u.id = a.id AND a.amount >= %(at_least)s AND a.open_holds < %(max_open)s
    RETURNING u.id
), held AS (
    INSERT INTO credit_holds (user_id, amount, state, reference_id, created_at, expires_at)
    SELECT a.id, a.amount, 'open', %(reference_id)s, clock_timestamp(),
           clock_timestamp() + make_interval(secs => %(seconds)s)
      FROM account a JOIN reserved USING (id)
    RETURNING id, user_id, amount, state, reference_id, created_at, expires_at
)
SELECT h.*, a.available, a.open_holds FROM account a LEFT JOIN held h ON true
"""


def _held(row: dict[str, Any] | None, request: dict[str, Any]) -> Hold:
    if row is None:
        raise UnknownAccount("This account does not exist or is not active.")
    available, open_holds = row.pop("available"), row.pop("open_holds")
    if row["id"] is not None:
        return Hold.from_db(connection.alias, list(row), list(row.values()))
    if available < request["at_least"]:
        raise InsufficientCredits(
            f"This needs {request['at_least']} credits, and {available} are available.",
            required=request["at_least"],
            available=available,
        )
    raise TooManyHolds(f"{open_holds} completions are running, as many as your plan allows at the same time.")


def capture(*, hold: Hold, cost: int, description: str = "", metadata: Mapping[str, Any] | None = None) -> Capture:
    """Charge the real `cost`: from the hold, then from what is available, never below zero.

    A hold that expired meanwhile is charged by the same rule. Raises HoldEnded if the hold was
    released or captured before: a completion is charged once.
    """
    if not 0 <= cost <= MAX_AMOUNT:
        raise InvalidAmount(f"A cost is between 0 and {MAX_AMOUNT} credits.")
    row = _row(
        _CAPTURE,
        {"hold": hold.pk, "cost": cost, "description": description, "metadata": Jsonb(dict(metadata or {}))},
    )
    if row is None:
        raise HoldEnded("This hold was released or captured before.")
    return Capture(uncollected=cost - row["charged"], **row)


_CAPTURE = """
WITH account AS MATERIALIZED (
    SELECT u.id, h.id AS hold_id, h.reference_id,
           CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END AS held, (h.state = 'open')::int AS was_open,
           LEAST(%(cost)s, u.credits - u.credits_held + CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END)
             AS charged
      FROM users u JOIN credit_holds h ON h.user_id = u.id
     WHERE h.id = %(hold)s AND h.captured IS NULL AND h.state IN ('open', 'expired')
       FOR NO KEY UPDATE OF u, h
), ended AS (
    UPDATE credit_holds h
       SET captured = a.charged, ended_at = COALESCE(h.ended_at, clock_timestamp()),
           state = CASE h.state WHEN 'open' THEN 'captured' ELSE h.state END
      FROM account a WHERE h.id = a.hold_id
), paid AS (
    UPDATE users u
       SET credits = u.credits - a.charged, credits_held = u.credits_held - a.held,
           open_holds = u.open_holds - a.was_open, ledger_seq = u.ledger_seq + (a.charged > 0)::int
      FROM account a WHERE u.id = a.id
    RETURNING u.id, u.credits, u.credits_held, u.ledger_seq
), posted AS (
    INSERT INTO credit_transactions
        (user_id, seq, type, amount, balance_after, description, metadata, reference_id, hold_id, created_at)
    SELECT p.id, p.ledger_seq, 'usage', -a.charged, p.credits, %(description)s, %(metadata)s, a.reference_id,
           a.hold_id, clock_timestamp()
      FROM paid p JOIN account a USING (id) WHERE a.charged > 0
    RETURNING user_id, seq
)
SELECT a.charged, p.credits AS balance_after, p.credits - p.credits_held AS available, t.seq
  FROM account a JOIN paid p USING (id) LEFT JOIN posted t ON true
"""


def release(*, hold: Hold) -> None:
    """Give a hold back uncharged. A hold that has ended already stays as it is."""
    _row(_END, {"hold": hold.pk, "state": Hold.State.RELEASED})


def expire_holds(*, user: User | None = None, limit: int = 1000) -> int:
    """End up to `limit` open holds past their expiry by the database's clock; returns how many."""
    due = Hold.objects.filter(state=Hold.State.OPEN, expires_at__lt=Now())
    if user is not None:
        due = due.filter(user=user)
    ids = list(due.order_by("expires_at").values_list("pk", flat=True)[:limit])
    return sum(_row(_END, {"hold": pk, "state": Hold.State.EXPIRED}) is not None for pk in ids)


_END = """
WITH account AS MATERIALIZED (
    SELECT u.id, h.id AS hold_id, h.amount
      FROM users u JOIN credit_holds h ON h.user_id = u.id
     WHERE h.id = %(hold)s AND h.state = 'open'
       FOR NO KEY UPDATE OF u, h
), ended AS (
    UPDATE credit_holds h SET state = %(state)s, ended_at = clock_timestamp()
      FROM account a WHERE h.id = a.hold_id
    RETURNING h.id
), freed AS (
    UPDATE users u SET credits_held = u.credits_held - a.amount, open_holds = u.open_holds - 1
      FROM account a JOIN ended e ON e.id = a.hold_id WHERE u.id = a.id
)
SELECT id FROM ended
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
) -> Transaction:
    """Grant credits: a purchase, a bonus or a subscription. The same key grants once."""
    if type not in GRANTS:
        raise InvalidAmount(f"Credits are not granted as {type}.")
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount to grant is between 1 and {MAX_AMOUNT} credits.")
    return _post(
        user=user,
        amount=amount,
        type=type,
        description=description,
        idempotency_key=idempotency_key,
        reference_id=reference_id,
        metadata=metadata,
    )


def adjust(
    *,
    user: User,
    amount: int,
    reason: str,
    actor: User | None,
    type: str = Transaction.Type.ADJUSTMENT,
    idempotency_key: str | None = None,
) -> Transaction:
    """Correct a balance by hand, up or down, with a reason; `actor` is None for the command line.

    Raises InvalidAmount, MissingReason, InsufficientCredits (held credits cannot be taken).
    """
    if not reason.strip():
        raise MissingReason("Give a reason: the user and the next administrator will read it.")
    if amount == 0 or abs(amount) > MAX_AMOUNT:
        raise InvalidAmount(f"An adjustment is a whole number up to {MAX_AMOUNT} credits, up or down, not zero.")
    if type not in ADJUSTMENTS or (type == Transaction.Type.BONUS and amount < 0):
        raise InvalidAmount("An adjustment is an adjustment in either direction, or a bonus upwards.")
    return _post(
        user=user,
        amount=amount,
        type=type,
        description=reason.strip(),
        actor=actor,
        idempotency_key=idempotency_key,
    )


def _post(
    *,
    user: User,
    amount: int,
    type: str,
    description: str,
    idempotency_key: str | None,
    reference_id: str = "",
    metadata: Mapping[str, Any] | None = None,
    actor: User | None = None,
) -> Transaction:
    request = {
        "user": user.pk,
        "amount": amount,
        "type": str(type),
        "description": description,
        "metadata": Jsonb(dict(metadata or {})),
        "reference_id": reference_id,
        "actor": actor.pk if actor else None,
        "idempotency_key": idempotency_key,
    }
    try:
        with atomic():
            row = _row(_POST, request)
    except IntegrityError:
        # The unique index is the guard: a SELECT before would let two at once through.
        posted = _posted_before(request)
        if posted is None:
            raise
        return posted
    if row is None:
        raise _why_not(user, amount)
    return Transaction.objects.get(pk=row["id"])


_POST = """
WITH account AS (
    UPDATE users SET credits = credits + %(amount)s, ledger_seq = ledger_seq + 1
     WHERE id = %(user)s AND credits + %(amount)s >= credits_held
    RETURNING id, credits, ledger_seq
)
INSERT INTO credit_transactions
    (user_id, seq, type, amount, balance_after, description, metadata, reference_id, actor_id,
     idempotency_key, created_at)
SELECT id, ledger_seq, %(type)s, %(amount)s, credits, %(description)s, %(metadata)s, %(reference_id)s,
       %(actor)s, %(idempotency_key)s, clock_timestamp()
  FROM account
RETURNING id
"""


def _posted_before(request: dict[str, Any]) -> Transaction | None:
    """The transaction that holds this idempotency key, if it was the same request."""
    if (key := request["idempotency_key"]) is None:
        return None
    found = Transaction.objects.filter(user_id=request["user"], type=request["type"], idempotency_key=key).first()
    if found and (found.amount, found.reference_id) != (request["amount"], request["reference_id"]):
        raise IdempotencyConflict("This idempotency key was used for another request.")
    return found


def _why_not(user: User, amount: int) -> UnknownAccount | InsufficientCredits:
    try:
        available = balance(user).available
    except UnknownAccount as unknown:
        return unknown
    return InsufficientCredits(
        f"Only {available} credits are available; {-amount} cannot be taken.", required=-amount, available=available
    )


def _row(statement: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row = cursor.fetchone()
        return None if row is None else dict(zip((c.name for c in cursor.description), row, strict=True))
