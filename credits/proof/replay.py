"""Invariant 13: replaying the operations of a user on a ledger in memory gives the same rows.

Each operation of a user has a number (`op`): the opening, the end and the capture of a hold, and
each transaction. A refused operation has the number of the operation before it, and is replayed
after it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Model

from accounts.models import User
from credits.models import Allocation, Operation, Transaction
from credits.models import Grant as GrantRow
from credits.models import Hold as HoldRow
from credits.proof.ledger_in_memory import Account, Grant, Hold, Refused, Row, is_paid

MAX_OPERATIONS = 200_000  # of one user, unless the user is audited alone
# These refusals can depend on another account, so they cannot be replayed.
NOT_REPLAYABLE = {"payment_used"}


class Event(NamedTuple):
    """One operation to replay.

    `replay` does it on the account; `name` is for the report; `refusal` is the recorded refusal, or
    None if the operation was done.
    """

    op: int
    after: int  # 1 for a refusal, which has no number of its own, else 0
    name: str
    replay: Callable[[], object]
    refusal: Mapping[str, Any] | None


class UserRecords:
    """The rows of one user in the database, each kind in the order of its creation."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.holds: list[Any] = []
        self.operations: list[Any] = []
        self.grants: list[Any] = []
        # (number of the grant, credits) by the id of the transaction
        self.allocations: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.grant_numbers: dict[int, int] = {}  # from 1, by the id of the grant
        self.expiries: dict[int, datetime | None] = {}  # by the id of the transaction that granted
        self.seqs: dict[int, int] = {}  # by the id of the transaction
        self.last_op = 0


def read_records(first: int, last: int) -> dict[int, UserRecords]:
    """Return the rows of all users with an id from `first` to `last`, by user id.

    The caller provides one snapshot for all statements, and a range with a bounded number of rows.
    """
    users: dict[int, UserRecords] = defaultdict(UserRecords)
    counted = User.objects.filter(pk__range=(first, last), ledger_ops__gt=0)
    for user_id, last_op in counted.values_list("pk", "ledger_ops"):
        users[user_id].last_op = last_op
    for row in _read(Transaction, first, last, "seq", _ROW):
        users[row.user_id].rows.append(row)
        users[row.user_id].seqs[row.id] = row.seq
    for hold in _read(HoldRow, first, last, "id", _HOLD):
        users[hold.user_id].holds.append(hold)
    for operation in _read(Operation, first, last, "id", _OPERATION):
        users[operation.user_id].operations.append(operation)
    for grant in _read(GrantRow, first, last, "id", _GRANT):
        users[grant.user_id].grants.append(grant)
        users[grant.user_id].grant_numbers[grant.id] = len(users[grant.user_id].grants)
        users[grant.user_id].expiries[grant.transaction_id] = grant.first_expires_at
    allocation_columns = ("transaction_id", "grant_id", "amount")
    for allocation in _read(Allocation, first, last, "id", allocation_columns):
        records = users[allocation.user_id]
        records.allocations[allocation.transaction_id].append(
            (records.grant_numbers[allocation.grant_id], allocation.amount)
        )
    return users


def _read(
    model: type[Model], first: int, last: int, order: str, columns: tuple[str, ...]
) -> Iterator[Any]:
    rows = model._default_manager.filter(user_id__gte=first, user_id__lte=last).order_by(
        "user_id", order
    )
    return rows.values_list("user_id", *columns, named=True).iterator(chunk_size=5000)


_ROW = (
    *("id", "seq", "op", "type", "amount", "balance_after", "debt", "debt_after", "created_at"),
    *("hold_id", "reverses_id", "expired_grant_id", "reference_id"),
)
_HOLD = (
    *("id", "requested", "at_least", "amount", "captured", "cost", "state", "pins"),
    *("opened_op", "ended_op", "captured_op"),
)
_OPERATION = ("verb", "idempotency_key", "request", "refusal", "transaction_id", "op", "created_at")
_GRANT = (
    *("id", "transaction_id", "source", "amount", "remaining", "pinned", "is_paid", "priority"),
    *("first_expires_at", "expires_at"),
)


