"""What Stripe says about a payment, in our words. Pure functions of Stripe's objects."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from credits.models import Purchase
from credits.models.purchases import PurchaseState

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of a payment at Stripe. `total` is in minor units; None if nothing is known.

    `tax` is the part of the total that Stripe added to the agreed price (TAX_MODE=stripe).

    `reference` is the public_id of the purchase that Stripe names. `problem` is why a paid payment
    may not give credits, or why it failed.
    """

    state: PurchaseState
    payment_intent: str = ""
    invoice: str = ""
    total: int | None = None
    tax: int = 0
    currency: str = ""
    livemode: bool = False
    reference: str = ""
    method: str = ""
    paid_at: datetime | None = None
    problem: str = ""


def read_session(session: Object) -> Finding:
    """Read a Checkout session with its expanded PaymentIntent and latest charge."""
    intent = as_object(session.get("payment_intent"))
    charge = as_object(intent.get("latest_charge"))
    state = _choose_state(session, intent)
    return Finding(
        state=state,
        payment_intent=intent.get("id", ""),
        total=_read_total(session, intent),
        tax=read_added_tax(session),
        currency=session.get("currency") or "",
        livemode=session["livemode"],
        reference=session.get("client_reference_id") or "",
        method=_read_method(charge),
        paid_at=_read_time(charge.get("created")) if state == PurchaseState.PAID else None,
        problem=_find_problem(session, intent, state),
    )


def read_intent(intent: Object) -> Finding:
    """Read a PaymentIntent that was made without Checkout, with its latest charge expanded."""
    charge = as_object(intent.get("latest_charge"))
    state = INTENT_STATES.get(intent["status"], PurchaseState.PROCESSING)
    return Finding(
        state=state,
        payment_intent=intent["id"],
        total=intent["amount_received"] if state == PurchaseState.PAID else intent["amount"],
        currency=intent["currency"],
        livemode=intent["livemode"],
        reference=(intent.get("metadata") or {}).get("purchase", ""),
        method=_read_method(charge),
        paid_at=_read_time(charge.get("created")) if state == PurchaseState.PAID else None,
        problem=read_decline(intent),
    )


INTENT_STATES = {
    "succeeded": PurchaseState.PAID,
    "processing": PurchaseState.PROCESSING,
    "requires_payment_method": PurchaseState.FAILED,
    "requires_action": PurchaseState.FAILED,
    "canceled": PurchaseState.FAILED,
}


def find_differences(purchase: Purchase, finding: Finding) -> Iterator[str]:
    """Yield what differs between a paid payment and what was agreed, for the operator."""
    if finding.problem:
        yield finding.problem
    without_tax = None if finding.total is None else finding.total - finding.tax
    if without_tax != purchase.total:
        yield f"The total is {without_tax!r} at Stripe and was agreed as {purchase.total!r}."
    agreed = {
        "currency": purchase.currency,
        "livemode": purchase.livemode,
        "reference": purchase.public_id,
    }
    for name, value in agreed.items():
        if (found := getattr(finding, name)) != value:
            yield f"The {name} is {found!r} at Stripe and was agreed as {value!r}."


def as_object(value: Any) -> Object:
    """Return an expanded object, {"id": …} for one that is only named, {} for none."""
    if isinstance(value, str):
        return {"id": value}
    return value or {}


def read_decline(intent: Object) -> str:
    """Return why the last try to pay failed, in Stripe's words; empty if none did."""
    error = intent.get("last_payment_error") or {}
    return str(error.get("decline_code") or error.get("code") or error.get("type") or "")


def _choose_state(session: Object, intent: Object) -> PurchaseState:
    """A session is complete before a slow method was paid, and may end just as it is paid."""
    if session.get("payment_status") == "paid" or intent.get("status") == "succeeded":
        return PurchaseState.PAID
    if session["status"] == "expired":
        return PurchaseState.EXPIRED
    if session["status"] == "open":
        return PurchaseState.OPEN
    if session.get("payment_status") == "no_payment_required":
        return PurchaseState.REVIEW
    has_failed = intent.get("status") in ("requires_payment_method", "canceled")
    return PurchaseState.FAILED if has_failed else PurchaseState.PROCESSING


def _read_total(session: Object, intent: Object) -> int | None:
    received = intent.get("amount_received") if intent.get("status") == "succeeded" else None
    return session.get("amount_total") if received is None else received


def read_added_tax(session: Object) -> int:
    """Return the tax that Stripe added; 0 if it is inside the price, or there is none."""
    if not (session.get("automatic_tax") or {}).get("enabled"):
        return 0
    return int((session.get("amount_total") or 0) - (session.get("amount_subtotal") or 0))


def _find_problem(session: Object, intent: Object, state: PurchaseState) -> str:
    if state == PurchaseState.REVIEW:
        return "Stripe's page asked for no payment."
    if state == PurchaseState.FAILED:
        return read_decline(intent)
    if state != PurchaseState.PAID:
        return ""
    if not intent.get("id"):
        return "The session is paid without a PaymentIntent."
    if (total := _read_total(session, intent)) != session.get("amount_total"):
        return f"{total} came of {session.get('amount_total')}."
    return ""


def _read_method(charge: Object) -> str:
    return str((charge.get("payment_method_details") or {}).get("type") or "")


def _read_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
