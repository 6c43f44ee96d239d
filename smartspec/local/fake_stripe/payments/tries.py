"""The payment itself: an intent meets a payment method."""

import copy
from dataclasses import dataclass, replace
from typing import Any

from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events, payment_methods
from smartspec.local.fake_stripe.objects.cards import Card, requires_authentication
from smartspec.local.fake_stripe.payments.charges import find_message, make_charge
from smartspec.local.fake_stripe.wire.refusals import CardRefused

Json = dict[str, Any]
SETTLE_SECONDS = 2  # After which a bank debit of a test account succeeds or fails.
NOT_SEEN = Card(code="authentication_required", decline_code="authentication_required")
BANK_REFUSED = Card(code="payment_intent_payment_attempt_failed")
NOT_AUTHENTICATED = Card(code="payment_intent_authentication_failure")


@dataclass(frozen=True)
class Result:
    """How a try ended: succeeded · requires_action · processing · failed, with its refusal."""

    status: str
    refusal: CardRefused | None = None


def pay(
    state: State,
    intent: Entry,
    method: Entry,
    *,
    off_session: bool = False,
    refuse_action: bool = False,
    keep_action: bool = False,
    authenticated: bool = False,
) -> Result:
    """Charge the payment method, or say what its bank wants first.

    Off session nobody can show themselves to the bank, so the payment fails; with `keep_action` it
    waits for them, as the payment of an invoice does.
    """
    intent.object["payment_method"] = method.id
    card = payment_methods.find_card(method)
    if card is None:
        return _await_bank(state, intent, method)
    if not authenticated and requires_authentication(
        card, off_session=off_session, is_saved=bool(method.hidden.get("was_shown"))
    ):
        if (off_session and not keep_action) or refuse_action:
            return fail(state, intent, method, replace(NOT_SEEN, number=card.number))
        return _require_action(state, intent)
    if card.code is not None:
        return fail(state, intent, method, card)
    succeed(state, intent, method, authenticated=authenticated)
    return Result("succeeded")


def _require_action(state: State, intent: Entry) -> Result:
    url = f"{state.origin}/3d_secure/{intent.id}"
    action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": None}}
    events.change(
        state,
        intent,
        "payment_intent.requires_action",
        status="requires_action",
        next_action=action,
    )
    return Result("requires_action")


def _await_bank(state: State, intent: Entry, method: Entry) -> Result:
    """Leave the payment to the bank, which tells the result later."""
    wait_for_bank(state, intent, method)
    if settles := method.hidden.get("settles"):
        state.schedule(state.now() + SETTLE_SECONDS, f"intent.{settles}", intent.id)
    return Result("processing")


def wait_for_bank(state: State, intent: Entry, method: Entry) -> None:
    events.change(
        state,
        intent,
        "payment_intent.processing",
        status="processing",
        payment_method=method.id,
        next_action=None,
    )


def succeed(state: State, intent: Entry, method: Entry, *, authenticated: bool = False) -> Entry:
    """Take the money: a charge, and the intent's end."""
    charge = make_charge(state, intent.object, method, refusal=None, authenticated=authenticated)
    if authenticated:
        method.hidden["was_shown"] = True
    if is_saved(intent.object, method) and intent.object["customer"]:
        payment_methods.attach(state, method, intent.object["customer"])
        method.hidden["was_shown"] = True
    events.change(
        state,
        intent,
        "payment_intent.succeeded",
        status="succeeded",
        amount_received=intent.object["amount"],
        latest_charge=charge.id,
        last_payment_error=None,
        next_action=None,
        payment_method=method.id,
    )
    card = payment_methods.find_card(method)
    if card is not None and card.afterwards:
        state.schedule(state.now(), f"charge.{card.afterwards}", charge.id)
    return charge


def is_saved(intent: Json, method: Entry) -> bool:
    """Return True if the payment method shall stay with the customer for later payments."""
    options = (intent["payment_method_options"] or {}).get(method.object["type"]) or {}
    usage = options.get("setup_future_usage") or intent["setup_future_usage"]
    return usage in ("off_session", "on_session")


def fail(state: State, intent: Entry, method: Entry, card: Card) -> Result:
    """Write a failed charge; the intent waits for another payment method."""
    charge = make_charge(state, intent.object, method, refusal=card, authenticated=False)
    error = {
        "charge": charge.id,
        "code": card.code,
        "decline_code": card.decline_code if card.decline_code != card.code else None,
        "message": find_message(card),
        "payment_method": method.object,
        "type": "card_error",
    }
    if card.code == "authentication_required":
        error["decline_code"] = card.decline_code
    events.change(
        state,
        intent,
        "payment_intent.payment_failed",
        status="requires_payment_method",
        last_payment_error={name: fact for name, fact in error.items() if fact is not None},
        latest_charge=charge.id,
        next_action=None,
        payment_method=None,
    )
    facts = {name: fact for name, fact in error.items() if name not in ("type", "message")}
    refusal = CardRefused(
        str(error["message"]), **facts, payment_intent=copy.deepcopy(intent.object)
    )
    return Result("failed", refusal)
