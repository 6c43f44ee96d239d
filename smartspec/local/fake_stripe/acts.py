"""The acts behind the controls. Ids of charges, intents and sessions all name a payment."""

from collections.abc import Callable
from typing import Any

from smartspec.local.fake_stripe import clockwork
from smartspec.local.fake_stripe.checkout import buying
from smartspec.local.fake_stripe.memory import webhooks
from smartspec.local.fake_stripe.memory.faults import KINDS, Fault
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import cards, payment_methods
from smartspec.local.fake_stripe.payments import disputes, refunds, warnings
from smartspec.local.fake_stripe.wire.refusals import RefusedAct, UnknownObject

Json = dict[str, Any]


def find_charge(state: State, object_id: str) -> Entry:
    """Return the last charge of a charge, an intent or a session. Raises UnknownObject."""
    return state.get("charge", find_intent(state, object_id).object["latest_charge"])


def find_intent(state: State, object_id: str) -> Entry:
    entry = state.find_any(object_id)
    if entry is not None and entry.object["object"] in ("charge", "checkout.session"):
        entry = state.find("payment_intent", entry.object["payment_intent"])
    if entry is None or entry.object["object"] != "payment_intent":
        raise UnknownObject(f"There is no payment of {object_id}.")
    return entry


def pay(state: State, session: str, card: str = "visa", **options: Any) -> Json:
    """Pay a session with a test card, by name (`visa`, `chargeDeclined`) or number.

    `authenticate`: what the buyer does if the bank asks: true, false, or null to leave it open.
    """
    name = cards.find_number(card) or (card if card in cards.CARDS else None)
    if name is None:
        raise RefusedAct(f"There is no test card {card}.")
    entry = state.get("checkout.session", session)
    method = payment_methods.make_method(
        state,
        type="card",
        card=name,
        livemode=bool(entry.livemode),
        billing_details={"email": options.get("email"), "name": options.get("name")},
    )
    result = buying.pay_session(state, entry, method)
    if result.status == "requires_action" and options.get("authenticate", True) is not None:
        buying.end_challenge(state, entry, passed=options.get("authenticate", True))
    return entry.object


def pay_promptpay(state: State, session: str, outcome: str = "succeeded") -> Json:
    """Pay a session by PromptPay: succeeded at once, or processing."""
    entry = state.get("checkout.session", session)
    method = payment_methods.make_method(
        state,
        type="promptpay",
        livemode=bool(entry.livemode),
        billing_details={"email": "buyer@example.com"},
    )
    buying.pay_by_promptpay(state, entry, method, now=outcome == "succeeded")
    return entry.object


def settle(state: State, payment: str, outcome: str = "succeeded") -> Json:
    """Let the bank tell how a payment that is processing ended: succeeded or failed."""
    intent = find_intent(state, payment)
    buying.settle_intent(state, intent, outcome)
    return intent.object


def dispute(state: State, payment: str, **options: Any) -> Json:
    """Dispute a payment; `status` warning_needs_response makes an inquiry."""
    return disputes.open_dispute(state, find_charge(state, payment), **options).object


def withdraw(state: State, dispute: str, amount: int | None = None) -> Json:
    entry = state.get("dispute", dispute)
    disputes.withdraw_funds(state, entry, amount)
    return entry.object


def reinstate(state: State, dispute: str, amount: int | None = None) -> Json:
    entry = state.get("dispute", dispute)
    disputes.reinstate_funds(state, entry, amount)
    return entry.object


def end_dispute(state: State, dispute: str, status: str) -> Json:
    entry = state.get("dispute", dispute)
    disputes.end_dispute(state, entry, status)
    return entry.object


def warn(state: State, payment: str) -> Json:
    """Send an early fraud warning."""
    return warnings.make_warning(state, find_charge(state, payment)).object


def refund(
    state: State, payment: str, amount: int | None = None, reason: str | None = None
) -> Json:
    """Refund from Stripe's dashboard: without our metadata."""
    charge = find_charge(state, payment)
    left = charge.object["amount"] - charge.object["amount_refunded"]
    return refunds.make_refund(state, charge, amount or left, reason=reason).object


def settle_refund(
    state: State, refund: str, status: str = "succeeded", reason: str | None = None
) -> Json:
    entry = state.get("refund", refund)
    refunds.settle_refund(state, entry, status, reason)
    return entry.object


def advance(state: State, seconds: int) -> Json:
    clockwork.advance(state, int(seconds))
    return {"now": state.now()}


def set_dunning(state: State, end: str) -> Json:
    """Set what becomes of a subscription whose last try to pay failed."""
    if end not in ("cancel", "unpaid", "past_due"):
        raise RefusedAct("A subscription can end as cancel, unpaid or past_due.")
    state.dunning_end = end
    return {"end": end}


def set_faults(state: State, kind: str, **options: Any) -> Json:
    """Queue a fault of the API's next answers; `none` forgets those that wait."""
    if kind == "none":
        state.faults.waiting.clear()
    elif kind not in KINDS:
        raise RefusedAct(f"There is no fault {kind}. There are: none, {', '.join(KINDS)}.")
    else:
        state.faults.waiting.append(Fault(kind, **options))
    return {"faults": [vars(fault) for fault in state.faults.waiting]}


def set_webhooks(state: State, **options: Any) -> Json:
    """Set how webhooks are sent: hold, lose, duplicates, delay_seconds, reverse."""
    for name, value in options.items():
        if name not in vars(state.webhook_faults):
            raise RefusedAct(f"There is no {name} of webhooks.")
        setattr(state.webhook_faults, name, value)
    return vars(state.webhook_faults)


def list_deliveries(state: State, status: str | None = None) -> Json:
    facts = {"status": status} if status else {}
    return {"deliveries": [one.object for one in state.select(webhooks.KIND, **facts)]}


def send_again(state: State, event: str) -> Json:
    """Queue an event once more for every endpoint that wants it."""
    return {"queued": webhooks.queue_event(state, state.get("event", event))}


def revoke_key(state: State, key: str) -> Json:
    state.revoked_keys.add(key)
    return {"revoked": len(state.revoked_keys)}


def show_state(state: State) -> Json:
    kinds = {kind: len(entries) for kind, entries in state.entries.items()}
    return {"now": state.now(), "objects": kinds, "due": len(state.due)}


ACTS: dict[str, Callable[..., Json]] = {
    "advance": advance,
    "deliveries": list_deliveries,
    "dispute": dispute,
    "dunning": set_dunning,
    "end_dispute": end_dispute,
    "faults": set_faults,
    "pay": pay,
    "pay_promptpay": pay_promptpay,
    "refund": refund,
    "reinstate": reinstate,
    "revoke_key": revoke_key,
    "send_again": send_again,
    "settle": settle,
    "settle_refund": settle_refund,
    "state": show_state,
    "warn": warn,
    "webhooks": set_webhooks,
    "withdraw": withdraw,
}