def find_differences(records: UserRecords) -> Iterator[str]:
    """Replay the operations and yield a sentence for each difference; none for a sound account."""
    yield from _check_numbers(records)
    account = make_opening_account(records)
    for event in sorted(list_events(records, account), key=lambda event: event[:2]):
        if (refusal := _replay_event(event)) != event.refusal:
            recorded, replayed = map(_describe_outcome, (event.refusal, refusal))
            yield f"{event.name} was {recorded}; replayed, it is {replayed}"
            return  # Everything after the first difference would differ as well.
    yield from _compare_rows(records, account)
    yield from _compare_holds(records, account)
    yield from _compare_grants(records, account)


def make_opening_account(records: UserRecords) -> Account:
    """Return the account before its first numbered operation.

    Transactions and holds that are older have the operation number 0.
    """
    account = Account()
    for row in records.rows:
        if row.op == 0:
            account.first_seq, account.credits, account.debt = (
                row.seq,
                row.balance_after,
                row.debt_after,
            )
            account.rows[row.seq] = Row(
                row.seq,
                row.type,
                row.amount,
                row.balance_after,
                reverses=records.seqs.get(row.reverses_id or 0),
                is_paid=is_paid(row.type, row.reference_id),
            )
    for number, grant in enumerate(records.grants, start=1):
        if grant.source == GrantRow.Source.OPENING:
            account.grants[number] = Grant(
                number, grant.amount, grant.amount, grant.is_paid, grant.priority
            )
    for hold in records.holds:
        if hold.opened_op == 0 and (hold.state == "open" or hold.ended_op or hold.captured_op):
            is_open = hold.state == "open" or bool(hold.ended_op)
            account.holds[hold.id] = Hold(hold.amount, state="open" if is_open else "expired")
            account.held += hold.amount if is_open else 0
    return account


def list_events(records: UserRecords, account: Account) -> Iterator[Event]:
    """Yield the operations to replay on the account, not yet in their order."""
    for hold in records.holds:
        yield from _list_hold_events(hold, account)
    operation_by_transaction = {
        operation.transaction_id: operation
        for operation in records.operations
        if operation.transaction_id
    }
    for row in records.rows:
        if row.op and (
            replay := _make_row_replay(row, operation_by_transaction.get(row.id), records, account)
        ):
            yield Event(row.op, 0, f"transaction {row.seq}", replay, None)
    for operation in records.operations:
        if operation.refusal is not None and operation.refusal["code"] not in NOT_REPLAYABLE:
            replay = _make_verb_replay(
                operation.verb, operation.request, operation.created_at, records, account
            )
            yield Event(
                operation.op,
                1,
                f"{operation.verb} {operation.idempotency_key}",
                replay,
                operation.refusal,
            )


def _list_hold_events(hold: Any, account: Account) -> Iterator[Event]:
    name = f"hold {hold.id}"
    if hold.opened_op:
        terms = {"requested": hold.requested, "at_least": hold.at_least}
        yield Event(hold.opened_op, 0, name, lambda: account.hold(hold.id, **terms), None)
    if hold.ended_op and hold.ended_op != hold.captured_op:
        yield Event(
            hold.ended_op, 0, f"the end of {name}", lambda: account.end(hold.id, hold.state), None
        )
    if hold.captured_op:
        yield Event(
            hold.captured_op,
            0,
            f"the capture of {name}",
            lambda: account.capture(hold.id, hold.cost or 0),
            None,
        )


def _make_row_replay(
    row: Any, operation: Any, records: UserRecords, account: Account
) -> Callable[[], object] | None:
    """Return what replays a transaction; None if another event replays it.

    Those are the transaction of a capture, the one that pays a debt after a purchase, and the one
    that makes a debt owed again before it is cancelled.
    """
    if row.expired_grant_id:
        number = records.grant_numbers[row.expired_grant_id]
        return lambda: account.expire(number)
    until = records.expiries.get(row.id)
    expiry = {"expires_at": until.isoformat() if until else None}
    if operation:
        return _make_verb_replay(
            operation.verb, operation.request | expiry, row.created_at, records, account
        )
    if row.hold_id or row.debt:
        return None
    return lambda: account.adjust({"type": row.type, "amount": row.amount, **expiry})


