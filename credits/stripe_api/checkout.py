"""Calls to Stripe about Checkout sessions: the page on which one payment is made."""

from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams


def open_session(parameters: "SessionCreateParams", *, key: str) -> Answer:
    """Open a session. The same key with the same parameters opens it once."""
    return ask(
        lambda client: client.v1.checkout.sessions.create(parameters, {"idempotency_key": key})
    )


def fetch_session(session: str) -> Answer:
    """Return a session with its PaymentIntent, and with the latest charge of that."""
    return ask(
        lambda client: client.v1.checkout.sessions.retrieve(
            session, {"expand": ["payment_intent.latest_charge"]}
        )
    )


def find_session(payment_intent: str) -> Answer | None:
    """Return the session that a payment belongs to; None if there is none."""
    found = ask(
        lambda client: client.v1.checkout.sessions.list(
            {"payment_intent": payment_intent, "limit": 1}
        )
    )
    return next(iter(found["data"]), None)


def expire_session(session: str) -> Answer:
    """End an open session, so that nothing can be paid on its page any more."""
    return ask(lambda client: client.v1.checkout.sessions.expire(session))
