"""Calls to Stripe about disputes, inquiries and early fraud warnings."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import DisputeListParams, InvoicePaymentListParams
    from stripe.params.radar import EarlyFraudWarningListParams


def list_disputes(
    *, payment_intent: str = "", created_since: datetime | None = None
) -> Iterator[Answer]:
    """Yield the disputes and inquiries of a payment, or all since a time; the newest first.

    Each has its balance transactions.
    """
    parameters: DisputeListParams = {"limit": PAGE}
    if payment_intent:
        parameters["payment_intent"] = payment_intent
    if created_since:
        parameters["created"] = {"gte": int(created_since.timestamp())}
    return read_pages(lambda after: lambda client: client.v1.disputes.list({**parameters, **after}))


def list_fraud_warnings(
    *, payment_intent: str = "", created_since: datetime | None = None
) -> Iterator[Answer]:
    """Yield the early fraud warnings of a payment, or all since a time; the newest first."""
    parameters: EarlyFraudWarningListParams = {"limit": PAGE}
    if payment_intent:
        parameters["payment_intent"] = payment_intent
    if created_since:
        parameters["created"] = {"gte": int(created_since.timestamp())}
    return read_pages(
        lambda after: (
            lambda client: client.v1.radar.early_fraud_warnings.list({**parameters, **after})
        )
    )


def fetch_charge(charge: str) -> Answer:
    """Return a charge, which names its PaymentIntent."""
    return ask(lambda client: client.v1.charges.retrieve(charge))


def list_invoices_paid_by(payment_intent: str) -> Iterator[Answer]:
    """Yield the invoice payments that a PaymentIntent made. Each names its `invoice`."""
    parameters: InvoicePaymentListParams = {
        "limit": PAGE,
        "payment": {"type": "payment_intent", "payment_intent": payment_intent},
    }
    return read_pages(
        lambda after: lambda client: client.v1.invoice_payments.list({**parameters, **after})
    )
