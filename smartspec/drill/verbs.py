"""Random calls of the ledger's verbs that conflict: with the same keys, holds and rows."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction

WINDOW = 0.1  # Seconds in which all processes use the same keys.
RECENT = 8  # The rows from which one is chosen.
PAID = ("purchase", "subscription")

Verb = Callable[[Random, User], object]


def spend(rng: Random, user: User) -> None:
    """Hold and capture."""
    ledger.capture(hold=_hold(rng, user, seconds=60), cost=rng.randint(0, 12))


def abandon(rng: Random, user: User) -> None:
    """Hold as a worker that dies: the hold is due at once, and a sweeper expires it."""
    _hold(rng, user, seconds=0)


def cancel(rng: Random, user: User) -> None:
    ledger.release(hold=_hold(rng, user, seconds=60))


def capture_late(rng: Random, user: User) -> None:
    """Capture one of the last holds, which can be open, due, expired or captured."""
    if holds := list(Hold.objects.filter(user=user).order_by("-pk")[:RECENT]):
        ledger.capture(hold=rng.choice(holds), cost=rng.randint(0, 12))


def sweep(rng: Random, user: User) -> None:
    ledger.expire_holds()


def buy(rng: Random, user: User) -> None:
    """Post a payment that all processes report in the same window."""
    key = f"pay-{user.pk}-{_read_window()}"
    ledger.add(
        user=user, amount=40, type="purchase", description="", idempotency_key=key, reference_id=key
    )


def pay_invoice(rng: Random, user: User) -> None:
    """Post a paid invoice that all processes report in the same window. Its credits expire."""
    number = _read_window()
    key = f"in-{user.pk}-{number}"
    until = datetime.fromtimestamp((number + 30) * WINDOW, UTC)
    ledger.add(
        user=user,
        amount=25,
        type="subscription",
        description="",
        idempotency_key=key,
        reference_id=key,
        expires_at=until,
    )


def give(rng: Random, user: User) -> None:
    """Post a gift that all processes give in the same window. It expires a second later."""
    number = _read_window()
    until = datetime.fromtimestamp((number + 10) * WINDOW, UTC)
    key = f"gift-{number}"
    ledger.add(
        user=user, amount=15, type="bonus", description="", idempotency_key=key, expires_at=until
    )


def adjust(rng: Random, user: User) -> None:
    ledger.adjust(user=user, amount=rng.choice((-9, -2, 3, 9)), reason="Race", actor=None)


def refund(rng: Random, user: User) -> None:
    if row := _choose_recent(rng, user, type__in=("usage", *PAID)):
        amount = rng.choice((None, 1, 2))
        ledger.refund(
            transaction=row,
            amount=amount,
            reason="Race",
            actor=None,
            idempotency_key=f"refund-{row.pk}-{amount}",
        )


def claw_back(rng: Random, user: User) -> None:
    if row := _choose_recent(rng, user, type__in=PAID):
        ledger.claw_back(
            transaction=row, amount=None, reason="Race", idempotency_key=f"dispute-{row.pk}"
        )


def restore(rng: Random, user: User) -> None:
    if row := _choose_recent(rng, user, reverses__type__in=PAID):
        ledger.restore(transaction=row, reason="Race", idempotency_key=f"won-{row.pk}")


def write_off(rng: Random, user: User) -> None:
    amount = rng.choice((None, 1, 5))
    key = f"write-off-{_read_window()}-{amount}"
    ledger.write_off(user=user, amount=amount, reason="Race", actor=None, idempotency_key=key)


ALL: tuple[Verb, ...] = (
    *(spend, spend, spend, abandon, abandon, cancel, capture_late, capture_late),
    *(sweep, buy, pay_invoice, give, adjust, adjust, refund, claw_back, restore, write_off),
)


def _hold(rng: Random, user: User, *, seconds: int) -> Hold:
    """Hold for a browser, a key or a device. The device has a small budget."""
    reference = f"race-{secrets.token_hex(8)}"
    credential, budget = rng.choice((("", None), ("key:1", None), ("key:2", 500), ("device:a", 40)))
    return ledger.hold(
        user=user,
        amount=rng.randint(1, 20),
        at_least=1,
        reference_id=reference,
        seconds=seconds,
        credential=credential,
        budget=budget,
    )


def _choose_recent(rng: Random, user: User, **filters: object) -> Transaction | None:
    rows = list(
        Transaction.objects.filter(user=user, **filters)
        .select_related("user")
        .order_by("-seq")[:RECENT]
    )
    return rng.choice(rows) if rows else None


def _read_window() -> int:
    """Return a number that is the same in all processes for WINDOW seconds."""
    return int(time.time() / WINDOW)
