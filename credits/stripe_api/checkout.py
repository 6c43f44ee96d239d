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
    """Return the session in which a payment was made; None if it was made without one."""
    page = ask(
        lambda client: client.v1.checkout.sessions.list(
            {
                "payment_intent": payment_intent,
                "limit": 1,
                "expand": ["data.payment_intent.latest_charge"],
            }
        )
    )
    sessions: list[Answer] = page["data"]
    return sessions[0] if sessions else None


def expire_session(session: str) -> Answer:
    """End an open session, so that nothing can be paid on its page any more."""
    return ask(lambda client: client.v1.checkout.sessions.expire(session))
