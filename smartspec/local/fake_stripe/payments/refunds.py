"""Refunds: of cards at once, of PromptPay when the buyer has named a bank account."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import balance, events
from smartspec.local.fake_stripe.objects.cards import CARDS, Card
from smartspec.local.fake_stripe.payments import warnings
from smartspec.local.fake_stripe.wire.money import format_amount
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "refund"
IN_FORCE = ("succeeded", "pending", "requires_action")
LATER_SECONDS = 5  # After which the refund of the test card pendingRefund succeeds.


def create_refund(call: Call) -> Entry:
    """Refund all that is left of a charge, or `amount`. Raises RefusedAct."""
    given = call.params
    charge = _find_charge(call)
    amount = given.get("amount", charge.object["amount"] - charge.object["amount_refunded"])
    _check_refund(call.state, charge, given.get("amount"))
    return make_refund(
        call.state,
        charge,
        amount,
        reason=given.get("reason"),
        metadata=merge_metadata({}, given.get("metadata")),
        instructions_email=given.get("instructions_email"),
    )


def _find_charge(call: Call) -> Entry:
    if charge := call.find_param("charge", "charge"):
        return charge
    intent = call.find_param("payment_intent", "payment_intent")
    if intent is None:
        raise InvalidRequest(
            "One of the following params should be provided for this request: payment_intent or"
            " charge."
        )
    if intent.object["status"] != "succeeded":
        raise RefusedAct(
            f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        )
    return call.get("charge", intent.object["latest_charge"], param="payment_intent")


def _check_refund(state: State, charge: Entry, amount: int | None) -> None:
    """Raises RefusedAct in the order in which Stripe looks."""
    obj = charge.object
    left = obj["amount"] - obj["amount_refunded"]
    if not obj["paid"]:
        raise RefusedAct(f"Charge {charge.id} has not been paid and cannot be refunded.")
    if left <= 0:
        raise RefusedAct(
            f"Charge {charge.id} has already been refunded.", code="charge_already_refunded"
        )
    if _is_disputed(state, charge):
        raise RefusedAct(
            f"Charge {charge.id} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if amount is not None and amount < 1:
        raise InvalidRequest(
            "Invalid positive integer", param="amount", code="parameter_invalid_integer"
        )
    if amount is not None and amount > left:
        raise RefusedAct(
            f"Refund amount ({format_amount(amount, obj['currency'])}) is greater than"
            f" unrefunded amount on charge ({format_amount(left, obj['currency'])})",
            param="amount",
        )


def _is_disputed(state: State, charge: Entry) -> bool:
    """Return True if a dispute, no mere inquiry, was ever opened and was not won."""
    disputes = state.select("dispute", charge=charge.id)
    return any(not one.object["is_charge_refundable"] for one in disputes)


def make_refund(state: State, charge: Entry, amount: int, **values: Any) -> Entry:
    """Write a refund with its events, in the status that the payment method begins with."""
    obj = charge.object
    method = state.find("payment_method", obj["payment_method"])
    card = CARDS.get(method.hidden.get("card") or "") if method else None
    status, values = _choose_beginning(card, obj, values)
    refund = state.add(
        complete(
            stripe.Refund,
            {
                "id": state.make_id("re"),
                "amount": amount,
                "charge": charge.id,
                "created": state.now(),
                "currency": obj["currency"],
                "customer": obj["customer"],
                "metadata": {},
                "payment_intent": obj["payment_intent"],
                "payment_method": obj["payment_method"],
                "status": status,
                **values,
            },
        ),
        livemode=obj["livemode"],
    )
    if status != "requires_action":
        _take_money(state, refund)
    _count(state, charge)
    events.emit(state, "refund.created", refund)
    events.emit(state, "charge.refunded", charge)
    _plan(state, refund, card)
    warnings.forget_warnings(state, charge)
    return refund


def _choose_beginning(card: Card | None, charge: Json, values: Json) -> tuple[str, Json]:
    if card is None:
        email = values.get("instructions_email") or charge["billing_details"]["email"]
        action = {
            "type": "display_details",
            "display_details": {
                "email_sent": {"email_sent_at": charge["created"], "email_sent_to": email or ""},
                "expires_at": charge["created"] + 45 * 24 * 3600,
            },
        }
        return "requires_action", {
            **values,
            "instructions_email": email,
            "next_action": action,
            "destination_details": {"type": "th_bank_transfer", "th_bank_transfer": {}},
        }
    described = {
        "type": "card",
        "card": {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        },
    }
    status = "pending" if card.refund == "pending" else "succeeded"
    reason = {"pending_reason": "processing"} if status == "pending" else {}
    kept = {name: value for name, value in values.items() if name != "instructions_email"}
    return status, {**kept, **reason, "destination_details": described}


def _plan(state: State, refund: Entry, card: Card | None) -> None:
    if card is not None and card.refund == "pending":
        state.schedule(state.now() + LATER_SECONDS, "refund.succeeded", refund.id)
    if card is not None and card.refund == "failed":
        state.schedule(state.now() + LATER_SECONDS, "refund.failed", refund.id)


def _take_money(state: State, refund: Entry) -> None:
    refund.object["balance_transaction"] = balance.move_money(
        state,
        amount=-refund.object["amount"],
        currency=refund.object["currency"],
        type="refund",
        source=refund.id,
    ).id


def _count(state: State, charge: Entry) -> None:
    """Write what is refunded onto the charge: refunds that failed or were cancelled are not."""
    refunds = state.select(KIND, charge=charge.id)
    amount = sum(one.object["amount"] for one in refunds if one.object["status"] in IN_FORCE)
    charge.object["amount_refunded"] = amount
    charge.object["refunded"] = amount >= charge.object["amount"]


def settle_refund(state: State, refund: Entry, status: str, reason: str | None = None) -> None:
    """Change the status of a refund: succeeded, failed or canceled, also after it succeeded."""
    obj = refund.object
    if obj["status"] == status or obj["status"] in ("failed", "canceled"):
        raise RefusedAct(f"This refund is {obj['status']} and cannot become {status}.")
    values: Json = {"status": status, "next_action": None, "pending_reason": None}
    if status == "succeeded" and obj["balance_transaction"] is None:
        _take_money(state, refund)
    if status != "succeeded":
        values["failure_reason"] = (reason or "unknown") if status == "failed" else None
        values["failure_balance_transaction"] = _bring_back(state, refund)
    previous = {name: obj[name] for name, value in values.items() if obj[name] != value}
    obj.update(values)
    charge = state.get("charge", obj["charge"])
    _count(state, charge)
    events.emit(state, "refund.updated", refund, previous=previous)
    events.emit(state, "charge.refund.updated", refund, previous=previous)
    if status == "failed":
        events.emit(state, "refund.failed", refund)


def _bring_back(state: State, refund: Entry) -> str | None:
    """Book the money that comes back, if any had gone."""
    if refund.object["balance_transaction"] is None:
        return None
    return balance.move_money(
        state,
        amount=refund.object["amount"],
        currency=refund.object["currency"],
        type="refund_failure",
        source=refund.id,
    ).id


def cancel_refund(call: Call) -> Entry:
    refund = call.get_named(KIND)
    if refund.object["status"] != "requires_action":
        raise RefusedAct(
            f"This refund has a status of {refund.object['status']} and cannot be canceled."
        )
    settle_refund(call.state, refund, "canceled")
    return refund


def retrieve_refund(call: Call) -> Entry:
    return call.get_named(KIND)


def update_refund(call: Call) -> Entry:
    refund = call.get_named(KIND)
    merged = merge_metadata(refund.object["metadata"], call.params.get("metadata"))
    for type in ("refund.updated", "charge.refund.updated"):
        events.change(call.state, refund, type, metadata=merged)
    return refund


def list_refunds(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/refunds", filters=("charge", "payment_intent"))
