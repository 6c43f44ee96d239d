"""Invariant 13: all that the ledger did for a user, done again in order on a pure account, must give the same rows.

Everything has a number: holds when they opened and ended, rows, and refusals after the number they saw.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from credits.account import Account, Grant, Hold, Refused, Row
from credits.models import Allocation, Operation, Transaction
from credits.models import Grant as GrantRow
from credits.models import Hold as HoldRow

MAX_OPERATIONS = 200_000  # of one user, replayed in memory; an audit of that user alone has no limit
OTHERS = {"payment_used"}  # refusals that another account may be the reason of


class Event(NamedTuple):
    """`act` does it again; `what` names it; `refusal` is what it was answered with, if it was refused."""

    op: int
    after: int  # 1 for a refusal, which has no number of its own
    what: str
    act: Callable[[], object]
    refusal: Mapping[str, Any] | None


class Recorded:
    """What the database has of one user."""

    def __init__(self, user_id: int) -> None:
        self.rows = list(Transaction.objects.filter(user_id=user_id).order_by("seq"))
        self.holds = list(HoldRow.objects.filter(user_id=user_id).order_by("id"))
        self.operations = list(Operation.objects.filter(user_id=user_id).order_by("id"))
        self.grants = list(GrantRow.objects.filter(user_id=user_id).order_by("id"))
        self.grant_numbers = {grant.pk: number for number, grant in enumerate(self.grants, start=1)}
        self.seqs = {row.pk: row.seq for row in self.rows}
        self.allocations: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for allocation in Allocation.objects.filter(user_id=user_id).order_by("id"):
            taken = (self.grant_numbers[allocation.grant_id], allocation.amount)
            self.allocations[allocation.transaction_id].append(taken)


def differences(user_id: int) -> Iterator[str]:
    """What does not come out again, in sentences; nothing for a sound account."""
    recorded = Recorded(user_id)
    account = opening(recorded)
    for event in sorted(events(recorded, account), key=lambda event: event[:2]):
        if (refusal := _again(event)) != event.refusal:
            yield f"{event.what} was {_answer(event.refusal)}; replayed, it is {_answer(refusal)}"
            return  # all that follows would differ as well
    yield from _rows(recorded, account)
    yield from _holds(recorded, account)
    yield from _grants(recorded, account)


def opening(recorded: Recorded) -> Account:
    """The account as it was when operations began to be numbered."""
    account = Account()
    for row in recorded.rows:
        if row.op == 0:
            account.first_seq, account.credits, account.debt = row.seq, row.balance_after, row.debt_after
            account.rows[row.seq] = Row(
                row.seq, row.type, row.amount, row.balance_after, reverses=recorded.seqs.get(row.reverses_id or 0)
            )
    for number, grant in enumerate(recorded.grants, start=1):
        if grant.source == GrantRow.Source.OPENING:
            account.grants[number] = Grant(number, grant.amount, grant.amount, grant.is_paid, grant.priority)
    for hold in recorded.holds:
        if hold.opened_op == 0 and (hold.state == "open" or hold.ended_op or hold.captured_op):
            is_open = hold.state == "open" or bool(hold.ended_op)
            account.holds[hold.pk] = Hold(hold.amount, state="open" if is_open else "expired")
            account.held += hold.amount if is_open else 0
    return account


def events(recorded: Recorded, account: Account) -> Iterator[Event]:
    for hold in recorded.holds:
        yield from _events_of_hold(hold, account)
    done = {operation.transaction_id: operation for operation in recorded.operations if operation.transaction_id}
    for row in recorded.rows:
        if row.op and (act := _act_of_row(row, done.get(row.pk), recorded, account)):
            yield Event(row.op, 0, f"transaction {row.seq}", act, None)
    for operation in recorded.operations:
        if operation.refusal is not None and operation.refusal["code"] not in OTHERS:
            act = _verb(operation.verb, operation.request, operation.created_at, recorded, account)
            yield Event(operation.op, 1, f"{operation.verb} {operation.idempotency_key}", act, operation.refusal)


def _events_of_hold(hold: HoldRow, account: Account) -> Iterator[Event]:
    name = f"hold {hold.pk}"
    if hold.opened_op:
        asked = {"requested": hold.requested, "at_least": hold.at_least}
        yield Event(hold.opened_op, 0, name, lambda: account.hold(hold.pk, **asked), None)
    if hold.ended_op and hold.ended_op != hold.captured_op:
        yield Event(hold.ended_op, 0, f"the end of {name}", lambda: account.end(hold.pk, hold.state), None)
    if hold.captured_op:
        yield Event(
            hold.captured_op, 0, f"the capture of {name}", lambda: account.capture(hold.pk, hold.cost or 0), None
        )


def _act_of_row(
    row: Transaction, operation: Operation | None, recorded: Recorded, account: Account
) -> Callable[[], object] | None:
    """None where the row came with something else: a capture, or a purchase that paid a debt."""
    if row.expired_grant_id:
        number = recorded.grant_numbers[row.expired_grant_id]
        return lambda: account.expire(number)
    if operation:
        return _verb(operation.verb, operation.request, row.created_at, recorded, account)
    if row.hold_id or row.debt:
        return None
    until = next((grant.first_expires_at for grant in recorded.grants if grant.transaction_id == row.pk), None)
    request = {"type": row.type, "amount": row.amount, "expires_at": until.isoformat() if until else None}
    return lambda: account.adjust(request)


def _verb(
    verb: str, request: Mapping[str, Any], now: datetime, recorded: Recorded, account: Account
) -> Callable[[], object]:
    if verb in ("add", "adjust"):
        return lambda: getattr(account, verb)(request)
    seq = recorded.seqs.get(request["transaction"], 0)
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


def _rows(recorded: Recorded, account: Account) -> Iterator[str]:
    for row in recorded.rows:
        if not row.op:
            continue
        replayed = account.rows.get(row.seq)
        said = (row.type, row.amount, row.balance_after, row.debt, row.debt_after, recorded.allocations[row.pk])
        if replayed is None or said != (
            replayed.type,
            replayed.amount,
            replayed.balance_after,
            replayed.debt,
            replayed.debt_after,
            replayed.allocations,
        ):
            yield f"transaction {row.seq} (id {row.pk}) says {said[1]:+} and leaves {said[2]}; replayed: {replayed}"
            return
    if len(account.rows) != len(recorded.rows):
        yield f"{len(recorded.rows)} transactions are recorded; replayed, there are {len(account.rows)}"


def _holds(recorded: Recorded, account: Account) -> Iterator[str]:
    for hold in recorded.holds:
        replayed = account.holds.get(hold.pk)
        if replayed is None:
            continue  # ended before operations were numbered
        pins = {recorded.grant_numbers[int(grant)]: amount for grant, amount in (hold.pins or {}).items()}
        if (hold.amount, hold.captured, hold.state, pins) != (
            replayed.amount,
            replayed.captured,
            replayed.state,
            replayed.pins,
        ):
            yield f"hold {hold.pk} over {hold.amount} is {hold.state}, captured {hold.captured}; replayed: {replayed}"
            return


def _grants(recorded: Recorded, account: Account) -> Iterator[str]:
    for number, grant in enumerate(recorded.grants, start=1):
        replayed = account.grants.get(number)
        if replayed is None or (grant.amount, grant.remaining, grant.pinned) != (
            replayed.amount,
            replayed.remaining,
            replayed.pinned,
        ):
            yield f"grant {grant.pk} has {grant.remaining} of {grant.amount} left; replayed: {replayed}"
            return
