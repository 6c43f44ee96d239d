"""Collecting an open invoice: payments off session, and when they are tried again."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.billing import invoices
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.payments import intents, tries
from smartspec.local.fake_stripe.payments.tries import Result
from smartspec.local.fake_stripe.wire.refusals import CardRefused
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
DAY = 24 * 3600
RETRY_DAYS = (3, 5, 7)  # After the first try of a renewal.


def attempt(state: State, invoice: Entry, method: Entry | None, *, here: bool = False) -> Result:
    """Try to pay an open invoice; `here`: its buyer is on the page. An amount of 0 is paid."""
    obj = invoice.object
    if obj["amount_due"] == 0:
        settle(state, invoice, None)
        return Result("succeeded")
    intent = find_or_make_intent(state, invoice)
    if method is None:
        refusal = CardRefused(
            "This customer has no attached payment source or default payment method.",
            code="resource_missing",
        )
        result = Result("failed", refusal)
    else:
        result = tries.pay(state, intent, method, off_session=not here, keep_action=True)
    obj["attempted"] = True
    if result.status == "succeeded":
        settle(state, invoice, intent)
        return result
    obj["attempt_count"] += 1
    _tell_failure(state, invoice, result)
    return result


def _tell_failure(state: State, invoice: Entry, result: Result) -> None:
    if result.status == "requires_action":
        events.emit(state, "invoice.payment_action_required", invoice)
    events.emit(state, "invoice.payment_failed", invoice)


def find_or_make_intent(state: State, invoice: Entry) -> Entry:
    """Return the intent of an invoice; there is one, however often it is tried."""
    if intent := state.find("payment_intent", invoice.hidden.get("intent")):
        return intent
    obj = invoice.object
    intent = intents.make_intent(
        state,
        livemode=obj["livemode"],
        amount=obj["amount_due"],
        currency=obj["currency"],
        customer=obj["customer"],
        description=DESCRIPTIONS.get(obj["billing_reason"], "Payment for Invoice"),
        payment_method_types=["card"],
        setup_future_usage="off_session" if obj["parent"] else None,
    )
    join(state, invoice, intent)
    return intent


DESCRIPTIONS = {
    "subscription_create": "Subscription creation",
    "subscription_cycle": "Subscription update",
    "subscription_update": "Subscription update",
}


def join(state: State, invoice: Entry, intent: Entry) -> Entry:
    """Write which intent pays which invoice: the only way from one to the other."""
    invoice.hidden["intent"] = intent.id
    intent.hidden["invoice"] = invoice.id
    return state.add(
        complete(
            stripe.InvoicePayment,
            {
                "id": state.make_id("inpay"),
                "amount_requested": invoice.object["amount_due"],
                "created": state.now(),
                "currency": invoice.object["currency"],
                "invoice": invoice.id,
                "is_default": True,
                "livemode": invoice.object["livemode"],
                "payment": {"type": "payment_intent", "payment_intent": intent.id},
                "status": "open",
                "status_transitions": {},
            },
        )
    )


def settle(state: State, invoice: Entry, intent: Entry | None) -> None:
    """Write that an invoice was paid, with the payment that did it."""
    for payment in state.select("invoice_payment", invoice=invoice.id, status="open"):
        payment.object.update(status="paid", amount_paid=payment.object["amount_requested"])
        payment.object["status_transitions"]["paid_at"] = state.now()
        events.emit(state, "invoice_payment.paid", payment)
    invoices.mark_paid(state, invoice)


def plan_retry(state: State, invoice: Entry) -> bool:
    """Plan the next try of a renewal; return False if there is none any more."""
    obj = invoice.object
    tried = obj["attempt_count"]
    if tried > len(RETRY_DAYS):
        obj["next_payment_attempt"] = None
        return False
    wait = RETRY_DAYS[tried - 1] - (RETRY_DAYS[tried - 2] if tried > 1 else 0)
    obj["next_payment_attempt"] = state.now() + wait * DAY
    state.schedule(obj["next_payment_attempt"], "invoice.retry", invoice.id)
    return True


def find_method(state: State, invoice: Entry) -> Entry | None:
    """Return what pays: of the invoice, of the subscription, of the customer."""
    obj = invoice.object
    found = [obj["default_payment_method"]]
    if obj["parent"]:
        name = obj["parent"]["subscription_details"]["subscription"]
        found.append(state.get("subscription", name).object["default_payment_method"])
    customer = state.get("customer", obj["customer"]).object
    found.append((customer.get("invoice_settings") or {}).get("default_payment_method"))
    names = [name for name in found if name]
    return state.find("payment_method", names[0]) if names else None
