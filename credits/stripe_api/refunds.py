"""Calls to Stripe about refunds."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams, RefundListParams


def create_refund(
    *,
    payment_intent: str,
    amount: int,
    metadata: Mapping[str, str],
    instructions_email: str,
    key: str,
) -> Answer:
    """Refund `amount` minor units of a payment, once per `key`.

    Stripe sends its instructions to `instructions_email` if the payment method, such as PromptPay,
    has to ask the buyer for a bank account; pass "" otherwise.
    """
    parameters: RefundCreateParams = {
        "payment_intent": payment_intent,
        "amount": amount,
        "metadata": dict(metadata),
    }
    if instructions_email:
        parameters["instructions_email"] = instructions_email
    return ask(lambda client: client.v1.refunds.create(parameters, {"idempotency_key": key}))


def list_refunds(
    *, payment_intent: str = "", created_since: datetime | None = None
) -> Iterator[Answer]:
    """Yield the refunds of a payment, or all refunds since a time; the newest first."""
    parameters: RefundListParams = {"limit": PAGE}
    if payment_intent:
        parameters["payment_intent"] = payment_intent
    if created_since:
        parameters["created"] = {"gte": int(created_since.timestamp())}
    return read_pages(lambda after: lambda client: client.v1.refunds.list({**parameters, **after}))
