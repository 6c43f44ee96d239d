"""Calls to Stripe about saved cards and the payments that are made with them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import CustomerPaymentMethodListParams, PaymentIntentListParams


def list_cards(customer: str) -> Iterator[Answer]:
    """Yield the saved cards of a customer, the newest first."""
    parameters: CustomerPaymentMethodListParams = {"type": "card", "limit": PAGE}
    return read_pages(
        lambda after: (
            lambda client: client.v1.customers.payment_methods.list(
                customer, {**parameters, **after}
            )
        )
    )


def detach(payment_method: str) -> Answer:
    """Forget a saved card, which cannot be charged after that."""
    return ask(lambda client: client.v1.payment_methods.detach(payment_method))


def charge(
    *,
    customer: str,
    payment_method: str,
    amount: int,
    currency: str,
    description: str,
    metadata: Mapping[str, str],
    key: str,
) -> Answer:
    """Charge a saved card without its owner being there; the answer is the PaymentIntent.

    `amount` is in minor units. Raises StripeRefused with the intent if the card is declined.
    """
    return ask(
        lambda client: client.v1.payment_intents.create(
            {
                "amount": amount,
                "currency": currency,
                "customer": customer,
                "payment_method": payment_method,
                "allowed_payment_method_types": ["card"],
                "off_session": True,
                "confirm": True,
                "description": description,
                "metadata": dict(metadata),
            },
            {"idempotency_key": key},
        )
    )


def cancel(payment_intent: str) -> Answer:
    """Cancel a payment, so that nobody can complete it any more."""
    return ask(lambda client: client.v1.payment_intents.cancel(payment_intent))


def list_payments(customer: str, *, since: datetime) -> Iterator[Answer]:
    """Yield the PaymentIntents of a customer that were made after `since`, the newest first."""
    parameters: PaymentIntentListParams = {
        "customer": customer,
        "created": {"gte": int(since.timestamp())},
        "limit": PAGE,
    }
    return read_pages(
        lambda after: lambda client: client.v1.payment_intents.list({**parameters, **after})
    )


def fetch_setup(session: str) -> Answer:
    """Return a Checkout session with the card that was saved in it."""
    return ask(
        lambda client: client.v1.checkout.sessions.retrieve(
            session, {"expand": ["setup_intent.payment_method"]}
        )
    )
