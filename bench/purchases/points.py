"""The steps of payments, plans and refills between which something is killed."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from smartspec.drill.failpoints import Function, dying_after, dying_before

PROCESS, DATABASE = "process", "PostgreSQL"
BEFORE, AFTER = "before", "after"
MOST_SECONDS = 5  # For the postmaster to be gone.


@dataclass(frozen=True)
class Point:
    """The moment before or after a function is called, during one act of a payment's life."""

    act: str
    moment: str
    owner: str
    name: str

    @property
    def words(self) -> str:
        module = self.owner.rpartition(".")[2].partition(":")[0]
        return f"{self.act}: {self.moment} {module}.{self.name}"

    def arm(self, victim: str, data: str) -> None:
        """Let this process, or the PostgreSQL of the folder `data`, be killed here."""
        owner = resolve_name(self.owner)
        function = getattr(owner, self.name)
        if victim == DATABASE:
            armed = self._kill_database(function, Path(data))
        else:
            armed = (dying_before if self.moment == BEFORE else dying_after)(function)
        setattr(owner, self.name, armed)

    def _kill_database(self, function: Function, data: Path) -> Callable[..., Any]:
        @wraps(function)
        def replacement(*args: Any, **named: Any) -> Any:
            if self.moment == BEFORE:
                kill_postmaster(data)
            result = function(*args, **named)
            if self.moment == AFTER:
                kill_postmaster(data)
            return result

        return replacement


def kill_postmaster(data: Path) -> None:
    """Kill PostgreSQL with SIGKILL, and wait until it is gone."""
    pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + MOST_SECONDS
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)


BUY, RETURN, REFUND, DISPUTE, TICK = "buy", "return", "refund", "dispute", "tick"
PAYMENT_POINTS = (
    Point(BUY, AFTER, "credits.purchases.checkout", "_write_row"),
    Point(BUY, AFTER, "credits.purchases.sessions", "find_customer"),
    Point(BUY, BEFORE, "credits.purchases.sessions", "_create"),
    Point(BUY, AFTER, "credits.purchases.sessions", "_create"),
    Point(BUY, AFTER, "credits.purchases.sessions", "note_session"),
    Point(RETURN, AFTER, "credits.stripe_api.checkout", "fetch_session"),
    Point(RETURN, BEFORE, "credits.purchases.settlement", "apply"),
    Point(RETURN, AFTER, "credits.purchases.settlement", "_give_credits"),
    Point(RETURN, AFTER, "credits.purchases.settlement", "apply"),
    Point(REFUND, AFTER, "credits.reversals.refund_acts", "_take_credits"),
    Point(REFUND, AFTER, "credits.reversals.refund_acts", "take"),
    Point(REFUND, AFTER, "credits.reversals.sending", "_claim"),
    Point(REFUND, BEFORE, "credits.stripe_api.refunds", "create_refund"),
    Point(REFUND, AFTER, "credits.stripe_api.refunds", "create_refund"),
    Point(REFUND, AFTER, "credits.reversals.records", "_note_refund"),
    Point(REFUND, AFTER, "credits.reversals.records", "move_credits"),
    Point(REFUND, AFTER, "credits.reversals.records", "record"),
    Point(DISPUTE, AFTER, "credits.reversals.facts", "fetch"),
    Point(DISPUTE, BEFORE, "credits.reversals.records", "move_credits"),
    Point(DISPUTE, AFTER, "credits.reversals.records", "move_credits"),
    Point(DISPUTE, AFTER, "credits.reversals.records", "record"),
    Point(TICK, BEFORE, "credits.purchases.incoming_events", "apply"),
    Point(TICK, AFTER, "credits.purchases.incoming_events", "apply"),
    Point(TICK, AFTER, "credits.purchases.settlement", "apply"),
    Point(TICK, AFTER, "credits.stripe_api.refunds", "create_refund"),
    Point(TICK, AFTER, "credits.reversals.records", "record"),
)

