"""Invariant 13: all that the ledger did for a user, done again in order on a pure account, must give the same rows.

Everything has a number: holds when they opened and ended, rows, and refusals after the number they saw.
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
from credits.proof.ledger_in_memory import Account, Grant, Hold, Refused, Row

MAX_OPERATIONS = (
    200_000  # of one user, replayed in memory; an audit of that user alone has no limit
)
OTHERS = {"payment_used"}  # refusals that another account may be the reason of


class Event(NamedTuple):
    """`act` does it again; `what` names it; `refusal` is what it was answered with, if it was refused."""

    op: int
    after: int  # 1 for a refusal, which has no number of its own
    what: str
    act: Callable[[], object]
    refusal: Mapping[str, Any] | None


class Recorded:
    """What the database has of one user, each kind in the order it came."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.holds: list[Any] = []
        self.operations: list[Any] = []
        self.grants: list[Any] = []
        self.allocations: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.grant_numbers: dict[int, int] = {}
        self.expiries: dict[int, datetime | None] = {}  # by the transaction that granted
        self.seqs: dict[int, int] = {}
        self.operations_done = 0


def recorded(first: int, last: int) -> dict[int, Recorded]:
    """By user, for a range of users with a bounded number of rows. Read at one moment."""
    users: dict[int, Recorded] = defaultdict(Recorded)
    for pk, done in User.objects.filter(pk__range=(first, last), ledger_ops__gt=0).values_list(
        "pk", "ledger_ops"
    ):
        users[pk].operations_done = done
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
    for taken in _read(Allocation, first, last, "id", ("transaction_id", "grant_id", "amount")):
        of_user = users[taken.user_id]
        of_user.allocations[taken.transaction_id].append(
            (of_user.grant_numbers[taken.grant_id], taken.amount)
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
    *("hold_id", "reverses_id", "expired_grant_id"),
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


def differences(of_user: Recorded) -> Iterator[str]:
    """What does not come out again, in sentences; nothing for a sound account."""
    yield from _numbers(of_user)
    account = opening(of_user)
    for event in sorted(events(of_user, account), key=lambda event: event[:2]):
        if (refusal := _again(event)) != event.refusal:
            yield f"{event.what} was {_answer(event.refusal)}; replayed, it is {_answer(refusal)}"
            return  # all that follows would differ as well
    yield from _rows(of_user, account)
    yield from _holds(of_user, account)
    yield from _grants(of_user, account)


def opening(of_user: Recorded) -> Account:
    """The account as it was when operations began to be numbered."""
    account = Account()
    for row in of_user.rows:
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
                reverses=of_user.seqs.get(row.reverses_id or 0),
            )
    for number, grant in enumerate(of_user.grants, start=1):
        if grant.source == GrantRow.Source.OPENING:
            account.grants[number] = Grant(
                number, grant.amount, grant.amount, grant.is_paid, grant.priority
            )
    for hold in of_user.holds:
        if hold.opened_op == 0 and (hold.state == "open" or hold.ended_op or hold.captured_op):
            is_open = hold.state == "open" or bool(hold.ended_op)
            account.holds[hold.id] = Hold(hold.amount, state="open" if is_open else "expired")
            account.held += hold.amount if is_open else 0
    return account


def events(of_user: Recorded, account: Account) -> Iterator[Event]:
    for hold in of_user.holds:
        yield from _events_of_hold(hold, account)
    done = {
        operation.transaction_id: operation
        for operation in of_user.operations
        if operation.transaction_id
    }
    for row in of_user.rows:
        if row.op and (act := _act_of_row(row, done.get(row.id), of_user, account)):
            yield Event(row.op, 0, f"transaction {row.seq}", act, None)
    for operation in of_user.operations:
        if operation.refusal is not None and operation.refusal["code"] not in OTHERS:
            act = _verb(operation.verb, operation.request, operation.created_at, of_user, account)
            yield Event(
                operation.op,
                1,
                f"{operation.verb} {operation.idempotency_key}",
                act,
                operation.refusal,
            )


def _events_of_hold(hold: Any, account: Account) -> Iterator[Event]:
    name = f"hold {hold.id}"
    if hold.opened_op:
        asked = {"requested": hold.requested, "at_least": hold.at_least}
        yield Event(hold.opened_op, 0, name, lambda: account.hold(hold.id, **asked), None)
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


