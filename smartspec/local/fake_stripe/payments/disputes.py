"""Disputes: a bank takes money back, or asks first (an inquiry)."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import balance, events
from smartspec.local.fake_stripe.payments import warnings
from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "dispute"
ANSWER_SECONDS = 9 * 24 * 3600
FEE = 1500
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
# What Stripe's documentation tells to write, and what becomes of the dispute then.
VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}
ENDS = ("won", "lost", "prevented", "warning_closed")


def open_dispute(
    state: State,
    charge: Entry,
    *,
    amount: int | None = None,
    reason: str = "fraudulent",
    status: str = "needs_response",
    withdraw: bool | None = None,
) -> Entry:
    """Open a dispute, or an inquiry (`warning_needs_response`), of a charge.

    The money is withdrawn at once unless it is an inquiry, or unless `withdraw` says otherwise.
    Raises RefusedAct if there is nothing that a bank could dispute.
    """
    obj = charge.object
    if obj["payment_method_details"]["type"] == "promptpay":
        raise RefusedAct("Payments by PromptPay cannot be disputed.")
    if not obj["paid"]:
        raise RefusedAct("What was never paid cannot be disputed.")
    is_inquiry = status.startswith("warning_")
    dispute = state.add(
        complete(
            stripe.Dispute,
            {
                "id": state.make_id("du"),
                "amount": obj["amount"] if amount is None else amount,
                "charge": charge.id,
                "created": state.now(),
                "currency": obj["currency"],
                "evidence": {"enhanced_evidence": {}},
                "evidence_details": _describe_evidence(state),
                "is_charge_refundable": is_inquiry,
                "livemode": obj["livemode"],
                "network_reason_code": "10.4",
                "payment_intent": obj["payment_intent"],
                "payment_method_details": _describe_card(obj, is_inquiry=is_inquiry),
                "reason": reason,
                "status": status,
            },
        )
    )
    obj["disputed"] = True
    events.emit(state, "charge.dispute.created", dispute)
    if not is_inquiry if withdraw is None else withdraw:
        withdraw_funds(state, dispute)
    warnings.forget_warnings(state, charge)
    return dispute


def _describe_evidence(state: State) -> Json:
    return {
        "due_by": state.now() + ANSWER_SECONDS,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
        "submission_method": "not_submitted",
    }


def _describe_card(charge: Json, *, is_inquiry: bool) -> Json:
    card = (charge["payment_method_details"] or {}).get("card") or {}
    described = {
        "brand": card.get("brand") or "visa",
        "case_type": "inquiry" if is_inquiry else "chargeback",
        "network": card.get("brand") or "visa",
        "network_reason_code": "10.4",
    }
    return {"type": "card", "card": described}


def withdraw_funds(state: State, dispute: Entry, amount: int | None = None) -> None:
    """Take the money, or a part that comes later. The dispute is no inquiry any more."""
    obj = dispute.object
    taken = balance.move_money(
        state,
        amount=-(obj["amount"] if amount is None else amount),
        currency=obj["currency"],
        type="adjustment",
        source=dispute.id,
        fee=0 if obj["balance_transactions"] else FEE,
    )
    obj["balance_transactions"].append(taken.object)
    obj["is_charge_refundable"] = False
    if obj["status"].startswith("warning_"):
        obj["status"] = "needs_response"
    events.emit(state, "charge.dispute.funds_withdrawn", dispute)


def reinstate_funds(state: State, dispute: Entry, amount: int | None = None) -> None:
    """Give back what was taken, or a part of it. Raises RefusedAct if nothing is out."""
    obj = dispute.object
    out = -sum(one["amount"] for one in obj["balance_transactions"])
    back = out if amount is None else amount
    if not 0 < back <= out:
        raise RefusedAct(f"The dispute {dispute.id} has {out} to give back, not {back}.")
    given = balance.move_money(
        state,
        amount=back,
        currency=obj["currency"],
        type="adjustment",
        source=dispute.id,
    )
    obj["balance_transactions"].append(given.object)
    events.emit(state, "charge.dispute.funds_reinstated", dispute)


def end_dispute(state: State, dispute: Entry, status: str) -> None:
    """Close a dispute as won, lost, prevented or warning_closed. Raises RefusedAct.

    Money that was withdrawn comes back if it is won, as with Stripe; else it stays away.
    """
    if dispute.object["status"] not in OPEN or status not in ENDS:
        raise RefusedAct(f"A dispute that is {dispute.object['status']} cannot become {status}.")
    out = sum(one["amount"] for one in dispute.object["balance_transactions"])
    previous = {"status": dispute.object["status"]}
    dispute.object["status"] = status
    dispute.object["is_charge_refundable"] = status in ("won", "warning_closed")
    events.emit(state, "charge.dispute.updated", dispute, previous=previous)
    events.emit(state, "charge.dispute.closed", dispute, previous=previous)
    if status == "won" and out < 0:
        reinstate_funds(state, dispute)


def retrieve_dispute(call: Call) -> Entry:
    return call.get_named(KIND)


def update_dispute(call: Call) -> Entry:
    """Answer a dispute. With `submit` it is under review."""
    dispute, given = call.get_named(KIND), call.params
    if dispute.object["status"] not in OPEN:
        raise RefusedAct("This dispute is already closed.")
    dispute.object["metadata"] = merge_metadata(dispute.object["metadata"], given.get("metadata"))
    if evidence := given.get("evidence"):
        dispute.object["evidence"].update(evidence)
        dispute.object["evidence_details"]["has_evidence"] = True
    if evidence and given.get("submit", True):
        dispute.object["evidence_details"]["submission_count"] += 1
        dispute.object["status"] = dispute.object["status"].replace(
            "needs_response", "under_review"
        )
        verdict = VERDICTS.get(evidence.get("uncategorized_text", ""))
        if verdict:
            end_dispute(call.state, dispute, verdict)
            return dispute
    events.emit(call.state, "charge.dispute.updated", dispute, previous={})
    return dispute


def close_dispute(call: Call) -> Entry:
    """Accept that a dispute is lost."""
    dispute = call.get_named(KIND)
    end_dispute(call.state, dispute, "lost")
    return dispute


def list_disputes(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/disputes", filters=("charge", "payment_intent"))
