"""What a buyer does on the page of a checkout session, and what follows from it."""

from typing import Any

from smartspec.local.fake_stripe.billing import invoices, subscriptions
from smartspec.local.fake_stripe.checkout import line_items, setups
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import customers, events
from smartspec.local.fake_stripe.payments import intents, tries
from smartspec.local.fake_stripe.payments.tries import Result
from smartspec.local.fake_stripe.wire.refusals import RefusedAct

Json = dict[str, Any]


def pay_session(
    state: State, session: Entry, method: Entry, *, authenticated: bool = False
) -> Result:
    """Try to pay an open session with this method. Raises RefusedAct if it is not open."""
    check_open(session)
    if method.object["type"] not in session.object["payment_method_types"]:
        raise RefusedAct("This Checkout Session does not take this type of payment method.")
    _note_buyer(state, session, method)
    if session.object["mode"] == "setup":
        return _save_card(state, session, method)
    intent = find_or_make_intent(state, session)
    result = tries.pay(state, intent, method, authenticated=authenticated)
    if result.status == "succeeded":
        if session.object["mode"] == "subscription":
            _start_subscription(state, session, intent, method)
        complete_session(state, session, "paid")
    elif result.status == "processing":
        complete_session(state, session, "unpaid")
    return result


def _save_card(state: State, session: Entry, method: Entry) -> Result:
    result = setups.save_card(state, session, method)
    if result.status == "succeeded":
        complete_session(state, session, "no_payment_required")
    return result


def pay_by_promptpay(state: State, session: Entry, method: Entry, *, now: bool) -> None:
    """The buyer scanned the code: the money is there now, or their bank takes its time."""
    check_open(session)
    _note_buyer(state, session, method)
    intent = find_or_make_intent(state, session)
    if now:
        tries.succeed(state, intent, method)
    else:
        tries.wait_for_bank(state, intent, method)
    complete_session(state, session, "paid" if now else "unpaid")


def check_open(session: Entry) -> None:
    if session.object["status"] != "open":
        raise RefusedAct(
            f"This Checkout Session is {session.object['status']}.",
            code="checkout_session_not_open",
        )


def _note_buyer(state: State, session: Entry, method: Entry) -> None:
    """Write what the page asked of the buyer; with automatic tax, the tax of their place."""
    obj, billing = session.object, method.object["billing_details"]
    customer = state.find("customer", obj["customer"])
    known = customer.object if customer else {}
    obj["customer_details"] = {
        "address": billing["address"] or {"country": "TH"},
        "business_name": None,
        "email": known.get("email") or obj["customer_email"] or billing["email"],
        "individual_name": None,
        "name": billing["name"],
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    if obj["automatic_tax"]["status"] == "requires_location_inputs":
        tax = line_items.add_tax(session.hidden["items"])
        obj["automatic_tax"]["status"] = "complete"
        obj["total_details"]["amount_tax"] = tax
        obj["amount_total"] = sum(item["amount_total"] for item in session.hidden["items"])


def find_or_make_intent(state: State, session: Entry) -> Entry:
    """Return the intent of the session, which is made at the first try to pay."""
    obj, data = session.object, session.hidden["intent_data"]
    if intent := state.find("payment_intent", session.hidden.get("intent")):
        return intent
    recurs = obj["mode"] == "subscription"
    if obj["customer"] is None and (recurs or obj["customer_creation"] == "always"):
        _make_customer(state, session)
    intent = intents.make_intent(
        state,
        livemode=obj["livemode"],
        amount=obj["amount_total"],
        currency=obj["currency"],
        customer=obj["customer"],
        description="Subscription creation" if recurs else data.get("description"),
        metadata=dict(data.get("metadata") or {}),
        payment_method_options=_choose_options(obj["payment_method_options"] or {}),
        payment_method_types=list(obj["payment_method_types"]),
        receipt_email=data.get("receipt_email"),
        setup_future_usage="off_session" if recurs else data.get("setup_future_usage"),
        shipping=data.get("shipping"),
    )
    intent.hidden["session"] = session.id
    session.hidden["intent"] = intent.id
    if not recurs:  # The payment of a subscription is found through its invoice.
        obj["payment_intent"] = intent.id
    return intent


def _choose_options(given: Json) -> Json:
    """Return what an intent knows of the options of its session."""
    known = ("request_three_d_secure", "setup_future_usage")
    options = {
        type: {name: values[name] for name in known if values.get(name) is not None}
        for type, values in given.items()
    }
    return {**options, "card": {"request_three_d_secure": "automatic", **options.get("card", {})}}


def _make_customer(state: State, session: Entry) -> None:
    details = session.object["customer_details"]
    customer = customers.make_customer(
        state,
        livemode=session.object["livemode"],
        email=details["email"],
        name=details["name"],
    )
    session.object["customer"] = customer.id


def _start_subscription(state: State, session: Entry, intent: Entry, method: Entry) -> None:
    """Begin the subscription that the session sold; lines that do not recur are paid once."""
    obj, data = session.object, session.hidden["subscription_data"]
    items = session.hidden["items"]
    now = (state.now(), state.now())
    once = [
        invoices.make_line(
            state,
            amount=item["amount_subtotal"],
            currency=item["currency"],
            description=item["description"],
            period=now,
            livemode=obj["livemode"],
            price=item["price"],
            quantity=item["quantity"],
        )
        for item in items
        if item["price"]["recurring"] is None
    ]
    subscription = subscriptions.start_paid(
        state,
        state.get("customer", obj["customer"]),
        [(item["price"], item["quantity"]) for item in items if item["price"]["recurring"]],
        once,
        intent=intent,
        automatic_tax={"enabled": obj["automatic_tax"]["enabled"]},
        default_payment_method=method.id,
        description=data.get("description"),
        metadata=dict(data.get("metadata") or {}),
    )
    obj["subscription"] = subscription.id
    obj["invoice"] = subscription.object["latest_invoice"]


def complete_session(state: State, session: Entry, payment_status: str) -> None:
    session.object.update(status="complete", payment_status=payment_status, url=None)
    events.emit(state, "checkout.session.completed", session)


def settle_intent(state: State, intent: Entry, outcome: str) -> None:
    """The bank tells how a payment ended that was processing: succeeded or failed."""
    if intent.object["status"] != "processing":
        raise RefusedAct(f"This PaymentIntent is {intent.object['status']}, not processing.")
    method = state.get("payment_method", intent.object["payment_method"])
    session = state.find("checkout.session", intent.hidden.get("session"))
    if outcome == "succeeded":
        tries.succeed(state, intent, method)
        if session:
            session.object["payment_status"] = "paid"
            events.emit(state, "checkout.session.async_payment_succeeded", session)
        return
    tries.fail(state, intent, method, tries.BANK_REFUSED)
    if session:
        events.emit(state, "checkout.session.async_payment_failed", session)


def end_challenge(state: State, session: Entry, *, passed: bool) -> Result:
    """The buyer passed the check of their bank, or did not."""
    intent = state.get("payment_intent", session.hidden.get("intent"))
    if intent.object["status"] != "requires_action":
        raise RefusedAct(f"This PaymentIntent is {intent.object['status']}.")
    method = state.get("payment_method", intent.object["payment_method"])
    if passed:
        return pay_session(state, session, method, authenticated=True)
    return tries.fail(state, intent, method, tries.NOT_AUTHENTICATED)