START, FOLLOW, UPGRADE, DOWNGRADE, CANCEL = "start", "follow", "upgrade", "downgrade", "cancel"
RENEW, PAST_DUE, END, REFILL = "renew", "past due", "end", "refill"
PLAN_FORMS = (START, UPGRADE, DOWNGRADE, CANCEL)  # What a person sends, and may send again.
_PLAN = "credits.subscriptions"
_STRIPE = "credits.stripe_api"
PLAN_POINTS = (
    Point(START, AFTER, f"{_PLAN}.start", "_write"),
    Point(START, AFTER, f"{_STRIPE}.subscriptions", "make_price"),
    Point(START, AFTER, "credits.purchases.sessions", "find_customer"),
    Point(START, BEFORE, f"{_STRIPE}.checkout", "open_session"),
    Point(START, AFTER, f"{_STRIPE}.checkout", "open_session"),
    Point(FOLLOW, AFTER, f"{_PLAN}.states", "note_stripe_id"),
    Point(FOLLOW, AFTER, f"{_STRIPE}.subscriptions", "fetch"),
    Point(FOLLOW, AFTER, f"{_PLAN}.states", "apply"),
    Point(FOLLOW, AFTER, f"{_PLAN}.invoices", "record"),
    Point(FOLLOW, AFTER, f"{_PLAN}.invoices", "_begin_period"),
    Point(FOLLOW, AFTER, "credits.purchases.settlement", "apply"),
    Point(UPGRADE, AFTER, f"{_PLAN}.change", "_agree"),
    Point(UPGRADE, AFTER, f"{_STRIPE}.subscriptions", "make_price"),
    Point(UPGRADE, BEFORE, f"{_STRIPE}.subscriptions", "update"),
    Point(UPGRADE, AFTER, f"{_STRIPE}.subscriptions", "update"),
    Point(UPGRADE, AFTER, f"{_PLAN}.invoices", "_write"),
    Point(UPGRADE, AFTER, f"{_PLAN}.invoices", "_begin_period"),
    Point(UPGRADE, AFTER, "credits.purchases.settlement", "apply"),
    Point(DOWNGRADE, AFTER, f"{_PLAN}.change", "_agree"),
    Point(DOWNGRADE, BEFORE, f"{_STRIPE}.subscriptions", "update"),
    Point(DOWNGRADE, AFTER, f"{_STRIPE}.subscriptions", "update"),
    Point(CANCEL, BEFORE, f"{_STRIPE}.subscriptions", "update"),
    Point(CANCEL, AFTER, f"{_STRIPE}.subscriptions", "update"),
    Point(RENEW, AFTER, f"{_STRIPE}.subscriptions", "fetch"),
    Point(RENEW, AFTER, f"{_PLAN}.states", "apply"),
    Point(RENEW, AFTER, f"{_PLAN}.invoices", "_write"),
    Point(RENEW, AFTER, f"{_PLAN}.invoices", "_begin_period"),
    Point(RENEW, AFTER, "credits.purchases.settlement", "apply"),
    Point(PAST_DUE, AFTER, f"{_PLAN}.states", "apply"),
    Point(PAST_DUE, AFTER, f"{_PLAN}.following", "_tell_about_unpaid"),
    Point(END, AFTER, f"{_PLAN}.states", "_end_plan"),
    Point(END, AFTER, f"{_PLAN}.states", "apply"),
)
REFILL_POINTS = (
    Point(REFILL, AFTER, "credits.refills.claims", "_begin"),
    Point(REFILL, AFTER, "credits.refills.claims", "claim_due"),
    Point(REFILL, AFTER, "credits.refills.charging", "_catch_up"),
    Point(REFILL, BEFORE, f"{_STRIPE}.cards", "charge"),
    Point(REFILL, AFTER, f"{_STRIPE}.cards", "charge"),
    Point(REFILL, AFTER, "credits.refills.charging", "_note_intent"),
    Point(REFILL, AFTER, "credits.refills.ends", "_end"),
    Point(REFILL, AFTER, "credits.purchases.settlement", "apply"),
)
POINTS = PAYMENT_POINTS + PLAN_POINTS + REFILL_POINTS