def _make_verb_replay(
    verb: str, request: Mapping[str, Any], now: datetime, records: UserRecords, account: Account
) -> Callable[[], object]:
    if verb in ("add", "adjust"):
        return lambda: getattr(account, verb)(request)
    if verb == "write_off":
        return lambda: account.write_off(request["amount"])
    seq = records.seqs.get(request["transaction"], 0)
    if seq == 0:
        return _refuse_unknown_transaction
    if verb == "restore":
        return lambda: account.restore(seq, now)
    if verb == "claw_back":
        return lambda: account.claw_back(seq, request["amount"])
    return lambda: account.refund(seq, request["amount"], now)


def _refuse_unknown_transaction() -> None:
    raise Refused("not_refundable")


def _replay_event(event: Event) -> Mapping[str, Any] | None:
    try:
        event.replay()
    except Refused as refused:
        return refused.facts
    return None


def _describe_outcome(refusal: Mapping[str, Any] | None) -> str:
    return f"refused ({refusal['code']})" if refusal else "done"


def _compare_rows(records: UserRecords, account: Account) -> Iterator[str]:
    for row in records.rows:
        if not row.op:
            continue
        replayed = account.rows.get(row.seq)
        columns = (
            row.type,
            row.amount,
            row.balance_after,
            row.debt,
            row.debt_after,
            records.allocations[row.id],
        )
        if replayed is None or columns != (
            replayed.type,
            replayed.amount,
            replayed.balance_after,
            replayed.debt,
            replayed.debt_after,
            replayed.allocations,
        ):
            yield (
                f"transaction {row.seq} (id {row.id}) says {row.amount:+} and leaves "
                f"{row.balance_after}; replayed: {replayed}"
            )
            return
    if len(account.rows) != len(records.rows):
        yield (
            f"{len(records.rows)} transactions are recorded; "
            f"replayed, there are {len(account.rows)}"
        )


def _compare_holds(records: UserRecords, account: Account) -> Iterator[str]:
    for hold in records.holds:
        replayed = account.holds.get(hold.id)
        if replayed is None:
            continue  # The hold ended before operations were numbered.
        pins = {
            records.grant_numbers[int(grant)]: amount for grant, amount in (hold.pins or {}).items()
        }
        if (hold.amount, hold.captured, hold.state, pins) != (
            replayed.amount,
            replayed.captured,
            replayed.state,
            replayed.pins,
        ):
            yield (
                f"hold {hold.id} over {hold.amount} is {hold.state}, captured {hold.captured}; "
                f"replayed: {replayed}"
            )
            return


def _compare_grants(records: UserRecords, account: Account) -> Iterator[str]:
    for number, grant in enumerate(records.grants, start=1):
        replayed = account.grants.get(number)
        columns = (
            grant.amount,
            grant.remaining,
            grant.pinned,
            grant.priority,
            grant.is_paid,
            grant.expires_at,
        )
        if replayed is None or columns != (
            replayed.amount,
            replayed.remaining,
            replayed.pinned,
            replayed.priority,
            replayed.is_paid,
            replayed.expires_at,
        ):
            yield (
                f"grant {grant.id} has {grant.remaining} left until {grant.expires_at}; "
                f"replayed: {replayed}"
            )
            return


def _check_numbers(records: UserRecords) -> Iterator[str]:
    """Yield a sentence if a number of an operation is missing, or is higher than the user's last.

    The capture of an open hold and its transaction have the same number.
    """
    recorded = {row.op for row in records.rows} | {hold.opened_op for hold in records.holds}
    recorded |= {op for hold in records.holds for op in (hold.ended_op, hold.captured_op) if op}
    expected = set(range(1, records.last_op + 1))
    if missing := expected - recorded:
        yield f"number {min(missing)} of {records.last_op} things done is gone"
    if extra := recorded - {0} - expected:
        yield f"number {min(extra)} was done, but only {records.last_op} are counted"
