"""Calls to Stripe about subscriptions, their prices and invoices, and the billing portal."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import (
        InvoiceListParams,
        PriceCreateParams,
        SubscriptionListParams,
        SubscriptionUpdateParams,
    )


def make_price(
    *,
    name: str,
    currency: str,
    amount: int,
    is_tax_added: bool,
    metadata: Mapping[str, str],
    key: str,
) -> Answer:
    """Make a monthly price of `amount` minor units, with a product of this name.

    With `is_tax_added`, Stripe adds the tax to the amount.
    """
    parameters: PriceCreateParams = {
        "currency": currency,
        "unit_amount": amount,
        "recurring": {"interval": "month"},
        "product_data": {"name": name},
        "metadata": dict(metadata),
    }
    if is_tax_added:
        parameters["tax_behavior"] = "exclusive"
    return ask(lambda client: client.v1.prices.create(parameters, {"idempotency_key": key}))


def fetch_price(price: str) -> Answer:
    """Return a price."""
    return ask(lambda client: client.v1.prices.retrieve(price))


def fetch(subscription: str) -> Answer:
    """Return a subscription with its latest invoice."""
    return ask(
        lambda client: client.v1.subscriptions.retrieve(
            subscription, {"expand": ["latest_invoice"]}
        )
    )


def update(subscription: str, parameters: "SubscriptionUpdateParams", *, key: str) -> Answer:
    """Change a subscription and return it with its latest invoice."""
    expanded: SubscriptionUpdateParams = {**parameters, "expand": ["latest_invoice"]}
    return ask(
        lambda client: client.v1.subscriptions.update(
            subscription, expanded, {"idempotency_key": key}
        )
    )


def cancel_now(subscription: str) -> Answer:
    """End a subscription at once, without an invoice or a credit for the rest of its period."""
    return ask(
        lambda client: client.v1.subscriptions.cancel(
            subscription, {"invoice_now": False, "prorate": False}
        )
    )


def fetch_invoice(invoice: str) -> Answer:
    """Return an invoice with its payments."""
    return ask(lambda client: client.v1.invoices.retrieve(invoice, {"expand": ["payments"]}))


def list_invoices_of(payment_intent: str) -> list[str]:
    """Return the ids of the invoices that a payment belongs to."""
    page = ask(
        lambda client: client.v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": payment_intent}}
        )
    )
    return [str(payment["invoice"]) for payment in page["data"]]


def list_subscriptions(*, customer: str = "", status: str = "") -> Iterator[Answer]:
    """Yield the subscriptions of a customer, or of all; without a status those not canceled."""
    parameters: SubscriptionListParams = {"limit": PAGE}
    if customer:
        parameters["customer"] = customer
    if status:
        parameters["status"] = status
    return read_pages(
        lambda after: lambda client: client.v1.subscriptions.list({**parameters, **after})
    )


def list_paid_invoices(*, since: datetime) -> Iterator[Answer]:
    """Yield the paid invoices that were made after `since`, the newest first."""
    parameters: InvoiceListParams = {
        "limit": PAGE,
        "status": "paid",
        "created": {"gte": int(since.timestamp())},
    }
    return read_pages(lambda after: lambda client: client.v1.invoices.list({**parameters, **after}))


def list_portal_configurations() -> list[Answer]:
    """Return the active configurations of the billing portal."""
    page = ask(
        lambda client: client.v1.billing_portal.configurations.list({"active": True, "limit": PAGE})
    )
    return list(page["data"])


def make_portal_configuration(*, metadata: Mapping[str, str], key: str) -> Answer:
    """Make a configuration: card, invoices, and an end with the period.

    Plans change on our own page only: the portal would prorate them.
    """
    return ask(
        lambda client: client.v1.billing_portal.configurations.create(
            {
                "features": {
                    "customer_update": {"enabled": False},
                    "invoice_history": {"enabled": True},
                    "payment_method_update": {"enabled": True},
                    "subscription_cancel": {
                        "enabled": True,
                        "mode": "at_period_end",
                        "proration_behavior": "none",
                    },
                    "subscription_update": {"enabled": False},
                },
                "metadata": dict(metadata),
            },
            {"idempotency_key": key},
        )
    )


def open_portal(*, customer: str, configuration: str, return_url: str) -> Answer:
    """Open the billing portal for a customer; the answer has its `url`."""
    return ask(
        lambda client: client.v1.billing_portal.sessions.create(
            {"customer": customer, "configuration": configuration, "return_url": return_url}
        )
    )
