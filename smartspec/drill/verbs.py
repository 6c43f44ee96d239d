"""Random uses of the ledger's verbs that get in one another's way: the same keys, the same holds, the same rows."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction

WINDOW = 0.1  # seconds in which all processes use the same keys
RECENT = 8  # rows among which one is chosen

Verb = Callable[[Random, User], object]


def spend(rng: Random, user: User) -> None:
    """One window: hold and capture."""
    ledger.capture(hold=_hold(rng, user, seconds=60), cost=rng.randint(0, 12))


def abandon(rng: Random, user: User) -> None:
    """Hold and die: the hold is due at once, for whoever sweeps first."""
    _hold(rng, user, seconds=0)


def cancel(rng: Random, user: User) -> None:
    ledger.release(hold=_hold(rng, user, seconds=60))


def capture_late(rng: Random, user: User) -> None:
    """Capture one of the last holds, whoever made it and whether it is open, due, expired or captured."""
    if holds := list(Hold.objects.filter(user=user).order_by("-pk")[:RECENT]):
        ledger.capture(hold=rng.choice(holds), cost=rng.randint(0, 12))


def sweep(rng: Random, user: User) -> None:
    ledger.expire_holds()


def buy(rng: Random, user: User) -> None:
    """The same payment, reported by everybody in the same window."""
    key = f"pay-{user.pk}-{_window()}"
    ledger.add(
        user=user, amount=40, type="purchase", description="", idempotency_key=key, reference_id=key
    )


def give(rng: Random, user: User) -> None:
    """The same gift from everybody; it expires a second later."""
    number = _window()
    until = datetime.fromtimestamp((number + 10) * WINDOW, UTC)
    key = f"gift-{number}"
    ledger.add(
        user=user, amount=15, type="bonus", description="", idempotency_key=key, expires_at=until
    )


def adjust(rng: Random, user: User) -> None:
    ledger.adjust(user=user, amount=rng.choice((-9, -2, 3, 9)), reason="Race", actor=None)


def refund(rng: Random, user: User) -> None:
    if row := _recent(rng, user, type__in=("usage", "purchase")):
        amount = rng.choice((None, 1, 2))
        ledger.refund(
            transaction=row,
            amount=amount,
            reason="Race",
            actor=None,
            idempotency_key=f"refund-{row.pk}-{amount}",
        )


def claw_back(rng: Random, user: User) -> None:
    if row := _recent(rng, user, type="purchase"):
        ledger.claw_back(
            transaction=row, amount=None, reason="Race", idempotency_key=f"dispute-{row.pk}"
        )


def restore(rng: Random, user: User) -> None:
    if row := _recent(rng, user, reverses__type="purchase"):
        ledger.restore(transaction=row, reason="Race", idempotency_key=f"won-{row.pk}")


ALL: tuple[Verb, ...] = (
    *(spend, spend, spend, abandon, abandon, cancel, capture_late, capture_late),
    *(sweep, buy, give, adjust, adjust, refund, claw_back, restore),
)


def _hold(rng: Random, user: User, *, seconds: int) -> Hold:
    """By a browser, or by a key or device, the latter with a budget that is soon used up."""
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


def _recent(rng: Random, user: User, **which: object) -> Transaction | None:
    rows = list(
        Transaction.objects.filter(user=user, **which)
        .select_related("user")
        .order_by("-seq")[:RECENT]
    )
    return rng.choice(rows) if rows else None


def _window() -> int:
    """The same number in all processes for a tenth of a second."""
    return int(time.time() / WINDOW)