def _act_of_row(
    row: Any, operation: Any, of_user: Recorded, account: Account
) -> Callable[[], object] | None:
    """None where the row came with something else: a capture, or a purchase that paid a debt."""
    if row.expired_grant_id:
        number = of_user.grant_numbers[row.expired_grant_id]
        return lambda: account.expire(number)
    until = of_user.expiries.get(row.id)
    expiry = {"expires_at": until.isoformat() if until else None}
    if operation:
        return _verb(operation.verb, operation.request | expiry, row.created_at, of_user, account)
    if row.hold_id or row.debt:
        return None
    return lambda: account.adjust({"type": row.type, "amount": row.amount, **expiry})


def _verb(
    verb: str, request: Mapping[str, Any], now: datetime, of_user: Recorded, account: Account
) -> Callable[[], object]:
    if verb in ("add", "adjust"):
        return lambda: getattr(account, verb)(request)
    seq = of_user.seqs.get(request["transaction"], 0)
    if seq == 0:
        return _nobodys
    if verb == "restore":
        return lambda: account.restore(seq, now)
    if verb == "claw_back":
        return lambda: account.claw_back(seq, request["amount"])
    return lambda: account.refund(seq, request["amount"], now)


def _nobodys() -> None:
    raise Refused("not_refundable")


def _again(event: Event) -> Mapping[str, Any] | None:
    try:
        event.act()
    except Refused as refused:
        return refused.facts
    return None


def _answer(refusal: Mapping[str, Any] | None) -> str:
    return f"refused ({refusal['code']})" if refusal else "done"


def _rows(of_user: Recorded, account: Account) -> Iterator[str]:
    for row in of_user.rows:
        if not row.op:
            continue
        replayed = account.rows.get(row.seq)
        said = (
            row.type,
            row.amount,
            row.balance_after,
            row.debt,
            row.debt_after,
            of_user.allocations[row.id],
        )
        if replayed is None or said != (
            replayed.type,
            replayed.amount,
            replayed.balance_after,
            replayed.debt,
            replayed.debt_after,
            replayed.allocations,
        ):
            yield f"transaction {row.seq} (id {row.id}) says {said[1]:+} and leaves {said[2]}; replayed: {replayed}"
            return
    if len(account.rows) != len(of_user.rows):
        yield f"{len(of_user.rows)} transactions are recorded; replayed, there are {len(account.rows)}"


def _holds(of_user: Recorded, account: Account) -> Iterator[str]:
    for hold in of_user.holds:
        replayed = account.holds.get(hold.id)
        if replayed is None:
            continue  # ended before operations were numbered
        pins = {
            of_user.grant_numbers[int(grant)]: amount for grant, amount in (hold.pins or {}).items()
        }
        if (hold.amount, hold.captured, hold.state, pins) != (
            replayed.amount,
            replayed.captured,
            replayed.state,
            replayed.pins,
        ):
            yield f"hold {hold.id} over {hold.amount} is {hold.state}, captured {hold.captured}; replayed: {replayed}"
            return


def _grants(of_user: Recorded, account: Account) -> Iterator[str]:
    for number, grant in enumerate(of_user.grants, start=1):
        replayed = account.grants.get(number)
        said = (
            grant.amount,
            grant.remaining,
            grant.pinned,
            grant.priority,
            grant.is_paid,
            grant.expires_at,
        )
        if replayed is None or said != (
            replayed.amount,
            replayed.remaining,
            replayed.pinned,
            replayed.priority,
            replayed.is_paid,
            replayed.expires_at,
        ):
            yield f"grant {grant.id} has {grant.remaining} left until {grant.expires_at}; replayed: {replayed}"
            return


def _numbers(of_user: Recorded) -> Iterator[str]:
    """Each number is one thing that was done; the capture of an open hold and its row are one."""
    done = {row.op for row in of_user.rows} | {hold.opened_op for hold in of_user.holds}
    done |= {op for hold in of_user.holds for op in (hold.ended_op, hold.captured_op) if op}
    if missing := set(range(1, of_user.operations_done + 1)) - done:
        yield f"number {min(missing)} of {of_user.operations_done} things done is gone"
    if extra := done - {0} - set(range(1, of_user.operations_done + 1)):
        yield f"number {min(extra)} was done, but only {of_user.operations_done} are counted"
