"""The ledger of one user in memory: the rules of credits/database/sql/ without a database.

An Account is deterministic: the same operations in the same order give the same rows, grants and
refusals. The audit replays the recorded operations on it (invariant 13), and the tests compare it
with the real ledger. Grants are numbered from 1 in the order of their creation, rows by `seq`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

NEVER = datetime.max.replace(tzinfo=UTC)
GRACE = timedelta(days=7)  # how long an expired grant is valid again after a refund into it

Allocations = list[tuple[int, int]]  # (number of the grant, credits), negative if they were taken


def is_paid(type: str, reference_id: str) -> bool:
    """True for a purchase, and for a subscription that names its invoice."""
    return type == "purchase" or (type == "subscription" and reference_id != "")


class Refused(Exception):
    """A verb was refused. `facts` are the code and the numbers that the database stores."""

    def __init__(self, code: str, **facts: int) -> None:
        super().__init__(code)
        self.facts: dict[str, Any] = {"code": code, **facts}


@dataclass(slots=True)
class Grant:
    number: int
    amount: int
    remaining: int
    is_paid: bool = False
    priority: int = 100
    expires_at: datetime | None = None
    pinned: int = 0

    @property
    def free(self) -> int:
        return self.remaining - self.pinned

    @property
    def burn_order(self) -> tuple[int, datetime, bool, int]:
        return self.priority, self.expires_at or NEVER, self.is_paid, self.number


@dataclass(slots=True)
class Hold:
    amount: int
    pins: dict[int, int] = field(default_factory=dict)
    state: str = "open"
    cost: int | None = None
    captured: int | None = None


@dataclass(slots=True)
class Row:
    """A transaction and its allocations, in the order in which they were made."""

    seq: int
    type: str
    amount: int
    balance_after: int
    debt: int = 0
    debt_after: int = 0
    reverses: int | None = None
    grant: int | None = None  # the number of the grant that this row created
    allocations: Allocations = field(default_factory=list)
    is_paid: bool = False  # a purchase, or a subscription that names its invoice

    @property
    def moved(self) -> int:
        """The credits and the debt that this row moved, and that a complete reversal moves back."""
        return abs(self.amount - self.debt)


@dataclass(slots=True)
class Account:
    credits: int = 0
    held: int = 0
    debt: int = 0
    grants: dict[int, Grant] = field(default_factory=dict)
    holds: dict[Any, Hold] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    first_seq: int = 0  # the rows up to this number are older than the grants

    @property
    def available(self) -> int:
        return self.credits - self.held

    # --- holds ---------------------------------------------------------------------------

    def hold(self, key: Any, *, requested: int, at_least: int) -> Hold:
        amount = min(requested, self.available)
        if amount < at_least:
            raise Refused("insufficient_credits", required=at_least, available=self.available)
        hold = self.holds[key] = Hold(amount, self._pin(amount))
        self.held += amount
        return hold

    def capture(self, key: Any, cost: int) -> Row | None:
        """Charge the cost, as far as credits are available; return None if nothing was charged.

        A repeated capture changes nothing. It is refused with hold_ended if the cost differs.
        """
        hold = self.holds[key]
        if hold.captured is not None or hold.state not in ("open", "expired"):
            if hold.cost != cost:
                raise Refused("hold_ended")
            return None
        held, pins = (hold.amount, hold.pins) if hold.state == "open" else (0, {})
        hold.captured, hold.cost = min(cost, self.available + held), cost
        self.held -= held
        if hold.state == "open":
            hold.state = "captured"
        if not hold.captured:
            self._unpin(pins)
            return None
        row = self._write("usage", -hold.captured)
        self._burn(row, pins)
        return row

    def end(self, key: Any, state: str) -> None:
        """End an open hold with the state "released" or "expired"; leave an ended hold as it is."""
        hold = self.holds[key]
        if hold.state == "open":
            self.held -= hold.amount
            self._unpin(hold.pins)
            hold.state = state

    # --- credits that come and go ----------------------------------------------------------

    def add(self, request: Mapping[str, Any]) -> Row:
        row = self._write(request["type"], request["amount"])
        row.is_paid = is_paid(row.type, request.get("reference_id", ""))
        self._grant(row, row.amount, is_paid=row.is_paid, request=request)
        if row.is_paid and (debt_paid := min(self.debt, row.amount)):
            self._burn(self._write("adjustment", -debt_paid, debt=-debt_paid), first=row.grant)
        return row

    def adjust(self, request: Mapping[str, Any]) -> Row:
        amount = request["amount"]
        if self.available + amount < 0:
            raise Refused("insufficient_credits", required=-amount, available=self.available)
        row = self._write(request["type"], amount)
        if amount > 0:
            self._grant(row, amount, is_paid=False, request=request)
        else:
            self._burn(row)
        return row

    def refund(self, seq: int, amount: int | None, now: datetime) -> Row:
        original = self.rows[seq]
        left = self.refundable(seq)
        if not (original.type == "usage" or original.is_paid):
            raise Refused("not_refundable")
        amount = self._check_amount(left, amount)
        if original.is_paid:
            if self.available < amount:
                raise Refused("insufficient_credits", required=amount, available=self.available)
            row = self._write("refund", -amount, reverses=seq)
            self._burn(row, first=original.grant)
            return row
        row = self._write("refund", amount, reverses=seq)
        rest = self._unwind(row, original, -original.amount - left, amount, now)
        self._grant(row, rest, is_paid=True)
        return row

    def claw_back(self, seq: int, amount: int | None) -> Row:
        original = self.rows[seq]
        if not original.is_paid:
            raise Refused("not_refundable")
        amount = self._check_amount(self.refundable(seq), amount)
        taken = min(amount, self.available)
        row = self._write("refund", -taken, debt=amount - taken, reverses=seq)
        self._burn(row, first=original.grant)
        return row

    def restore(self, seq: int, now: datetime) -> Row:
        original = self.rows[seq]
        if original.reverses is None or not self.rows[original.reverses].is_paid:
            raise Refused("not_refundable")
        amount = self._check_amount(self.refundable(seq), None)
        if written_off := min(self._sum_written_off(seq), original.debt):
            self._write("adjustment", 0, debt=written_off)
        forgiven = min(self.debt, amount)
        back = amount - forgiven
        row = self._write("refund", back, debt=-forgiven, reverses=seq)
        rest = self._unwind(row, original, 0, min(back, -original.amount), now) + max(
            0, back + original.amount
        )
        self._grant(row, rest, is_paid=True)
        return row

    def write_off(self, amount: int | None) -> Row:
        if self.debt == 0:
            raise Refused("no_debt")
        if amount is not None and amount > self.debt:
            raise Refused("more_than_owed", owed=self.debt)
        return self._write("adjustment", 0, debt=-(self.debt if amount is None else amount))

    def refundable(self, seq: int) -> int:
        """Return how many credits of a row have not been reversed.

        A reversal that was itself reversed does not count.
        """
        return self.rows[seq].moved - sum(self.refundable(row.seq) for row in self._reversals(seq))

    def expire(self, number: int) -> Row | None:
        """Take away the rest of an expired grant, except what a hold has pinned or needs."""
        grant = self.grants[number]
        if (amount := min(grant.free, self.available)) <= 0:
            return None
        row = self._write("adjustment", -amount)
        self._take(row, grant, amount)
        return row

    def find_due_grants(self, now: datetime) -> list[Grant]:
        """Return the expired grants in the order in which they are burned."""
        return [grant for grant in self._burnable() if grant.expires_at and grant.expires_at <= now]

    # --- the steps of the verbs ----------------------------------------------------------

    def _check_amount(self, left: int, amount: int | None) -> int:
        if left <= 0:
            raise Refused("already_refunded")
        if amount is not None and amount > left:
            raise Refused("more_than_left", left=left)
        return left if amount is None else amount

    def _sum_written_off(self, seq: int) -> int:
        """Return the debt written off after a row, without what is owed again."""
        later = (row for row in self.rows.values() if row.seq > seq)
        return max(
            -sum(row.debt for row in later if row.type == "adjustment" and not row.amount), 0
        )

    def _reversals(self, seq: int) -> Iterator[Row]:
        return (row for row in self.rows.values() if row.reverses == seq)

    def _write(self, type: str, amount: int, *, debt: int = 0, reverses: int | None = None) -> Row:
        self.credits += amount
        self.debt += debt
        seq = max(self.rows, default=self.first_seq) + 1
        row = self.rows[seq] = Row(seq, type, amount, self.credits, debt, self.debt, reverses)
        return row

    def _grant(
        self, row: Row, amount: int, *, is_paid: bool, request: Mapping[str, Any] | None = None
    ) -> None:
        if not amount:
            return
        number, expiry = len(self.grants) + 1, (request or {}).get("expires_at")
        priority = (request or {}).get("priority", 100)
        expires_at = datetime.fromisoformat(expiry) if expiry else None
        self.grants[number] = Grant(number, amount, amount, is_paid, priority, expires_at)
        row.grant = number

    def _burnable(self) -> list[Grant]:
        return sorted(
            (grant for grant in self.grants.values() if grant.free),
            key=lambda grant: grant.burn_order,
        )

    def _take(self, row: Row, grant: Grant, amount: int) -> None:
        if amount:
            grant.remaining -= amount
            row.allocations.append((grant.number, -amount))

    def _burn(
        self, row: Row, pins: Mapping[int, int] | None = None, first: int | None = None
    ) -> None:
        left = -row.amount
        self._unpin(pins or {})
        for grant in sorted(
            (self.grants[number] for number in pins or {}), key=lambda grant: grant.burn_order
        ):
            part = min((pins or {})[grant.number], left)
            self._take(row, grant, part)
            left -= part
        for grant in sorted(self._burnable(), key=lambda grant: grant.number != first):
            part = min(grant.free, left)
            self._take(row, grant, part)
            left -= part

    def _pin(self, amount: int) -> dict[int, int]:
        pins, left = {}, amount
        for grant in self._burnable():
            part = min(grant.free, left)
            left -= part
            if part and grant.expires_at:
                pins[grant.number] = part
                grant.pinned += part
        return pins

    def _unpin(self, pins: Mapping[int, int]) -> None:
        for number, amount in pins.items():
            self.grants[number].pinned -= amount

    def _unwind(self, row: Row, original: Row, before: int, amount: int, now: datetime) -> int:
        """Return `amount` credits to the grants that `original` burned, the last one first.

        `before` credits were returned earlier and are skipped. The result is the number of credits
        for which there was no grant.
        """
        running_total, left = 0, amount
        for number, taken in reversed(original.allocations):
            running_total -= taken
            part = min(running_total - before, -taken, left)
            if part <= 0:
                continue
            grant = self.grants[number]
            grant.remaining += part
            if grant.expires_at and grant.expires_at <= now:
                grant.expires_at = now + GRACE
            row.allocations.append((number, part))
            left -= part
        return left
