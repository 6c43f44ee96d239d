"""`/v1/payment_pages`: what Stripe's own page and its CLI use. It is in no SDK."""

from typing import Any

from smartspec.local.fake_stripe.checkout import buying
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry
from smartspec.local.fake_stripe.objects import payment_methods
from smartspec.local.fake_stripe.wire.refusals import RefusedAct, UnknownObject

Json = dict[str, Any]


def retrieve_page(call: Call) -> Json:
    session = _find_session(call)
    return _describe(session)


def _find_session(call: Call) -> Entry:
    """Return the session by its own id or by that of its page."""
    object_id = call.ids[0]
    for session in call.state.select("checkout.session", livemode=call.livemode):
        if object_id in (session.id, session.hidden["page"]):
            return session
    raise UnknownObject(f"No such payment_page: '{object_id}'", param="id")


def _describe(session: Entry) -> Json:
    return {
        "id": session.hidden["page"],
        "object": "checkout.session",
        "session_id": session.id,
        "currency": session.object["currency"],
        "livemode": session.object["livemode"],
        "mode": session.object["mode"],
        "payment_status": session.object["payment_status"],
        "status": session.object["status"],
        "total_summary": {
            "due": session.object["amount_total"],
            "subtotal": session.object["amount_subtotal"],
            "total": session.object["amount_total"],
        },
    }


def confirm_page(call: Call) -> Json:
    """Pay a session, as its page does. Raises CardRefused."""
    session = _find_session(call)
    expected = call.params.get("expected_amount")
    if expected is not None and expected != session.object["amount_total"]:
        raise RefusedAct(
            "The expected amount does not match the amount of the session.",
            code="checkout_amount_mismatch",
        )
    method = payment_methods.take_method(call, call.params["payment_method"])
    result = buying.pay_session(call.state, session, method)
    if result.refusal:
        raise result.refusal
    return _describe(session)
