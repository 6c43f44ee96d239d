"""Calls to Stripe about PaymentIntents: what was paid, or will be."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import PaymentIntentListParams


def fetch_intent(intent: str) -> Answer:
    """Return a PaymentIntent with its latest charge."""
    return ask(
        lambda client: client.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]})
    )


def list_intents(*, since: datetime) -> Iterator[Answer]:
    """Yield the PaymentIntents that were begun since a time, with their latest charges."""
    parameters: PaymentIntentListParams = {
        "created": {"gte": int(since.timestamp())},
        "limit": PAGE,
        "expand": ["data.latest_charge"],
    }
    return read_pages(
        lambda after: lambda client: client.v1.payment_intents.list({**parameters, **after})
    )
